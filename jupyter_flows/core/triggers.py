"""Rules that look at the states of a task's upstreams and let it run, or not (Prefect 1's triggers). Pure.

A trigger is called with the states of the upstream tasks, each by its edges, and returns True or
raises :class:`~jupyter_flows.core.signals.TRIGGERFAIL` with its sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from jupyter_flows.core.signals import TRIGGERFAIL
from jupyter_flows.core.state import State

Trigger = Callable[[Collection[State]], bool]


def all_finished(upstream_states: Collection[State]) -> bool:
    """Run when every upstream has ended, well or not."""
    if not all(state.is_finished() for state in upstream_states):
        raise TRIGGERFAIL('Trigger was "all_finished" but some of the upstream tasks were not finished.')
    return True


always_run = all_finished


def all_successful(upstream_states: Collection[State]) -> bool:
    """Run when every upstream succeeded (skipped ones count); the default."""
    if not all(state.is_successful() for state in upstream_states):
        raise TRIGGERFAIL('Trigger was "all_successful" but some of the upstream tasks failed.')
    return True


def all_failed(upstream_states: Collection[State]) -> bool:
    """Run when every upstream failed."""
    if not all(state.is_failed() for state in upstream_states):
        raise TRIGGERFAIL('Trigger was "all_failed" but some of the upstream tasks succeeded.')
    return True


def any_successful(upstream_states: Collection[State]) -> bool:
    """Run when at least one upstream succeeded."""
    if upstream_states and not any(state.is_successful() for state in upstream_states):
        raise TRIGGERFAIL('Trigger was "any_successful" but none of the upstream tasks succeeded.')
    return True


def any_failed(upstream_states: Collection[State]) -> bool:
    """Run when at least one upstream failed."""
    if upstream_states and not any(state.is_failed() for state in upstream_states):
        raise TRIGGERFAIL('Trigger was "any_failed" but none of the upstream tasks failed.')
    return True


def not_all_skipped(upstream_states: Collection[State]) -> bool:
    """Run when every upstream succeeded and not all of them were skipped."""
    if upstream_states and all(state.is_skipped() for state in upstream_states):
        raise TRIGGERFAIL('Trigger was "not_all_skipped" but all of the upstream tasks were skipped.')
    if not all(state.is_successful() for state in upstream_states):
        raise TRIGGERFAIL('Trigger was "not_all_skipped" but some of the upstream tasks failed.')
    return True


BY_NAME: dict[str, Trigger] = {
    "all_successful": all_successful,
    "all_failed": all_failed,
    "any_successful": any_successful,
    "any_failed": any_failed,
    "all_finished": all_finished,
    "always_run": always_run,
    "not_all_skipped": not_all_skipped,
}
"""The triggers by name, as ``%%task --trigger NAME`` takes them."""
