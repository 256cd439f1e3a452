"""Which of a clock's times count: filters of a schedule, by Prefect 1's names.

Each is called with a local time, in its clock's zone, and answers whether it counts. Those of this module
can be registered, as text; a function of your own works in this process only.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any

import msgspec

from jupyter_flows.errors import InvalidSchedule

__all__ = [
    "Filter",
    "at_time",
    "between_dates",
    "between_datetimes",
    "between_times",
    "filter_from_text",
    "is_day_of_week",
    "is_month_end",
    "is_month_start",
    "is_weekday",
    "is_weekend",
    "on_date",
    "on_datetime",
]


class Filter(msgspec.Struct, frozen=True):
    """A test of a time that can be written down.

    Examples
    --------
    >>> is_weekday(datetime(2030, 1, 1)), is_weekday.text
    (True, 'is_weekday')
    """

    name: str
    arguments: tuple[Any, ...] = ()

    @property
    def text(self) -> str:
        """The filter as the server keeps it."""
        words = (
            item.isoformat() if isinstance(item, datetime | time) else str(item) for item in self.arguments
        )
        return " ".join([self.name, *words])

    def __call__(self, dt: datetime) -> bool:
        """Whether the local time *dt* counts."""
        return _TESTS[self.name](dt, *self.arguments)


def on_datetime(dt: datetime) -> Filter:
    """Return a filter: exactly this time."""
    return Filter("on_datetime", (dt,))


def on_date(month: int, day: int) -> Filter:
    """Return a filter: this day of the year, e.g. ``on_date(12, 24)``."""
    _check_day(month, day)
    return Filter("on_date", (month, day))


def at_time(t: time) -> Filter:
    """Return a filter: this time of day."""
    return Filter("at_time", (t,))


def between_datetimes(start: datetime, end: datetime) -> Filter:
    """Return a filter: from one time to another, both included."""
    return Filter("between_datetimes", (start, end))


def between_dates(start_month: int, start_day: int, end_month: int, end_day: int) -> Filter:
    """Return a filter: from one day of the year to another, both included; past the end of the year too.

    Examples
    --------
    >>> christmas = between_dates(12, 20, 1, 6)
    >>> christmas(datetime(2030, 1, 2)), christmas(datetime(2030, 2, 1))
    (True, False)
    """
    _check_day(start_month, start_day)
    _check_day(end_month, end_day)
    return Filter("between_dates", (start_month, start_day, end_month, end_day))


def between_times(start: time, end: time) -> Filter:
    """Return a filter: from one time of day to another, both included; past midnight too.

    Examples
    --------
    >>> night = between_times(time(22), time(6))
    >>> night(datetime(2030, 1, 1, 3)), night(datetime(2030, 1, 1, 12))
    (True, False)
    """
    return Filter("between_times", (start, end))


def is_day_of_week(day_of_week: int) -> Filter:
    """Return a filter: a day of the week, 0 is Monday (as Prefect 1 did, whose page said Sunday)."""
    if day_of_week not in range(7):
        raise InvalidSchedule(f"is_day_of_week({day_of_week}): days are 0, Monday, to 6, Sunday")
    return Filter("is_day_of_week", (day_of_week,))


is_weekday = Filter("is_weekday")
is_weekend = Filter("is_weekend")
is_month_start = Filter("is_month_start")
is_month_end = Filter("is_month_end")


def _check_day(month: int, day: int) -> None:
    try:
        date(2024, month, day)
    except (ValueError, TypeError):
        raise InvalidSchedule(f"month {month}, day {day}: there is no such day") from None


def _naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)


def _same(moment: datetime, other: datetime) -> bool:
    return (
        moment == other if other.tzinfo is not None and moment.tzinfo is not None else _naive(moment) == other
    )


def _between_datetimes(moment: datetime, start: datetime, end: datetime) -> bool:
    if start.tzinfo is not None and end.tzinfo is not None and moment.tzinfo is not None:
        return start <= moment <= end
    return _naive(start) <= _naive(moment) <= _naive(end)


def _between_dates(moment: datetime, month: int, day: int, last_month: int, last_day: int) -> bool:
    now, first, last = (moment.month, moment.day), (month, day), (last_month, last_day)
    return first <= now <= last if first <= last else now >= first or now <= last


def _between_times(moment: datetime, start: time, end: time) -> bool:
    now = moment.time()
    return start <= now <= end if start <= end else now >= start or now <= end


_TESTS: dict[str, Callable[..., bool]] = {
    "on_datetime": _same,
    "on_date": lambda moment, month, day: (moment.month, moment.day) == (month, day),
    "at_time": lambda moment, at: moment.time() == at,
    "between_datetimes": _between_datetimes,
    "between_dates": _between_dates,
    "between_times": _between_times,
    "is_day_of_week": lambda moment, day: moment.weekday() == day,
    "is_weekday": lambda moment: moment.weekday() < 5,
    "is_weekend": lambda moment: moment.weekday() >= 5,
    "is_month_start": lambda moment: moment.day == 1,
    "is_month_end": lambda moment: (moment + timedelta(days=1)).day == 1,
}
_READERS: dict[str, Callable[[str], Any]] = {
    "on_datetime": datetime.fromisoformat,
    "between_datetimes": datetime.fromisoformat,
    "at_time": time.fromisoformat,
    "between_times": time.fromisoformat,
}


def filter_from_text(text: str) -> Filter:
    """Return the filter that a record describes.

    Raises
    ------
    InvalidSchedule : there is no such filter.

    Examples
    --------
    >>> filter_from_text("between_times 22:00:00 06:00:00").arguments[0]
    datetime.time(22, 0)
    """
    name, *words = text.split()
    if name not in _TESTS:
        raise InvalidSchedule(f"schedule filter {name!r} is not known; known are {', '.join(_TESTS)}")
    try:
        return Filter(name, tuple(_READERS.get(name, int)(word) for word in words))
    except ValueError:
        raise InvalidSchedule(f"schedule filter {text!r} does not read") from None
