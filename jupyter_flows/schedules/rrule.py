"""Recurrence rules of iCalendar (RFC 5545), by dateutil."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dateutil import rrule as rules

from jupyter_flows.errors import InvalidSchedule
from jupyter_flows.schedules.base import HORIZON, Schedule, aware, in_zone, time_option, utc, zone
from jupyter_flows.schema.refs import ScheduleRef


class RRuleRule(Schedule, frozen=True):
    """Fires by a recurrence rule, in a zone's local time.

    Parameters
    ----------
    rule : dateutil.rrule.rrule or rruleset
        Its times are those of *time_zone*, or of the zone of its start.
    time_zone : str
    start_at, end_at : no firing before, or after.

    Raises
    ------
    InvalidSchedule : it is no rule.

    Examples
    --------
    >>> from datetime import UTC
    >>> last_friday = rules.rrule(rules.MONTHLY, byweekday=rules.FR(-1), dtstart=datetime(2030, 1, 1, 9))
    >>> RRuleRule(last_friday).after(datetime(2030, 1, 1, tzinfo=UTC)).isoformat()
    '2030-01-25T09:00:00+00:00'
    """

    rule: Any
    time_zone: str = "UTC"
    start_at: datetime | None = None
    end_at: datetime | None = None

    def __post_init__(self) -> None:
        zone(self.time_zone)
        if not isinstance(self.rule, rules.rrulebase):
            raise InvalidSchedule(f"{self.rule!r} is no dateutil.rrule.rrule or rruleset")

    def after(self, time: datetime) -> datetime | None:
        """Return the first firing strictly later than *time*, in UTC."""
        where = zone(self.time_zone)
        begin, end = aware(self.start_at, where), aware(self.end_at, where)
        time = utc(time)
        local = time.astimezone(where).replace(tzinfo=None, fold=0)
        start = getattr(self.rule, "_dtstart", None)
        is_aware = start is not None and start.tzinfo is not None
        while True:
            found = self.rule.after(local.replace(tzinfo=where) if is_aware else local)
            if found is None:
                return None
            local = found.astimezone(where).replace(tzinfo=None) if is_aware else found
            firing = in_zone(local, where)
            if firing - time > HORIZON or (end is not None and firing > end):
                return None
            if firing > time and (begin is None or firing >= begin):
                return firing

    def to_ref(self) -> ScheduleRef:
        """Return the record that the server keeps.

        Raises
        ------
        InvalidSchedule : a set of rules has no text.
        """
        if not isinstance(self.rule, rules.rrule):
            raise InvalidSchedule(
                "a set of recurrence rules cannot be registered; give one clock for each rule"
            )
        options: dict[str, Any] = {"rrule": str(self.rule), "time_zone": self.time_zone}
        if self.start_at:
            options["start_at"] = self.start_at.isoformat()
        if self.end_at:
            options["end_at"] = self.end_at.isoformat()
        return ScheduleRef(kind="rrule", options=options)

    @classmethod
    def from_options(cls, options: dict[str, object]) -> RRuleRule:
        """Return the schedule that a record's options describe."""
        try:
            rule = rules.rrulestr(str(options.get("rrule", "")))
        except (ValueError, KeyError, AttributeError, TypeError):
            raise InvalidSchedule(f"{options.get('rrule')!r} is no recurrence rule") from None
        return cls(
            rule,
            time_zone=str(options.get("time_zone") or "UTC"),
            start_at=time_option(options, "start_at"),
            end_at=time_option(options, "end_at"),
        )

    def in_words(self) -> str:
        """Return the schedule as a person would say it."""
        text = (
            str(self.rule).rpartition("RRULE:")[2] if isinstance(self.rule, rules.rrule) else "several rules"
        )
        return f"by the recurrence rule {text.lower()}" + (
            f" {self.time_zone}" if self.time_zone != "UTC" else ""
        )
