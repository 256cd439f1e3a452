"""How the engine has task attempts called: here, in threads, or elsewhere.

An executor is what a flow carries (options, picklable); :meth:`Executor.open` gives the calls of one run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from jupyter_flows.errors import InvalidFlow


def at_least_one(number: Any, what: str) -> int:
    """Return *number* if that many can work.

    Raises
    ------
    InvalidFlow : it is no whole number, or less than 1; *what* names it.
    """
    if isinstance(number, bool) or not isinstance(number, int):
        msg = f"{what} is {number!r}; it takes a whole number"
        raise InvalidFlow(msg)
    if number < 1:
        msg = f"{what} is {number}; it takes at least 1"
        raise InvalidFlow(msg)
    return number


class Calls(Protocol):
    """Calls functions for one run and hands back what they gave, as they end.

    May have ``takes(task)``, which says whether a place where just this task can run is free, and keeps it.
    """

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
    """Says how the tasks of a run are called.

    ``runs_cells`` tells whether tasks see this process's memory, as cells of a notebook must, which share
    one namespace; without that a flow with cells is refused before anything runs. An executor may have
    ``check(tasks)``, which raises ``InvalidFlow`` for tasks that it cannot run, also before.
    """

    @property
    def runs_cells(self) -> bool:
        """Whether tasks see this process's memory."""

    def open(self) -> Calls:
        """Get ready for one run."""
