"""What to say where a name is unknown: the nearest that is there, else which there are. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

MOST_NAMED = 10


def listed(names: Iterable[str], *, most: int = MOST_NAMED) -> str:
    """Return names with commas, and how many more there are than *most*.

    Examples
    --------
    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    every = list(names)
    shown = ", ".join(every[:most])
    return shown if len(every) <= most else f"{shown} and {len(every) - most} more"


def near_or_all(wanted: str, names: Iterable[str]) -> str:
    """Return what to say to somebody who typed *wanted*, which is none of *names*.

    Examples
    --------
    >>> near_or_all("laod", ["load", "clean"])
    'did you mean load?'
    >>> near_or_all("x", ["load", "clean"])
    'there are load, clean'
    >>> near_or_all("x", [])
    'there are none'
    """
    every = list(names)
    near = get_close_matches(wanted, every, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"there are {listed(every) or 'none'}"
