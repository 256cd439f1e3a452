"""Schedules by Prefect 1's names and arguments; the rules behind them are those of this package."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jupyter_flows.errors import InvalidSchedule
from jupyter_flows.schedules import base, interval
from jupyter_flows.schedules import cron as cron_rule
from jupyter_flows.schedules.clocks import RRuleClock, zone_of
from jupyter_flows.schedules.compound import Schedule

__all__ = ["CronSchedule", "IntervalSchedule", "RRuleSchedule", "Schedule"]


def IntervalSchedule(*args: Any, **options: Any) -> interval.IntervalSchedule:  # noqa: N802
    """Return a schedule that fires every so often.

    Parameters
    ----------
    start_date : datetime, optional
        First firing; its zone's wall clock is kept by whole days.
    interval : timedelta
    end_date : datetime, optional
    time_zone : str, optional
        Default: of the start.

    Raises
    ------
    InvalidSchedule : no interval, or one that is too short.

    Examples
    --------
    >>> from datetime import timedelta
    >>> IntervalSchedule(interval=timedelta(minutes=10)) == IntervalSchedule(timedelta(minutes=10))
    True
    """
    names = ("interval", "start_date", "end_date")
    if args and (args[0] is None or isinstance(args[0], datetime)):
        names = ("start_date", "interval", "end_date")
    given = {**dict(zip(names, args, strict=False)), **options}
    start = given.pop("start_date", None) or given.pop("start_at", None)
    end = given.pop("end_date", None) or given.pop("end_at", None)
    every = given.pop("interval", None)
    where = given.pop("time_zone", None) or zone_of(start)
    if given or len(args) > len(names):
        what = next(iter(given), "too many arguments")
        raise InvalidSchedule(
            f"IntervalSchedule: {what} is not understood; it takes start_date, interval, end_date"
        )
    if every is None:
        raise InvalidSchedule("IntervalSchedule needs an interval, e.g. timedelta(hours=1)")
    return interval.IntervalSchedule(every, start_at=start, end_at=end, time_zone=where)


def CronSchedule(  # noqa: N802
    cron: str,
    start_date: datetime | None = None,
    end_date: datetime | None = None,
    day_or: bool | None = None,  # noqa: FBT001 - Prefect 1's signature
    *,
    time_zone: str | None = None,
    start_at: datetime | None = None,
    end_at: datetime | None = None,
) -> cron_rule.CronSchedule:
    """Return a schedule of a cron expression.

    Parameters
    ----------
    cron : str
        Five fields, or ``@daily`` and the like.
    start_date, end_date : datetime, optional
    day_or : bool, optional
        False: a day counts if both its number and its weekday match; default: if one does, as with cron.
    time_zone : str, optional
        Default: of the start.

    Raises
    ------
    InvalidSchedule : malformed, or never fires.

    Examples
    --------
    >>> CronSchedule("0 6 * * *", time_zone="Europe/Berlin").in_words()
    'every day at 06:00 Europe/Berlin'
    """
    start, end = start_date or start_at, end_date or end_at
    return cron_rule.CronSchedule(
        cron,
        time_zone=time_zone or zone_of(start),
        start_at=start,
        end_at=end,
        day_or=True if day_or is None else day_or,
    )


def RRuleSchedule(  # noqa: N802
    rrule_obj: Any, start_date: datetime | None = None, end_date: datetime | None = None
) -> base.Schedule:
    """Return a schedule of a ``dateutil.rrule``.

    Examples
    --------
    >>> from dateutil.rrule import DAILY, rrule
    >>> RRuleSchedule(rrule(DAILY, dtstart=datetime(2030, 1, 1, 6))).in_words()
    'by the recurrence rule freq=daily'
    """
    return RRuleClock(rrule_obj, start_date, end_date).rule
