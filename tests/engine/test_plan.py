"""The pure plan: events in, instructions out; what it makes of late, repeated and unexpected events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jupyter_flows import Task
from jupyter_flows.core import state
from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.engine.instructions import Propose, Settle, StartTask, WakeAt
from jupyter_flows.engine.plan import Plan

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def plan_of(*pairs, count=3, task_states=None, **options):
    tasks = [Task(name=f"t{number}", **options) for number in range(count)]
    graph = FlowGraph("plan", tasks=tasks)
    for up, down in pairs:
        graph.add_edge(tasks[up], tasks[down])
    return Plan(graph, task_states={tasks[place]: given for place, given in (task_states or {}).items()})


def kinds(instructions):
    return [(type(own).__name__, own.place) for own in instructions]


def test_roots_start_and_their_ends_start_the_rest():
    plan = plan_of((0, 1), (1, 2))
    assert plan.begin(NOW) == [StartTask(0, 1)]
    done = state.Success()
    assert plan.attempt_ended(0, done, now=NOW) == [Settle(0, done), StartTask(1, 1)]


def test_a_task_starts_once_all_its_upstreams_ended():
    plan = plan_of((0, 2), (1, 2))
    assert kinds(plan.begin(NOW)) == [("StartTask", 0), ("StartTask", 1)]
    assert kinds(plan.attempt_ended(1, state.Success(), now=NOW)) == [("Settle", 1)]
    assert kinds(plan.attempt_ended(0, state.Success(), now=NOW)) == [("Settle", 0), ("StartTask", 2)]


def test_an_end_told_twice_counts_once():
    plan = plan_of((0, 1), count=2)
    plan.begin(NOW)
    assert len(plan.attempt_ended(0, state.Success(), now=NOW)) == 2
    assert plan.attempt_ended(0, state.Failed(), now=NOW) == []
    assert isinstance(plan.states[0], state.Success)


def test_a_failure_is_proposed_for_a_retry_and_wakes_after_the_delay():
    plan = plan_of(count=1, max_retries=1, retry_delay=timedelta(seconds=9))
    plan.begin(NOW)
    (proposal,) = plan.attempt_ended(0, state.Failed("bad"), now=NOW)
    assert isinstance(proposal, Propose)
    assert proposal.state.message == "attempt 1 of 2 failed: bad"
    settle, wake = plan.entered(0, proposal.state, now=NOW)
    assert (settle.state, wake) == (proposal.state, WakeAt(0, NOW + timedelta(seconds=9)))
    assert plan.time_reached(0, now=NOW) == [StartTask(0, 2)]
    assert kinds(plan.attempt_ended(0, state.Failed(), now=NOW)) == [("Settle", 0)]


def test_a_handler_that_refuses_the_retry_is_not_asked_again():
    plan = plan_of(count=1, max_retries=5, retry_delay=1)
    plan.begin(NOW)
    plan.attempt_ended(0, state.Failed(), now=NOW)
    assert kinds(plan.entered(0, state.Failed("enough"), now=NOW)) == [("Settle", 0)]


def test_after_a_cancel_nothing_starts():
    plan = plan_of((0, 1), count=3, max_retries=1, retry_delay=1)
    plan.begin(NOW)
    plan.started(0, state.Running())
    cancelled = plan.cancel_asked()
    assert [own.state.message for own in cancelled] == [
        "the run was cancelled while it ran",
        "the run was cancelled before it began",
        "the run was cancelled before it began",
    ]
    assert plan.attempt_ended(0, state.Failed(), now=NOW) == []
    assert plan.time_reached(1, now=NOW) == []
    assert isinstance(plan.final_state(), state.Cancelled)


def test_a_retrying_state_that_is_given_counts_on():
    at = NOW + timedelta(seconds=30)
    plan = plan_of(
        count=1, max_retries=3, retry_delay=1, task_states={0: state.Retrying(start_time=at, run_count=2)}
    )
    assert kinds(plan.begin(NOW)) == [("Settle", 0), ("WakeAt", 0)]
    assert plan.time_reached(0, now=NOW) == [StartTask(0, 3)]


def test_given_ends_pass_through_without_a_call():
    plan = plan_of((0, 1), (1, 2), task_states={0: state.Success(), 1: state.Failed()})
    found = plan.begin(NOW)
    assert kinds(found) == [("Settle", 0), ("Settle", 1), ("Propose", 2)]
    assert isinstance(found[-1].state, state.TriggerFailed)


def test_a_flow_without_a_failed_reference_task_succeeds_though_one_looped():
    plan = plan_of(count=1, task_states={0: state.Looped()})
    plan.begin(NOW)
    final = plan.final_state()
    assert (type(final), final.message) == (state.Success, "No reference tasks failed.")
