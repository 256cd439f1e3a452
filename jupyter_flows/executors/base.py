"""How the engine has task attempts called: here, in threads, or elsewhere.

An executor is what a flow carries (options, picklable); :meth:`Executor.open` gives the calls of one run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Calls(Protocol):
    """Calls functions for one run and hands back what they gave, as they end."""

    def has_room(self) -> bool:
        """Whether another call would begin at once."""

    def submit(self, key: Any, function: Callable[..., Any], *args: Any) -> None:
        """Have *function* called with *args*; its value comes back under *key*."""

    def next_done(self, timeout_s: float | None) -> tuple[Any, Any] | None:
        """Return a key with its value, waiting at most *timeout_s*; None if nothing ended.

        Raises what the function raised: attempts of tasks raise nothing but interrupts.
        """

    def interrupt(self) -> None:
        """Make what is under way stop, as far as that can be done."""

    def close(self) -> None:
        """Let go of everything."""


class Executor(Protocol):
    """Says how the tasks of a run are called."""

    def open(self) -> Calls:
        """Get ready for one run."""
