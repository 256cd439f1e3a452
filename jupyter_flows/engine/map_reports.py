"""What is told of a mapped task's children: how many ended in what, not each of them.

A map over 100,000 items must not send 100,000 records. Failed and paused children are told one by one, up
to a hundred of a task; of the rest the parent's message counts, at most twice a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from jupyter_flows.core import state as states
from jupyter_flows.core.state import State
from jupyter_flows.engine.plan import Plan

ONE_BY_ONE = 100
"""How many failed or paused children of a task are told by themselves."""
EVERY_S = 0.5
"""How often a mapped task's progress is told."""


class _Progress(msgspec.Struct):
    done: int = 0
    failed: int = 0
    named: int = 0
    told_at: float = 0.0


class MapReports:
    """Sums up children for a reporter.

    Parameters
    ----------
    tell : callable
        ``(place, state)``: passes a state on as that of the task at this place.
    """

    def __init__(self, tell: Callable[[int, State], None]) -> None:
        self._tell = tell
        self._by_parent: dict[int, _Progress] = {}

    def child(self, plan: Plan, place: int, state: State) -> None:
        """A child entered *state*."""
        parent = plan.parent(place)
        progress = self._by_parent.setdefault(parent, _Progress())
        if state.is_finished() and not isinstance(state, states.Looped):
            progress.done += 1
            progress.failed += state.is_failed()
        if (state.is_failed() or isinstance(state, states.Paused)) and progress.named < ONE_BY_ONE:
            progress.named += 1
            self._tell(place, state)
        now = time.monotonic()
        if now - progress.told_at >= EVERY_S:
            progress.told_at = now
            failed = f", {progress.failed} failed" if progress.failed else ""
            count = len(plan.children[parent])
            self._tell(parent, states.Running(f"{progress.done} of {count} children done{failed}"))

    def parent(self, place: int, state: State) -> None:
        """A mapped task entered *state*."""
        self._by_parent.pop(place, None)
        self._tell(place, state)
