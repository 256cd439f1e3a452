"""Cron expressions in a time zone, by cronsim's rules: Debian cron's where clocks change.

A fixed time inside the skipped hour of spring fires at the first instant that exists; in the repeated
hour of autumn it fires once, at the first. Expressions with a wildcard minute or hour follow real time.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cronsim import CronSim, CronSimError

from jupyter_flows.errors import InvalidSchedule
from jupyter_flows.schedules.base import HORIZON, Schedule, aware, time_option, utc, zone
from jupyter_flows.schema.refs import ScheduleRef

ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_ALL_WEEKDAYS = frozenset(range(7))
_FIELDS = ("minute", "hour", "day of month", "month", "day of week")


class CronSchedule(Schedule, frozen=True):
    """Fires when a cron expression of five fields matches the local time of a zone.

    Parameters
    ----------
    cron : five fields, or ``@daily`` and the like.
    time_zone : whose local time is matched.
    start_at, end_at : no firing before, or after; a time without zone is local.
    day_or : where both are given, a day counts if its number or its weekday matches; False: if both do.

    Raises
    ------
    InvalidSchedule : malformed, or never fires.

    Examples
    --------
    >>> six = CronSchedule("0 6 * * *", time_zone="Europe/Berlin")
    >>> six.after(datetime(2030, 1, 1, tzinfo=UTC)).isoformat()
    '2030-01-01T05:00:00+00:00'
    >>> CronSchedule("0 0 30 2 *")
    Traceback (most recent call last):
    ...
    jupyter_flows.errors.InvalidSchedule: schedule '0 0 30 2 *' never fires
    """

    cron: str
    time_zone: str = "UTC"
    start_at: datetime | None = None
    end_at: datetime | None = None
    day_or: bool = True

    def __post_init__(self) -> None:
        zone(self.time_zone)
        fields = self.expression.split()
        if len(fields) != 5:
            alias = self.cron if self.cron.startswith("@") else ""
            hint = f"known are {', '.join(ALIASES)}" if alias else "a cron expression has five: 0 6 * * *"
            raise InvalidSchedule(f"schedule {self.cron!r} has {len(fields)} fields; {hint}")
        try:
            CronSim(self.expression, datetime(2030, 1, 1, tzinfo=UTC))
        except CronSimError as error:
            raise InvalidSchedule(self._complaint(str(error), fields)) from None
        begin = aware(self.start_at, zone(self.time_zone))
        if self._unbounded(begin or datetime(2028, 1, 1, tzinfo=UTC)) is None:
            raise InvalidSchedule(f"schedule {self.cron!r} never fires")
        if begin and self.end_at and self._first(begin) is None:
            raise InvalidSchedule(f"schedule {self.cron!r} does not fire between its start and its end")

    @property
    def expression(self) -> str:
        """The five fields."""
        return ALIASES.get(self.cron.strip().lower(), self.cron.strip())

    def after(self, time: datetime) -> datetime | None:
        """Return the first firing strictly later than *time*, in UTC."""
        return self._first(utc(time))

    def _first(self, time: datetime) -> datetime | None:
        where = zone(self.time_zone)
        start = aware(self.start_at, where)
        if start is not None and time < start:
            # The start itself may fire.
            time = datetime.fromtimestamp(start.timestamp() - 1, UTC)
        firing = self._unbounded(time)
        end = aware(self.end_at, where)
        return None if firing is None or (end is not None and firing > end) else firing

    def _unbounded(self, time: datetime) -> datetime | None:
        try:
            times = CronSim(self.expression, time.astimezone(zone(self.time_zone)))
            # cronsim, as Debian's cron, joins the two by "and" where one of them begins with "*". In Prefect
            # 1 "*/2" says which days, as "1-31/2" does: only what leaves none out says nothing.
            is_open = len(times.days) == 31 or times.weekdays >= _ALL_WEEKDAYS
            times.day_and = is_open or not self.day_or
            firing = next(times)
        except (StopIteration, OverflowError):
            return None
        found = firing.astimezone(UTC)
        return found if found - time <= HORIZON else None

    def to_ref(self) -> ScheduleRef:
        """Return the record that the server keeps."""
        options: dict[str, Any] = {"cron": self.cron.strip(), "time_zone": self.time_zone}
        if not self.day_or:
            options["day_or"] = False
        if self.start_at:
            options["start_at"] = self.start_at.isoformat()
        if self.end_at:
            options["end_at"] = self.end_at.isoformat()
        return ScheduleRef(kind="cron", options=options)

    @classmethod
    def from_options(cls, options: dict[str, object]) -> CronSchedule:
        """Return the schedule that a record's options describe."""
        return cls(
            str(options.get("cron", "")),
            time_zone=str(options.get("time_zone") or "UTC"),
            start_at=time_option(options, "start_at"),
            end_at=time_option(options, "end_at"),
            day_or=options.get("day_or") not in {False, "false"},
        )

    def in_words(self) -> str:
        """Return the schedule as a person would say it.

        Examples
        --------
        >>> CronSchedule("30 6 * * 1-5", time_zone="Europe/Berlin").in_words()
        'Monday to Friday at 06:30 Europe/Berlin'
        >>> CronSchedule("*/15 * * * *").in_words()
        'every 15 minutes'
        """
        minute, hour, day, month, weekday = self.expression.split()
        where = f" {self.time_zone}"
        rest = (day, month, weekday)
        if rest == ("*", "*", "*") and hour == "*":
            if minute == "*":
                return "every minute"
            if minute.startswith("*/") and 60 % int(minute[2:]) == 0:
                return f"every {minute[2:]} minutes"
            if minute.isdigit():
                return f"every hour at minute {int(minute)}"
        if minute.isdigit() and hour.isdigit() and month == "*":
            clock = f"at {int(hour):02}:{int(minute):02}{where}"
            if day == "*" and weekday == "*":
                return f"every day {clock}"
            if day == "*" and weekday in {"1-5", "MON-FRI", "mon-fri"}:
                return f"Monday to Friday {clock}"
            if day == "*" and weekday.isdigit():
                return f"every {_DAYS[int(weekday)]} {clock}"
            if day.isdigit() and weekday == "*":
                return f"on day {int(day)} of each month {clock}"
        both = "" if self.day_or else ", where both days match"
        return f"cron {self.expression}{where}{both}"

    def _complaint(self, said: str, fields: list[str]) -> str:
        low = said.lower()
        day = fields[2]
        if "day-of-month" in low and day.isdigit() and 1 <= int(day) <= 31:
            # A day that exists, but not in these months: cronsim tells it with the same words.
            return f"schedule {self.cron!r} never fires"
        names = {
            "minute": 0,
            "hour": 1,
            "day-of-month": 2,
            "day of month": 2,
            "month": 3,
            "day-of-week": 4,
            "day of week": 4,
        }
        for name, index in sorted(names.items(), key=lambda item: -len(item[0])):
            if name in low:
                ranges = ("0-59", "0-23", "1-31", "1-12", "0-7")
                return (
                    f"schedule {self.cron!r}: the field {_FIELDS[index]} is {fields[index]!r}; "
                    f"it takes {ranges[index]}"
                )
        if "never" in low or "impossible" in low:
            return f"schedule {self.cron!r} never fires"
        return f"schedule {self.cron!r} is no cron expression: {said}"
