"""Durations as people write them: ``10s``, ``5m``, ``1h30m``. Pure text, no clock."""

from __future__ import annotations

import re
from datetime import timedelta

from jupyter_flows.errors import InvalidDuration

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)?", re.IGNORECASE)


def parse_duration(text: str) -> timedelta:
    """Read a duration such as ``10s``, ``5m``, ``1h30m``, ``1d``; a bare number is seconds.

    Raises
    ------
    InvalidDuration : with the text and the form that is understood.

    Examples
    --------
    >>> parse_duration("1h30m")
    datetime.timedelta(seconds=5400)
    >>> parse_duration("2.5")
    datetime.timedelta(seconds=2, microseconds=500000)
    """
    rest = text.strip()
    parts: list[tuple[float, str | None]] = []
    while rest:
        match = _PART.match(rest)
        if match is None:
            break
        parts.append((float(match[1]), match[2].lower() if match[2] else None))
        rest = rest[match.end() :].lstrip()
    if rest or not parts or (len(parts) > 1 and any(unit is None for _, unit in parts)):
        raise InvalidDuration(f"{text!r} is not a duration; write it as 10s, 5m, 1h, 1h30m or 1d")
    try:
        return timedelta(seconds=sum(number * _SECONDS[unit or "s"] for number, unit in parts))
    except OverflowError:
        raise InvalidDuration(f"{text!r} is too long a duration") from None


def format_duration(duration: timedelta) -> str:
    """Write *duration* the way :func:`parse_duration` reads it, largest unit first.

    Examples
    --------
    >>> format_duration(timedelta(hours=1, minutes=30))
    '1h30m'
    >>> format_duration(timedelta(seconds=2.5))
    '2.5s'
    """
    left = duration.total_seconds()
    if left < 0:
        return "-" + format_duration(-duration)
    words = []
    for unit, seconds in (("d", 86400), ("h", 3600), ("m", 60)):
        whole, left = divmod(left, seconds)
        if whole:
            words.append(f"{int(whole)}{unit}")
    if left or not words:
        words.append(f"{left:.3f}".rstrip("0").rstrip(".") + "s")
    return "".join(words)
