"""Time as the engine sees it; tests give another one."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Protocol

from jupyter_flows.schema.base import utc_now


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> datetime:
        """Return the present moment, aware."""

    def wait(self, seconds: float) -> None:
        """Let *seconds* pass; an interrupt ends it."""


class SystemClock:
    """The machine's time."""

    def now(self) -> datetime:
        """Return the present moment, in UTC."""
        return utc_now()

    def wait(self, seconds: float) -> None:
        """Sleep."""
        if seconds > 0:
            time.sleep(seconds)
