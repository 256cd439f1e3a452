"""Clocks: when, with which parameters, for which labels; by Prefect 1's names and arguments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from jupyter_flows.errors import InvalidSchedule
from jupyter_flows.schedules.base import ClockEvent, Schedule
from jupyter_flows.schedules.cron import CronSchedule
from jupyter_flows.schedules.dates import DatesSchedule
from jupyter_flows.schedules.interval import IntervalSchedule
from jupyter_flows.schedules.rrule import RRuleRule

__all__ = ["Clock", "ClockEvent", "CronClock", "DatesClock", "IntervalClock", "RRuleClock", "zone_of"]


class Clock(msgspec.Struct, frozen=True):
    """A rule of times with what it changes for the runs it makes.

    Parameters
    ----------
    rule : Schedule
        Of one kind.
    parameter_defaults : mapping
        Values of parameters; a run's own win.
    labels : tuple of str, optional
        Instead of the flow's.
    """

    rule: Schedule
    parameter_defaults: dict[str, Any] = {}
    labels: tuple[str, ...] | None = None

    @property
    def start_date(self) -> datetime | None:
        """Before it there is no firing."""
        return self.rule.start_date

    @property
    def end_date(self) -> datetime | None:
        """After it there is no firing."""
        return self.rule.end_date

    def events(self, after: datetime | None = None) -> Iterator[ClockEvent]:
        """Yield its firings strictly later than *after* (default: than now), with parameters and labels.

        Examples
        --------
        >>> from datetime import UTC
        >>> hourly = IntervalClock(timedelta(hours=1), labels=["a"])
        >>> next(hourly.events(datetime(2030, 1, 1, tzinfo=UTC))).labels
        ('a',)
        """
        time = datetime.now(UTC) if after is None else after
        for firing in self.rule.firings(after=time if time.tzinfo is not None else time.replace(tzinfo=UTC)):
            yield ClockEvent(firing, self.parameter_defaults, self.labels)


def zone_of(moment: datetime | None) -> str:
    """Return the name of a time's zone; UTC for fixed offsets and times without one."""
    where = None if moment is None else moment.tzinfo
    if isinstance(where, ZoneInfo):
        return where.key
    name = getattr(where, "name", None)  # pendulum's
    return name if isinstance(name, str) and "/" in name else "UTC"


def _made(rule: Schedule, parameter_defaults: Any, labels: Iterable[str] | None) -> Clock:
    if isinstance(labels, str):
        raise InvalidSchedule(f"labels of a clock is the text {labels!r}; give a list of words")
    if parameter_defaults is not None and not isinstance(parameter_defaults, Mapping):
        raise InvalidSchedule(
            f"parameter_defaults of a clock is {parameter_defaults!r}; give a dictionary of values by name"
        )
    return Clock(rule, dict(parameter_defaults or {}), None if labels is None else tuple(labels))


def IntervalClock(  # noqa: N802 - Prefect 1's name
    interval: timedelta,
    start_date: datetime | None = None,
    end_date: datetime | None = None,
    parameter_defaults: dict[str, Any] | None = None,
    labels: Iterable[str] | None = None,
) -> Clock:
    """Return a clock that fires every *interval*; whole days keep the wall clock of the start's zone.

    Examples
    --------
    >>> from datetime import UTC
    >>> IntervalClock(timedelta(hours=1)).rule.after(datetime(2030, 1, 1, 0, 5, tzinfo=UTC)).hour
    1
    """
    rule = IntervalSchedule(interval, start_at=start_date, end_at=end_date, time_zone=zone_of(start_date))
    return _made(rule, parameter_defaults, labels)


def CronClock(  # noqa: N802, PLR0917 - Prefect 1's name and signature
    cron: str,
    start_date: datetime | None = None,
    end_date: datetime | None = None,
    parameter_defaults: dict[str, Any] | None = None,
    labels: Iterable[str] | None = None,
    day_or: bool | None = None,  # noqa: FBT001 - Prefect 1's signature
) -> Clock:
    """Return a clock of a cron expression, in the zone of *start_date*.

    With ``day_or=False`` a day counts if both its number and its weekday match; else, as with cron, if one
    does.
    """
    rule = CronSchedule(
        cron,
        time_zone=zone_of(start_date),
        start_at=start_date,
        end_at=end_date,
        day_or=True if day_or is None else day_or,
    )
    return _made(rule, parameter_defaults, labels)


def DatesClock(  # noqa: N802 - Prefect 1's name
    dates: Iterable[datetime],
    parameter_defaults: dict[str, Any] | None = None,
    labels: Iterable[str] | None = None,
) -> Clock:
    """Return a clock that fires at each of *dates*; those without a zone are UTC."""
    times = [date if date.tzinfo is not None else date.replace(tzinfo=UTC) for date in dates]
    return _made(DatesSchedule(times), parameter_defaults, labels)


def RRuleClock(  # noqa: N802 - Prefect 1's name
    rrule_obj: Any,
    start_date: datetime | None = None,
    end_date: datetime | None = None,
    parameter_defaults: dict[str, Any] | None = None,
    labels: Iterable[str] | None = None,
) -> Clock:
    """Return a clock of a ``dateutil.rrule``; without a zone its times are UTC."""
    begin = getattr(rrule_obj, "_dtstart", None)
    where = zone_of(begin) if begin is not None and begin.tzinfo is not None else zone_of(start_date)
    rule = RRuleRule(rrule_obj, time_zone=where, start_at=start_date, end_at=end_date)
    return _made(rule, parameter_defaults, labels)
