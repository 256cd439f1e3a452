"""How the engine has task attempts called: here, or in threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Executor(Protocol):
    """Calls functions and hands back what they gave, as they end."""

    def start(self) -> None:
        """Get ready for a run."""

    def shutdown(self) -> None:
        """Let go of everything; waits for what is under way."""

    def submit(self, key: Any, function: Callable[[], Any]) -> None:
        """Have *function* called; its value comes back under *key*."""

    def has_room(self) -> bool:
        """Whether another call would begin at once."""

    def next_done(self, timeout_s: float | None) -> tuple[Any, Any] | None:
        """Return a key with its value, waiting at most *timeout_s*; None if nothing ended."""
