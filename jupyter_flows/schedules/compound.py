"""Several clocks, filtered and adjusted: Prefect 1's ``Schedule``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from jupyter_flows.errors import InvalidSchedule
from jupyter_flows.schedules import base
from jupyter_flows.schedules.adjustments import Adjustment, adjustment_from_text
from jupyter_flows.schedules.base import HORIZON, ClockEvent, utc, zone
from jupyter_flows.schedules.clocks import Clock
from jupyter_flows.schedules.filters import Filter, filter_from_text
from jupyter_flows.schema.refs import ScheduleRef

Test = Callable[[datetime], bool]
Change = Callable[[datetime], datetime]
MOST_CANDIDATES = 200_000
"""So many times of a clock without one that counts: then none will."""
GROUPS = ("filters", "or_filters", "not_filters", "adjustments")


class Schedule(base.Schedule, frozen=True):
    """Times of several clocks: those that the filters let pass, as the adjustments change them.

    A time counts if all *filters* say so, one of *or_filters* (if there are any), and none of *not_filters*.
    Two clocks that fire at once make two runs if they differ in parameters or labels, else one.

    Parameters
    ----------
    clocks : iterable of Clock
    filters, or_filters, not_filters : iterables of callable
        Of :mod:`jupyter_flows.schedules.filters`, or functions of a local time.
    adjustments : iterable of callable
        Of :mod:`jupyter_flows.schedules.adjustments`.

    Raises
    ------
    InvalidSchedule : no clock, or something that is none.

    Examples
    --------
    >>> from jupyter_flows.schedules.clocks import CronClock
    >>> from jupyter_flows.schedules.filters import is_month_end
    >>> ends = Schedule([CronClock("0 12 * * *")], filters=[is_month_end])
    >>> ends.after(datetime(2030, 2, 1, tzinfo=UTC)).isoformat()
    '2030-02-28T12:00:00+00:00'
    """

    clocks: Iterable[Clock]
    filters: Iterable[Test] = ()
    or_filters: Iterable[Test] = ()
    not_filters: Iterable[Test] = ()
    adjustments: Iterable[Change] = ()

    def __post_init__(self) -> None:
        for name in ("clocks", *GROUPS):
            given = getattr(self, name) or ()
            if isinstance(given, Clock) or callable(given) or not isinstance(given, Iterable):
                raise InvalidSchedule(f"{name} of a schedule is {given!r}; give a list: {name}=[...]")
            msgspec.structs.force_setattr(self, name, tuple(given))
            for item in getattr(self, name) if name != "clocks" else ():
                if not callable(item):
                    raise InvalidSchedule(f"{name} of a schedule has {item!r}; give functions of a time")
        if not self.clocks:
            raise InvalidSchedule(
                "a schedule needs at least one clock, e.g. Schedule([CronClock('0 6 * * *')])"
            )
        for clock in self.clocks:
            if not isinstance(clock, Clock):
                raise InvalidSchedule(f"{clock!r} is no clock; use those of jupyter_flows.schedules.clocks")

    def after(self, time: datetime) -> datetime | None:
        """Return the first firing strictly later than *time*, in UTC."""
        events = self.events_after(time)
        return events[0].start_time if events else None

    def events_after(self, time: datetime) -> tuple[ClockEvent, ...]:
        """Return what is due at the first firing strictly later than *time*; nothing if there is none."""
        time = utc(time)
        found: list[ClockEvent] = []
        for clock in self.clocks:
            firing = self._first(clock, time)
            if firing is None or (found and firing > found[0].start_time):
                continue
            event = ClockEvent(firing, clock.parameter_defaults, clock.labels)
            if found and firing < found[0].start_time:
                found = []
            if event not in found:
                found.append(event)
        return tuple(found)

    def _first(self, clock: Clock, time: datetime) -> datetime | None:
        """Return the earliest of a clock's times that count, adjusted, strictly later than *time*."""
        where = zone(clock.rule.zone_name)
        # What lies before may be adjusted to after, and what lies after to before.
        most = sum((getattr(change, "most", timedelta(days=7)) for change in self.adjustments), timedelta())
        back = sum((getattr(change, "back", timedelta()) for change in self.adjustments), timedelta())
        found: datetime | None = None
        for number, firing in enumerate(clock.rule.firings(after=time - most)):
            if number > MOST_CANDIDATES or firing - time > HORIZON:
                break
            if found is not None and firing - back >= found:
                break  # Saturday 18:00 becomes Monday 18:00: Monday 00:00 came later, and is earlier
            local = firing.astimezone(where)
            if not self._counts(local):
                continue
            for change in self.adjustments:
                local = change(local)
            adjusted = local.astimezone(UTC)
            if adjusted > time and (found is None or adjusted < found):
                found = adjusted
        return found

    def _counts(self, local: datetime) -> bool:
        either = tuple(self.or_filters)
        return (
            all(test(local) for test in self.filters)
            and (not either or any(test(local) for test in either))
            and not any(test(local) for test in self.not_filters)
        )

    @property
    def start_date(self) -> datetime | None:
        """Before it no clock fires; None if one of them may always."""
        starts = [_aware(clock.rule.start_date) for clock in self.clocks]
        return None if None in starts else min(filter(None, starts))

    @property
    def end_date(self) -> datetime | None:
        """After it no clock fires; None if one of them goes on for ever."""
        ends = [_aware(clock.rule.end_date) for clock in self.clocks]
        return None if None in ends else max(filter(None, ends))

    @property
    def zone_name(self) -> str:
        """The time zone of its first clock."""
        return next(iter(self.clocks)).rule.zone_name

    def to_refs(self) -> tuple[ScheduleRef, ...]:
        """Return the records that the server keeps: one for each clock, each with the filters.

        Raises
        ------
        InvalidSchedule : a filter or adjustment is a function of your own, which the server cannot have.
        """
        more = {name: [_text(item, name) for item in getattr(self, name)] for name in GROUPS}
        options = {name: texts for name, texts in more.items() if texts}
        return tuple(
            msgspec.structs.replace(
                ref,
                options={**ref.options, **options},
                parameters=dict(clock.parameter_defaults),
                labels=clock.labels,
            )
            for clock in self.clocks
            for ref in clock.rule.to_refs()
        )

    def to_ref(self) -> ScheduleRef:
        """Return the record of a schedule with one clock.

        Raises
        ------
        InvalidSchedule : it has several.
        """
        (ref, *others) = self.to_refs()
        if others:
            raise InvalidSchedule("a schedule of several clocks is several records")
        return ref

    def in_words(self) -> str:
        """Return the schedule as a person would say it."""
        words = "; ".join(clock.rule.in_words() for clock in self.clocks)
        limits = [getattr(item, "text", "by a function") for item in (*self.filters, *self.or_filters)]
        if limits:
            words += f", if {' and '.join(limits)}"
        if self.not_filters:
            banned = [getattr(item, "text", "by a function") for item in self.not_filters]
            words += f", not if {' or '.join(banned)}"
        changes = [getattr(item, "text", "a function") for item in self.adjustments]
        return words + (f", then {', '.join(changes)}" if changes else "")


def limited(rule: base.Schedule, options: dict[str, object]) -> base.Schedule:
    """Return *rule* with the filters and adjustments of a record's options, if there are any."""
    groups: dict[str, Any] = {}
    for name in GROUPS:
        texts = options.get(name)
        if isinstance(texts, list | tuple) and texts:
            read: Callable[[str], Any] = adjustment_from_text if name == "adjustments" else filter_from_text
            groups[name] = tuple(read(str(text)) for text in texts)
    return Schedule([Clock(rule)], **groups) if groups else rule


def _aware(moment: datetime | None) -> datetime | None:
    return moment if moment is None or moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _text(item: Any, group: str) -> str:
    if isinstance(item, Filter | Adjustment):
        return item.text
    what = "adjustment" if group == "adjustments" else "filter"
    name = getattr(item, "__name__", type(item).__name__)
    raise InvalidSchedule(
        f"the {what} {name} is a function, which a server cannot keep; it works with run_on_schedule=True, "
        f"registered flows take those of jupyter_flows.schedules.{what}s"
    )
