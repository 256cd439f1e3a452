"""At given times, and then never again."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime

from jupyter_flows.errors import InvalidSchedule
from jupyter_flows.schedules.base import Schedule, utc
from jupyter_flows.schema.refs import ScheduleRef

MOST_DATES = 1000


class DatesSchedule(Schedule, frozen=True):
    """Fires at each of *dates*; they need a time zone and are kept in order, each once.

    Examples
    --------
    >>> new_year = DatesSchedule([datetime(2031, 1, 1, tzinfo=UTC)])
    >>> new_year.after(datetime(2030, 1, 1, tzinfo=UTC)).year
    2031
    >>> new_year.after(datetime(2031, 1, 1, tzinfo=UTC)) is None
    True
    """

    dates: Iterable[datetime]

    def __post_init__(self) -> None:
        times = tuple(sorted({utc(date) for date in self.dates}))
        if not times:
            raise InvalidSchedule("a schedule of dates has no date, so it never fires")
        if len(times) > MOST_DATES:
            raise InvalidSchedule(
                f"{len(times)} dates are more than the {MOST_DATES} that a schedule may have"
            )
        # Frozen for everybody else: the given iterable may be a generator, which reads only once.
        import msgspec

        msgspec.structs.force_setattr(self, "dates", times)

    @property
    def start_date(self) -> datetime | None:
        """The first date."""
        return self.times[0]

    @property
    def end_date(self) -> datetime | None:
        """The last date."""
        return self.times[-1]

    @property
    def times(self) -> tuple[datetime, ...]:
        """The dates in UTC, in order."""
        return tuple(self.dates)

    def after(self, time: datetime) -> datetime | None:
        """Return the first date strictly later than *time*, in UTC."""
        times = self.times
        index = bisect_right(times, utc(time))
        return times[index] if index < len(times) else None

    def to_ref(self) -> ScheduleRef:
        """Return the record that the server keeps."""
        return ScheduleRef(kind="dates", options={"dates": [time.isoformat() for time in self.times]})

    @classmethod
    def from_options(cls, options: dict[str, object]) -> DatesSchedule:
        """Return the schedule that a record's options describe."""
        raw = options.get("dates")
        if not isinstance(raw, list):
            raise InvalidSchedule("a schedule of dates has no list of dates")
        try:
            return cls([datetime.fromisoformat(str(text)) for text in raw])
        except ValueError as error:
            raise InvalidSchedule(f"a date of the schedule does not read as a time: {error}") from None

    def in_words(self) -> str:
        """Return the schedule as a person would say it."""
        times = self.times
        first = f"{times[0].astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        return f"once, at {first}" if len(times) == 1 else f"{len(times)} times, first at {first}"
