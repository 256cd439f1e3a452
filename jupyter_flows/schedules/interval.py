"""Every so often. Whole days keep the wall clock of a zone; anything else is elapsed time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jupyter_flows.errors import InvalidDuration, InvalidSchedule
from jupyter_flows.schedules.base import Schedule, aware, in_zone, time_option, utc, zone
from jupyter_flows.schema.duration import format_duration, parse_duration
from jupyter_flows.schema.refs import ScheduleRef

ANCHOR = datetime(2018, 1, 1, tzinfo=UTC)
"""Where intervals without a start are counted from: a Monday, so that weeks begin on one."""
SHORTEST = timedelta(seconds=1)
DAY = timedelta(days=1)


class IntervalSchedule(Schedule, frozen=True):
    """Fires every *interval*, counted from *start_at*.

    Parameters
    ----------
    interval : at least one second.
    start_at : first firing; default: counted from Monday 2018-01-01 00:00 in *time_zone*, so that
        ``every 10 minutes`` is :00, :10, :20, whenever it was registered.
    end_at : no firing after.
    time_zone : whole days keep this zone's wall clock when clocks change.

    Examples
    --------
    >>> ten = IntervalSchedule(timedelta(minutes=10))
    >>> ten.after(datetime(2030, 1, 1, 12, 3, tzinfo=UTC)).isoformat()
    '2030-01-01T12:10:00+00:00'
    """

    interval: timedelta
    start_at: datetime | None = None
    end_at: datetime | None = None
    time_zone: str = "UTC"

    def __post_init__(self) -> None:
        zone(self.time_zone)
        if not isinstance(self.interval, timedelta):
            raise InvalidSchedule(f"interval {self.interval!r} is no timedelta; write timedelta(minutes=10)")
        if self.interval < SHORTEST:
            raise InvalidSchedule(
                f"an interval of {self.interval.total_seconds():g} s is too short; the shortest is 1s"
            )
        if self.interval > 3660 * DAY:
            raise InvalidSchedule(f"an interval of {self.interval.days} days is longer than ten years")
        if self.end_at is not None and self.start_at is not None:
            where = zone(self.time_zone)
            begin, end = aware(self.start_at, where), aware(self.end_at, where)
            if begin is not None and end is not None and end < begin:
                raise InvalidSchedule("the schedule never fires: its end lies before its start")

    def after(self, time: datetime) -> datetime | None:
        """Return the first firing strictly later than *time*, in UTC."""
        time = utc(time)
        where = zone(self.time_zone)
        whole_days = self.interval % DAY == timedelta()
        anchor = aware(self.start_at, where) or ANCHOR.replace(tzinfo=where)
        begin = anchor.astimezone(UTC)
        if time < begin and self.start_at is not None:
            firing = begin
        elif whole_days:
            firing = self._after_by_wall_clock(time, anchor)
        else:
            firing = begin + ((time - begin) // self.interval + 1) * self.interval
        end = aware(self.end_at, where)
        return None if end is not None and firing > end else firing

    def _after_by_wall_clock(self, time: datetime, anchor: datetime) -> datetime:
        where = zone(self.time_zone)
        first = anchor.astimezone(where).replace(tzinfo=None)
        local = time.astimezone(where).replace(tzinfo=None)
        steps = (local - first) // self.interval - 1
        while True:
            firing = in_zone(first + steps * self.interval, where)
            if firing > time:
                return firing
            steps += 1

    def to_ref(self) -> ScheduleRef:
        """Return the record that the server keeps."""
        options: dict[str, str | float] = {"interval_s": self.interval.total_seconds()}
        if self.time_zone != "UTC":
            options["time_zone"] = self.time_zone
        if self.start_at:
            options["start_at"] = self.start_at.isoformat()
        if self.end_at:
            options["end_at"] = self.end_at.isoformat()
        return ScheduleRef(kind="interval", options=dict(options))

    @classmethod
    def from_options(cls, options: dict[str, object]) -> IntervalSchedule:
        """Return the schedule that a record's options describe."""
        raw = options.get("interval_s")
        if isinstance(raw, bool) or not isinstance(raw, int | float | str):
            raise InvalidSchedule("an interval schedule has no interval_s")
        try:
            interval = parse_duration(str(raw)) if isinstance(raw, str) else timedelta(seconds=raw)
        except (InvalidDuration, OverflowError, ValueError) as error:
            raise InvalidSchedule(f"interval_s {raw!r} is no number of seconds") from error
        return cls(
            interval,
            start_at=time_option(options, "start_at"),
            end_at=time_option(options, "end_at"),
            time_zone=str(options.get("time_zone") or "UTC"),
        )

    def in_words(self) -> str:
        """Return the schedule as a person would say it.

        Examples
        --------
        >>> [IntervalSchedule(timedelta(minutes=count)).in_words() for count in (10, 60)]
        ['every 10 minutes', 'every hour']
        """
        seconds = self.interval.total_seconds()
        where = f" {self.time_zone}" if self.time_zone != "UTC" else ""
        for unit, length in (("week", 604800), ("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
            count, rest = divmod(seconds, length)
            if count and not rest:
                return (f"every {unit}" if count == 1 else f"every {int(count)} {unit}s") + where
        return f"every {format_duration(self.interval)}{where}"
