"""A schedule from what a person types, and from the record that the server keeps."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches

from jupyter_flows.errors import InvalidDuration, InvalidSchedule
from jupyter_flows.schedules.base import Schedule, zone
from jupyter_flows.schedules.compound import limited
from jupyter_flows.schedules.cron import ALIASES, CronSchedule
from jupyter_flows.schedules.dates import DatesSchedule
from jupyter_flows.schedules.interval import IntervalSchedule
from jupyter_flows.schedules.rrule import RRuleRule
from jupyter_flows.schema.duration import parse_duration
from jupyter_flows.schema.refs import ScheduleRef

FORMS = (
    "write 'every 10 minutes', '0 6 * * *', '0 6 * * * Europe/Berlin', '@daily' or dates as 2030-01-31T06:00Z"
)
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_SHORT = {"sec": "second", "min": "minute", "hr": "hour"}
_DAYS = {
    name: number
    for number, names in enumerate(
        [("sunday",), ("monday",), ("tuesday",), ("wednesday",), ("thursday",), ("friday",), ("saturday",)]
    )
    for name in names
}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_AT = re.compile(r"every (day|weekday|[a-z]+day) at (\d{1,2}):(\d{2})(?:\s+(\S+))?", re.IGNORECASE)


def parse_schedule(text: str) -> Schedule:
    """Read a schedule as a person types it.

    Raises
    ------
    InvalidSchedule : one sentence with the text and the nearest form; also if it never fires.

    Examples
    --------
    >>> parse_schedule("every 10 minutes").in_words()
    'every 10 minutes'
    >>> parse_schedule("0 6 * * * Europe/Berlin").in_words()
    'every day at 06:00 Europe/Berlin'
    >>> parse_schedule("every monday at 7:30").in_words()
    'every Monday at 07:30 UTC'
    >>> parse_schedule("2030-01-31T06:00Z, 2030-02-28T06:00Z").in_words()
    '2 times, first at 2030-01-31 06:00 UTC'
    """
    said = " ".join(text.split())
    if not said:
        raise InvalidSchedule(f"the schedule is empty; {FORMS}")
    first, *rest = said.split(" ")
    if first.startswith("@"):
        return _alias(said, first.lower(), rest)
    if _DATE.match(said):
        return _dates(said)
    at = _AT.fullmatch(said)
    if at is not None:
        return _at(said, at)
    if first.lower() == "every":
        return _every(said, rest)
    if len(rest) == 5 and not rest[4][0].isalpha():
        raise InvalidSchedule(f"schedule {text!r} has 6 fields; a cron expression has five: 0 6 * * *")
    if len(rest) in {4, 5}:
        return CronSchedule(" ".join([first, *rest[:4]]), time_zone=rest[4] if len(rest) == 5 else "UTC")
    if said.lower() in {"hourly", "daily", "weekly", "monthly", "yearly"}:
        return CronSchedule(f"@{said.lower()}")
    if said.isdigit():
        raise InvalidSchedule(f"schedule {text!r} has no unit; did you mean 'every {said} minutes'?")
    try:
        return IntervalSchedule(parse_duration(said))
    except InvalidDuration:
        raise InvalidSchedule(f"schedule {text!r} is not understood; {FORMS}") from None


def schedule_from_ref(ref: ScheduleRef) -> Schedule:
    """Return the schedule that *ref* describes.

    Raises
    ------
    InvalidSchedule : an unknown kind, or options that its kind does not take.
    """
    options: dict[str, object] = dict(ref.options)
    kinds = {
        "cron": CronSchedule.from_options,
        "dates": DatesSchedule.from_options,
        "interval": IntervalSchedule.from_options,
        "rrule": RRuleRule.from_options,
    }
    if ref.kind not in kinds:
        raise InvalidSchedule(f"schedule kind {ref.kind!r} is not known; known are {', '.join(kinds)}")
    return limited(kinds[ref.kind](options), options)


def in_words(schedule: Schedule) -> str:
    """Return *schedule* as a person would say it."""
    return schedule.in_words()


def _alias(said: str, name: str, rest: list[str]) -> Schedule:
    if name not in ALIASES or len(rest) > 1:
        near = get_close_matches(name, list(ALIASES), n=1)
        hint = f"did you mean {near[0]!r}?" if near and name not in ALIASES else FORMS
        raise InvalidSchedule(f"schedule {said!r} is not understood; {hint}")
    return CronSchedule(name, time_zone=rest[0] if rest else "UTC")


def _every(said: str, words: list[str]) -> Schedule:
    where = "UTC"
    if words and "/" in words[-1]:
        where = words[-1]
        zone(where)
        words = words[:-1]
    if len(words) == 1 and words[0].isdigit():
        raise InvalidSchedule(f"schedule {said!r} has no unit; did you mean 'every {words[0]} minutes'?")
    try:
        if len(words) == 1 and _unit(words[0]) is not None:
            return IntervalSchedule(timedelta(seconds=_UNITS[_unit(words[0]) or ""]), time_zone=where)
        if len(words) == 2 and _unit(words[1]) is not None:
            amount = timedelta(seconds=float(words[0]) * _UNITS[_unit(words[1]) or ""])
            return IntervalSchedule(amount, time_zone=where)
        return IntervalSchedule(parse_duration("".join(words)), time_zone=where)
    except (InvalidDuration, ValueError, OverflowError) as error:
        if isinstance(error, InvalidSchedule):
            raise
        hint = FORMS
        if len(words) == 2:
            near = get_close_matches(words[1].lower(), [f"{unit}s" for unit in _UNITS], n=1)
            hint = f"did you mean 'every {words[0]} {near[0]}'?" if near and words[0].isdigit() else FORMS
        raise InvalidSchedule(f"schedule {said!r} is not understood; {hint}") from None


def _unit(word: str) -> str | None:
    name = word.lower()
    name = name if name in _UNITS else name.removesuffix("s")
    name = _SHORT.get(name, name)
    return name if name in _UNITS else None


def _at(said: str, match: re.Match[str]) -> Schedule:
    day, hour, minute, where = match[1].lower(), int(match[2]), int(match[3]), match[4]
    if hour > 23 or minute > 59:
        raise InvalidSchedule(f"schedule {said!r}: there is no time {match[2]}:{match[3]}")
    weekday = {"day": "*", "weekday": "1-5"}.get(day) or _DAYS.get(day)
    if weekday is None:
        near = get_close_matches(day, [*_DAYS, "day", "weekday"], n=1)
        hint = f"did you mean {near[0]!r}?" if near else FORMS
        raise InvalidSchedule(f"schedule {said!r}: there is no day {day!r}; {hint}")
    return CronSchedule(f"{minute} {hour} * * {weekday}", time_zone=where or "UTC")


def _dates(said: str) -> Schedule:
    times = []
    for part in (piece.strip() for piece in said.split(",")):
        try:
            time = datetime.fromisoformat(part)
        except ValueError:
            raise InvalidSchedule(
                f"{part!r} is not a date; write it as 2030-01-31 or 2030-01-31T06:00+01:00"
            ) from None
        times.append(time if time.tzinfo else time.replace(tzinfo=UTC))
    return DatesSchedule(times)
