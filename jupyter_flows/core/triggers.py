"""Rules that look at the states of a task's upstreams and let it run, or not (Prefect 1's triggers). Pure.

A trigger is called with ``{edge: state}`` when all upstreams have ended, and returns True or raises a
signal. Skipped counts as successful, TriggerFailed as failed. A task without upstreams may always run,
except under ``not_all_skipped`` and ``manual_only``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jupyter_flows.core.signals import PAUSE, SKIP, TRIGGERFAIL
from jupyter_flows.core.state import State, expanded

Trigger = Callable[[Mapping[Any, State]], bool]


def _require(trigger: str, upstream_states: Mapping[Any, State], is_right: Callable[[State], bool]) -> bool:
    """Let the task run if every state is right; else say which is not."""
    wrong = [(edge, state) for edge, state in _each(upstream_states) if not is_right(state)]
    if wrong:
        raise TRIGGERFAIL(f"trigger {trigger}: {_tell(wrong)}")
    return True


def _each(upstream_states: Mapping[Any, State]) -> list[tuple[Any, State]]:
    """Return edges with states, those of a mapped upstream's children in its place."""
    return [(edge, one) for edge, state in upstream_states.items() for one in expanded(state)]


def _tell(found: list[tuple[Any, State]]) -> str:
    edge, state = found[0]
    name = getattr(getattr(edge, "upstream_task", None), "name", edge)
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return f"upstream task {name} ended {type(state).__name__}{more}"


def all_finished(upstream_states: Mapping[Any, State]) -> bool:
    """Run when every upstream has ended, well or not."""
    return _require("all_finished", upstream_states, State.is_finished)


always_run = all_finished


def all_successful(upstream_states: Mapping[Any, State]) -> bool:
    """Run when every upstream succeeded (skipped ones count); the default."""
    return _require("all_successful", upstream_states, State.is_successful)


def all_failed(upstream_states: Mapping[Any, State]) -> bool:
    """Run when every upstream failed."""
    return _require("all_failed", upstream_states, State.is_failed)


def any_successful(upstream_states: Mapping[Any, State]) -> bool:
    """Run when at least one upstream succeeded."""
    found = _each(upstream_states)
    if upstream_states and not any(state.is_successful() for _, state in found):
        raise TRIGGERFAIL("trigger any_successful: no upstream task succeeded")
    return True


def any_failed(upstream_states: Mapping[Any, State]) -> bool:
    """Run when at least one upstream failed."""
    found = _each(upstream_states)
    if upstream_states and not any(state.is_failed() for _, state in found):
        raise TRIGGERFAIL("trigger any_failed: no upstream task failed")
    return True


def not_all_skipped(upstream_states: Mapping[Any, State]) -> bool:
    """Run when every upstream succeeded and not all of them were skipped; skip when all were."""
    if all(state.is_skipped() for _, state in _each(upstream_states)):
        raise SKIP("trigger not_all_skipped: all upstream tasks were skipped")
    return _require("not_all_skipped", upstream_states, State.is_successful)


def manual_only(upstream_states: Mapping[Any, State]) -> bool:
    """Never run by itself: wait, Paused, until the run is resumed with ``task_states={task: Resume()}``."""
    del upstream_states
    raise PAUSE("waits for a person's approval")


def some_failed(at_least: float | None = None, at_most: float | None = None) -> Trigger:
    """Return a trigger: run when the number of failed upstreams is within bounds.

    Parameters
    ----------
    at_least, at_most : number, optional
        Counts; a number below 1 is a share of the upstreams.
    """

    def some_failed(upstream_states: Mapping[Any, State]) -> bool:
        found = _each(upstream_states)
        if not upstream_states:
            return True
        return _within("some_failed", sum(s.is_failed() for _, s in found), len(found), at_least, at_most)

    return some_failed


def some_successful(at_least: float | None = None, at_most: float | None = None) -> Trigger:
    """Return a trigger: run when the number of successful upstreams is within bounds.

    Parameters
    ----------
    at_least, at_most : number, optional
        Counts; a number below 1 is a share of the upstreams.
    """

    def some_successful(upstream_states: Mapping[Any, State]) -> bool:
        found = _each(upstream_states)
        if not upstream_states:
            return True
        good = sum(state.is_successful() for _, state in found)
        return _within("some_successful", good, len(found), at_least, at_most)

    return some_successful


def _within(trigger: str, count: int, total: int, at_least: float | None, at_most: float | None) -> bool:
    low = 0.0 if at_least is None else at_least * total if at_least < 1 else at_least
    high = float(total) if at_most is None else at_most * total if at_most < 1 else at_most
    if low <= count <= high:
        return True
    what = "failed" if trigger == "some_failed" else "succeeded"
    raise TRIGGERFAIL(
        f"trigger {trigger}: {count} of {total} upstream tasks {what}, wanted {low:g} to {high:g}"
    )


BY_NAME: dict[str, Trigger] = {
    "all_successful": all_successful,
    "all_failed": all_failed,
    "any_successful": any_successful,
    "any_failed": any_failed,
    "all_finished": all_finished,
    "always_run": always_run,
    "not_all_skipped": not_all_skipped,
    "manual_only": manual_only,
}
"""The triggers by name, as ``%%task --trigger NAME`` takes them."""
