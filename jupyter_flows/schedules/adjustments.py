"""What is done to the times that are left: adjustments of a schedule, by Prefect 1's names.

Each is called with a local time and returns a later one. Those of this module can be registered, as text.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from jupyter_flows.errors import InvalidSchedule

__all__ = ["Adjustment", "add", "adjustment_from_text", "next_weekday"]


class Adjustment(msgspec.Struct, frozen=True):
    """A change of a time that can be written down."""

    name: str
    seconds: float = 0.0

    @property
    def text(self) -> str:
        """The adjustment as the server keeps it."""
        return f"{self.name} {self.seconds:g}" if self.name == "add" else self.name

    @property
    def most(self) -> timedelta:
        """The most that it moves a time by."""
        return timedelta(seconds=abs(self.seconds)) if self.name == "add" else timedelta(days=3)

    @property
    def back(self) -> timedelta:
        """The most that it moves a time back by."""
        return timedelta(seconds=max(0.0, -self.seconds)) if self.name == "add" else timedelta()

    def __call__(self, dt: datetime) -> datetime:
        """Return the later time."""
        if self.name == "add":
            if dt.tzinfo is None:
                return dt + timedelta(seconds=self.seconds)
            # Elapsed time, also across a change of clocks.
            return (dt.astimezone(UTC) + timedelta(seconds=self.seconds)).astimezone(dt.tzinfo)
        days = {5: 2, 6: 1}.get(dt.weekday(), 0)
        return dt + timedelta(days=days)


def add(interval: timedelta) -> Adjustment:
    """Return an adjustment: so much later.

    Examples
    --------
    >>> add(timedelta(hours=5))(datetime(2030, 1, 1)).hour
    5
    """
    return Adjustment("add", interval.total_seconds())


next_weekday = Adjustment("next_weekday")
"""Saturdays and Sundays become the Monday after, at the same time of day."""


def adjustment_from_text(text: str) -> Adjustment:
    """Return the adjustment that a record describes.

    Raises
    ------
    InvalidSchedule : there is no such adjustment.
    """
    name, *words = text.split()
    try:
        if name == "add" and len(words) == 1:
            return Adjustment("add", float(words[0]))
    except ValueError:
        pass
    if text == "next_weekday":
        return next_weekday
    raise InvalidSchedule(f"schedule adjustment {text!r} is not known; known are add, next_weekday")
