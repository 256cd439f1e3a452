"""What the states of a task's upstreams, and its own, make of it: Prefect 1's rules. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jupyter_flows.core import state as states
from jupyter_flows.core.edge import Edge
from jupyter_flows.core.signals import TRIGGERFAIL, PrefectStateSignal
from jupyter_flows.core.state import State
from jupyter_flows.core.task import Task
from jupyter_flows.core.triggers import all_successful, manual_only
from jupyter_flows.engine.limits import RunTimedOut
from jupyter_flows.engine.wiring import Into

Seen = Sequence[tuple[Into, State]]
"""The judged edges into a task, with the states of their upstreams."""


def skipped(task: Task, seen: Seen, *, expands: bool = False) -> State | None:
    """Return Skipped if an upstream was skipped and the task follows it.

    Parameters
    ----------
    task : Task
    seen : sequence of (Into, State)
    expands : bool
        The task is about to be mapped: each of its children looks at its own upstream child.
    """
    if not task.skip_on_upstream_skip:
        return None
    for into, state in seen:
        if type(state) is states.Success:
            continue
        if isinstance(state, states.Skipped) or (
            isinstance(state, states.Mapped)
            and not (expands and into.edge.mapped)
            and any(isinstance(child, states.Skipped) for child in state.map_states)
        ):
            return states.Skipped(f"upstream task {into.edge.upstream_task.name} was skipped")
    return None


def refused(task: Task, seen: Seen, *, resume: bool = False) -> State | None:
    """Return the state that the task's trigger gives it instead of letting it run, or None."""
    if task.trigger is all_successful:
        for _, state in seen:
            if not isinstance(state, states.Success) or (
                type(state) is states.Mapped
                and not all(isinstance(child, states.Success) for child in state.map_states)
            ):
                break
        else:
            return None
    elif task.trigger is manual_only and resume:
        return None
    return refusal(task, {into.edge: state for into, state in seen})


def refusal(task: Task, upstream_states: Mapping[Edge, State]) -> State | None:
    """Return the state that a task's trigger refuses with, or None if it lets the task run."""
    try:
        if task.trigger(upstream_states):
            return None
    except PrefectStateSignal as signal:
        return signal.state
    except Exception as error:  # noqa: BLE001 - a trigger is the user's code
        return states.TriggerFailed(f"the trigger of task {task.name} raised {type(error).__name__}", error)
    name = getattr(task.trigger, "__name__", type(task.trigger).__name__)
    return TRIGGERFAIL(f"trigger {name} said no").state


def may_retry(task: Task, state: State, attempts: int) -> bool:
    """Whether a task that ended in *state* after so many attempts is tried again."""
    if attempts > task.max_retries or isinstance(state, states.TriggerFailed):
        return False
    if isinstance(state.result, RunTimedOut) or "ends_run" in state.context:
        return False
    return not task.retry_on or isinstance(state.result, task.retry_on)


def mapped(children: list[State]) -> State:
    """Return the state of a mapped task whose children are in these states."""
    failed = sum(state.is_failed() for state in children)
    skips = sum(isinstance(state, states.Skipped) for state in children)
    told = f"{len(children)} children" + (f", {failed} failed" if failed else "")
    told += f", {skips} skipped" if skips else ""
    return states.Mapped(told, [state.result for state in children], map_states=children)


def flow_state(reference: Sequence[State]) -> tuple[type[State], str]:
    """Return what a flow ends in whose reference tasks ended in these states, and the sentence for it.

    A mapped task's children count in its place.

    Examples
    --------
    >>> flow_state([states.Success(), states.Mapped(map_states=[states.Failed()])])[1]
    'Some reference tasks failed.'
    """
    every = [one for state in reference for one in states.expanded(state)]
    if any(state.is_failed() for state in every):
        return states.Failed, "Some reference tasks failed."
    if all(state.is_successful() for state in every):
        return states.Success, "All reference tasks succeeded."
    return states.Success, "No reference tasks failed."
