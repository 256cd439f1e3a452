"""How a run's end is told, and how long a lease is trusted."""

from __future__ import annotations

import signal
from itertools import islice
from typing import Any

import pytest

from jupyter_flows.agent.policy import (
    HandedBack,
    Nothing,
    StopAsked,
    final_item,
    ladder,
    open_tasks_ended,
    trusted_until,
)
from jupyter_flows.schema.base import utc_now
from jupyter_flows.schema.runs import FinishItem, Lease, StateRecord, TaskStateItem

NOW = utc_now()


def end(**changes: Any) -> FinishItem | HandedBack | Nothing:
    values = {
        "reported": None,
        "returncode": 0,
        "asked": None,
        "on_lost": "fail",
        "limit_s": 60.0,
        "now": NOW,
    }
    return final_item(**{**values, **changes})


def reported(name: str) -> FinishItem:
    return FinishItem(state=StateRecord(type=name, at=NOW))


def test_a_reported_end_is_told_as_it_is() -> None:
    assert reported("Failed") == end(reported=reported("Failed"))


@pytest.mark.parametrize(
    ("returncode", "words"),
    [(3, "exit code 3"), (-9, "killed by signal 9"), (-11, "segmentation fault (signal 11)")],
)
def test_a_process_that_died_is_told_with_its_cause(returncode: int, words: str) -> None:
    item = end(returncode=returncode)
    assert isinstance(item, FinishItem)
    assert item.state.type == "Failed"
    assert f"the run's process died: {words}" in item.state.message


def test_a_cancel_that_came_too_late_keeps_the_success() -> None:
    assert reported("Success") == end(reported=reported("Success"), asked=StopAsked(cause="cancel"))


def test_a_cancelled_run_is_cancelled_whatever_its_process_said() -> None:
    item = end(reported=reported("Failed"), asked=StopAsked(cause="cancel"))
    assert isinstance(item, FinishItem)
    assert item.state.type == "Cancelled"


def test_a_timeout_names_its_limit() -> None:
    item = end(asked=StopAsked(cause="timeout"), returncode=-9)
    assert isinstance(item, FinishItem)
    assert item.state.message == "the run took longer than its total timeout of 60 s"


def test_a_stopped_agent_hands_back_only_what_may_be_rerun() -> None:
    asked = StopAsked(cause="agent", message="the agent was stopped")
    assert HandedBack(message="the agent was stopped") == end(asked=asked, on_lost="rerun")
    item = end(asked=asked)
    assert isinstance(item, FinishItem)
    assert item.state.type == "Failed"


def test_a_superseded_run_tells_nothing() -> None:
    assert Nothing() == end(reported=reported("Success"), asked=StopAsked(cause="superseded"))


def test_the_ladder_is_polite_first() -> None:
    steps = [step for step, _ in islice(ladder(StopAsked(cause="cancel"), grace_s=1), 4)]
    assert [signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGKILL] == steps
    at_once = [step for step, _ in islice(ladder(StopAsked(cause="agent", at_once=True), grace_s=1), 1)]
    assert [signal.SIGKILL] == at_once


def test_a_lease_is_trusted_from_when_it_was_asked_for() -> None:
    lease = Lease(run_id="0" * 32, token=1, ttl_s=60, heartbeat_s=10)
    assert 150.0 == trusted_until(lease, sent_at=100.0, margin_s=10)


def test_only_tasks_under_way_get_an_end() -> None:
    def task(slug: str, name: str) -> TaskStateItem:
        return TaskStateItem(slug=slug, name=slug, state=StateRecord(type=name, at=NOW))

    items = [task("a", "Running"), task("a", "Success"), task("b", "Running"), task("c", "Retrying")]
    ended = open_tasks_ended(items, StateRecord(type="Failed", at=NOW), now=NOW)
    assert {"b": "Failed", "c": "Failed"} == {item.slug: item.state.type for item in ended}
