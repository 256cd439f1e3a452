"""What every schedule is: frozen data and a pure ``after``. No cursor, no ``now()`` inside."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import msgspec

from jupyter_flows.errors import InvalidSchedule
from jupyter_flows.schema.refs import ScheduleRef

HORIZON = timedelta(days=10 * 366)
"""A schedule without a firing for so long never fires."""


class ClockEvent(msgspec.Struct, frozen=True):
    """A time at which a run is due, with what its clock changes for that run.

    Parameters
    ----------
    start_time : aware datetime, UTC
    parameter_defaults : mapping
        Values of parameters; those that are given to a run itself win.
    labels : tuple of str, optional
        Instead of the flow's.
    """

    start_time: datetime
    parameter_defaults: dict[str, Any] = {}
    labels: tuple[str, ...] | None = None


class Schedule(msgspec.Struct, frozen=True):
    """When runs of a flow are due. Subclasses say how in :meth:`after`."""

    def after(self, time: datetime) -> datetime | None:
        """Return the first firing strictly later than *time*, in UTC, or None if there is none.

        Parameters
        ----------
        time : aware datetime, any zone; compared in UTC.
        """
        raise NotImplementedError

    def to_ref(self) -> ScheduleRef:
        """Return the record that the server keeps."""
        raise NotImplementedError

    def to_refs(self) -> tuple[ScheduleRef, ...]:
        """Return the records that the server keeps: one for each clock."""
        return (self.to_ref(),)

    def in_words(self) -> str:
        """Return the schedule as a person would say it."""
        raise NotImplementedError

    @property
    def zone_name(self) -> str:
        """The time zone whose clock it follows."""
        return str(getattr(self, "time_zone", "UTC"))

    def events_after(self, time: datetime) -> tuple[ClockEvent, ...]:
        """Return what is due at the first firing strictly later than *time*; nothing if there is none."""
        firing = self.after(time)
        return () if firing is None else (ClockEvent(firing),)

    def next_events(self, count: int, *, after: datetime | None = None) -> tuple[ClockEvent, ...]:
        """Return up to *count* events strictly later than *after*; default: than now."""
        time = datetime.now(UTC) if after is None else utc(after)
        found: list[ClockEvent] = []
        while len(found) < count:
            events = self.events_after(time)
            if not events:
                break
            found.extend(events)
            time = events[0].start_time
        return tuple(found[:count])

    @property
    def start_date(self) -> datetime | None:
        """Before it there is no firing."""
        found: datetime | None = getattr(self, "start_at", None)
        return found

    @property
    def end_date(self) -> datetime | None:
        """After it there is no firing."""
        found: datetime | None = getattr(self, "end_at", None)
        return found

    def next(
        self,
        n: int,
        after: datetime | None = None,
        return_events: bool = False,  # noqa: FBT001, FBT002 - Prefect 1's signature
    ) -> tuple[Any, ...]:
        """Return up to *n* firings strictly later than *after*; default: than now.

        Parameters
        ----------
        n : int
        after : datetime, optional
            Without a zone it is UTC.
        return_events : bool
            Whether :class:`ClockEvent` are returned, with parameters and labels, in place of times.

        Examples
        --------
        >>> from jupyter_flows.schedules import IntervalSchedule
        >>> start = datetime(2030, 1, 1, tzinfo=UTC)
        >>> [f"{t:%H:%M}" for t in IntervalSchedule(timedelta(minutes=20)).next(2, after=start)]
        ['00:20', '00:40']
        """
        if after is not None and after.tzinfo is None:
            after = after.replace(tzinfo=UTC)
        events = self.next_events(n, after=after)
        return events if return_events else tuple(event.start_time for event in events)

    def firings(self, *, after: datetime) -> Iterator[datetime]:
        """Yield firings strictly later than *after*, in order."""
        time = self.after(after)
        while time is not None:
            yield time
            time = self.after(time)

    def last_until(self, time: datetime, *, after: datetime) -> datetime | None:
        """Return the last firing in ``(after, time]``, without walking through all of them."""
        span = timedelta(seconds=1)
        while True:
            begin = max(after, time - span)
            found = None
            for firing in self.firings(after=begin):
                if firing > time:
                    break
                found = firing
            if found is not None or begin <= after:
                return found
            span *= 8


def zone(name: str) -> ZoneInfo:
    """Return the time zone *name*.

    Raises
    ------
    InvalidSchedule : unknown, with the nearest known name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = available_timezones()
        folded = {entry.lower(): entry for entry in known}
        near = get_close_matches(name.lower(), list(folded), n=1)
        towns = {entry.rpartition("/")[2].lower(): entry for entry in sorted(known)}
        near = near or [entry.lower() for entry in [towns.get(name.lower().replace(" ", "_"))] if entry]
        hint = f"; did you mean {folded[near[0]]!r}?" if near else "; write it as Europe/Berlin or UTC"
        raise InvalidSchedule(f"there is no time zone {name!r}{hint}") from None


def aware(time: datetime | None, where: ZoneInfo) -> datetime | None:
    """Return *time* with a zone: its own, else *where*."""
    if time is None or time.tzinfo is not None:
        return time
    return time.replace(tzinfo=where)


def utc(time: datetime) -> datetime:
    """Return *time* in UTC; it must be aware."""
    if time.tzinfo is None:
        raise InvalidSchedule(f"time {time.isoformat()} has no time zone")
    return time.astimezone(UTC)


def time_option(options: dict[str, object], name: str) -> datetime | None:
    """Read a time from a record's options."""
    value = options.get(name)
    if value is None:
        return None
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        raise InvalidSchedule(f"{name} {value!r} is not a time; write it as 2030-01-31T06:00+01:00") from None


def in_zone(time: datetime, where: ZoneInfo) -> datetime:
    """Return local *time* (naive) as the first instant that shows it, or the first valid one after a gap."""
    first = time.replace(tzinfo=where, fold=0)
    there_and_back = first.astimezone(UTC).astimezone(where)
    if there_and_back.replace(tzinfo=None) == time:
        return first.astimezone(UTC)
    # In a gap, fold=0 uses the offset before it: the result lies after the gap by what *time* lay in it.
    before = first.utcoffset() or timedelta()
    after = time.replace(tzinfo=where, fold=1).utcoffset() or timedelta()
    low, high = (
        (time - max(before, after)).replace(tzinfo=UTC),
        (time - min(before, after)).replace(tzinfo=UTC),
    )
    offset = low.astimezone(where).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(where).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return (high + timedelta(microseconds=500_000)).replace(microsecond=0)
