"""Flows: registered, versioned, scheduled, paused, explained. On SQLite and PostgreSQL alike."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from jupyter_flows.errors import (
    InvalidLabel,
    InvalidParameters,
    InvalidRequest,
    InvalidSchedule,
    NotFound,
    Refused,
)
from jupyter_flows.schema.events import FlowChanged
from jupyter_flows.schema.flows import EdgeSpec, TaskSpec
from jupyter_flows.schema.refs import ScheduleRef
from jupyter_flows.schema.runs import CreateRun

from .conftest import every, finish, parameter, report


def test_an_unchanged_flow_makes_no_new_version(desk):
    first, again = desk.register(), desk.register()
    assert (first.created, again.created) == (True, False)
    assert again.version == first.version


def test_a_changed_flow_makes_the_next_version_and_old_ones_stay(desk):
    desk.register()
    assert desk.register(labels=("gpu",)).version.version == 2
    detail = desk.ask("get_flow", flow="etl", version=1)
    assert (detail.version.spec.labels, detail.summary.version, detail.versions) == ((), 2, (2, 1))
    with pytest.raises(NotFound, match="has no version 9; its newest is 2"):
        desk.ask("get_flow", flow="etl", version=9)


def test_the_receipt_names_agents_and_next_times(desk):
    desk.join("gpu", name="lab-3")
    desk.join(name="plain")
    result = desk.register(labels=("gpu",), schedules=(every(3600),))
    assert [(m.agent, m.takes, m.reason) for m in result.agents] == [
        ("lab-3", True, ""),
        ("plain", False, "does not offer gpu"),
    ]
    hours = [b - a for a, b in zip(result.next_runs, result.next_runs[1:], strict=False)]
    assert hours == [timedelta(hours=1)] * 2


def test_registering_at_once_makes_one_version(desk):
    """Twelve threads, the same content: one version, and all are told so."""
    results, barrier = [], threading.Barrier(12)

    def register():
        barrier.wait()
        results.append(desk.register())

    threads = [threading.Thread(target=register) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {result.version.version for result in results} == {1}
    assert sum(result.created for result in results) == 1


@pytest.mark.parametrize(
    ("facts", "error", "words"),
    [
        ({"labels": ("my label",)}, InvalidLabel, "has a space"),
        ({"edges": (EdgeSpec(upstream="extract", downstream="nowhere"),)}, InvalidRequest, "'nowhere'"),
        ({"tasks": (TaskSpec(slug="a", name="a"),) * 2, "edges": ()}, InvalidRequest, "two tasks"),
        ({"name": "a\nb"}, InvalidRequest, "is no name"),
        ({"schedules": (ScheduleRef(kind="cron", options={"cron": "0 0 30 2 *"}),)}, InvalidSchedule, "never fires"),
        ({"schedules": (ScheduleRef(kind="moon"),)}, InvalidSchedule, "'moon'"),
        ({"schedules": (every(60), every(60))}, InvalidSchedule, "twice"),
        ({"schedules": (every(60, parameters={"x": 1}),)}, InvalidParameters, "no parameter 'x'"),
        (
            {"parameters": (parameter("year", required=True),), "schedules": (every(60),)},
            InvalidSchedule,
            "cannot run on a schedule: its parameter 'year' has no default",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_and_nothing_is_kept(desk, facts, error, words):
    with pytest.raises(error, match=words):
        desk.register(**facts)
    assert desk.ask("list_flows").flows == ()


def test_a_schedule_may_set_what_has_no_default(desk):
    parameters = (parameter("year", required=True),)
    desk.register(parameters=parameters, schedules=(every(60, parameters={"year": 2030}, labels=("big",)),))
    (run,) = desk.runs()
    assert (run.parameters, run.labels, run.auto_scheduled) == ({"year": 2030}, ("big",), True)


def test_names_in_several_projects_are_told_apart(desk):
    desk.register()
    desk.register(project="other")
    with pytest.raises(NotFound, match="say which one: default/etl, other/etl"):
        desk.ask("get_flow", flow="etl")
    assert desk.ask("get_flow", flow="other/etl").summary.project == "other"


def test_pages_of_flows_leave_none_out(desk):
    for number in range(7):
        desk.register(name=f"flow-{number}", project="p" if number % 2 else "q")
    found, after = [], None
    while True:
        page = desk.ask("list_flows", limit=3, **({"after": after} if after else {}))
        found += [flow.name for flow in page.flows]
        after = page.next
        if after is None:
            break
    assert found == [f"flow-{number}" for number in range(7)]
    assert len(desk.ask("list_flows", project="p").flows) == 3


# -- schedules ---------------------------------------------------------------------------------------


def test_the_next_run_is_there_before_it_is_due_and_the_one_after_when_it_is(desk):
    desk.register(schedules=(every(600),))
    (first,) = desk.runs()
    assert first.scheduled_at > desk.clock.now
    summary = desk.ask("get_flow", flow="etl").summary
    assert (summary.next_run_at, summary.schedule_text) == (first.scheduled_at, "every 10 minutes")
    desk.clock.now = first.scheduled_at
    desk.tick()
    second, again = desk.runs()
    assert again.id == first.id
    assert second.scheduled_at - first.scheduled_at == timedelta(minutes=10)


def test_a_tick_makes_nothing_twice(desk):
    desk.register(schedules=(every(600),))
    desk.clock.now += timedelta(minutes=10)
    for _ in range(5):
        desk.tick()
    assert len(desk.runs()) == 2


def test_after_downtime_the_last_missed_runs_and_the_others_are_told(desk):
    """The first tick of a server that starts: of 144 missed occurrences one runs."""
    desk.register(schedules=(every(600),))
    (first,) = desk.runs()
    desk.clock.now = first.scheduled_at + timedelta(days=1, seconds=3)
    desk.tick()
    runs = {run.scheduled_at: run for run in desk.runs()}
    due = [
        run for run in runs.values() if run.state.type == "Scheduled" and run.scheduled_at <= desk.clock.now
    ]
    assert [run.scheduled_at for run in due] == [first.scheduled_at + timedelta(days=1)]
    assert runs[first.scheduled_at].state.type == "Skipped"
    assert runs[first.scheduled_at].state.message.startswith("missed: no server was running")
    missed = [
        body.change for body in desk.events() if isinstance(body, FlowChanged) and "missed" in body.change
    ]
    assert len(missed) == 1
    assert missed[0].startswith("missed 144 from")


def test_while_the_server_runs_no_occurrence_is_merged(desk):
    desk.register(schedules=(every(10),))
    (first,) = desk.runs()
    desk.tick()
    desk.clock.now = first.scheduled_at + timedelta(seconds=35)
    desk.tick()
    times = sorted(run.scheduled_at for run in desk.runs())
    assert times == [first.scheduled_at + timedelta(seconds=10 * n) for n in range(5)]
    assert {run.state.type for run in desk.runs()} == {"Scheduled"}


def test_runs_that_nobody_takes_do_not_pile_up_without_end(desk):
    desk.register(schedules=(every(1),))
    desk.tick()
    for _ in range(3):
        desk.clock.now += timedelta(seconds=50)
        desk.tick()
    waiting = desk.runs(state="Scheduled", limit=1000)
    withdrawn = desk.runs(state="Skipped", limit=1000)
    assert 100 <= len(waiting) <= 103
    assert all("100 later scheduled runs of etl wait" in run.state.message for run in withdrawn)
    assert len(waiting) + len(withdrawn) >= 150


def test_a_paused_flow_makes_no_runs_and_withdraws_those_not_started(desk):
    desk.register(schedules=(every(600),))
    (first,) = desk.runs()
    desk.clock.now = first.scheduled_at
    desk.tick()
    manual = desk.ask("create_run", CreateRun(), flow="etl")
    assert desk.ask("pause_flow", flow="etl").paused is True
    left = {run.id: run.state.type for run in desk.runs()}
    assert left == {first.id: "Skipped", manual.id: "Scheduled"}
    desk.clock.now += timedelta(hours=2)
    desk.tick()
    assert len(desk.runs()) == 2
    resumed = desk.ask("resume_flow", flow="etl")
    assert resumed.paused is False
    (new,) = [run for run in desk.runs() if run.id not in left]
    assert new.scheduled_at > desk.clock.now


def test_pause_and_resume_within_one_period_keep_the_occurrence(desk):
    desk.register(schedules=(every(600),))
    (before,) = desk.runs()
    desk.ask("pause_flow", flow="etl")
    assert desk.runs() == ()
    desk.ask("resume_flow", flow="etl")
    (after,) = desk.runs()
    assert after.scheduled_at == before.scheduled_at


def test_a_persons_pause_outlives_registering(desk):
    desk.register(schedules=(every(600),))
    desk.ask("pause_flow", flow="etl")
    assert desk.register(schedules=(every(600),), labels=("x",)).paused is True
    assert desk.runs() == ()


def test_what_registering_paused_registering_lets_go_on(desk):
    assert desk.register(schedules=(every(600),), activate=False).paused is True
    assert desk.runs() == ()
    result = desk.register(schedules=(every(600),))
    assert (result.paused, result.created, len(result.next_runs)) == (False, False, 3)
    assert len(desk.runs()) == 1


def test_a_changed_schedule_withdraws_its_runs(desk):
    desk.register(schedules=(every(600),))
    (old,) = desk.runs()
    desk.clock.now = old.scheduled_at
    desk.tick()
    desk.register(schedules=(every(3600),))
    by_state = {run.state.type: run for run in desk.runs()}
    assert by_state["Skipped"].state.message == "withdrawn: the flow's schedule changed"
    assert by_state["Scheduled"].scheduled_at.minute == 0
    assert len(desk.runs()) == 2


def test_dates_end(desk):
    at = (desk.clock.now + timedelta(minutes=1)).isoformat()
    desk.register(schedules=(ScheduleRef(kind="dates", options={"dates": [at]}),))
    desk.clock.now += timedelta(minutes=2)
    desk.tick()
    desk.tick()
    assert len(desk.runs()) == 1


# -- explain, delete -----------------------------------------------------------------------------------


def test_explain_answers_where_who_when_and_why(desk):
    desk.register(labels=("gpu",), schedules=(every(3600),))
    run = desk.ask("create_run", CreateRun(), flow="etl")
    answer = desk.ask("explain_flow", flow="etl")
    assert answer.where_code == "in local storage at /srv/flows/etl.pkl, sha256 aaaaaaaaaaaa..."
    assert answer.what_server_has.endswith("no code")
    assert answer.schedule == "every hour"
    assert answer.waiting[run.name] == (
        "no agent has ever asked for runs; start one with `jupyter flows agent start`",
    )
    assert answer.sentences == ("no agent would take it now",)


def test_a_flow_with_a_run_at_an_agent_is_not_deleted(desk):
    desk.register(schedules=(every(600),))
    run = desk.ask("create_run", CreateRun(), flow="etl")
    claim = desk.begin(desk.join())
    with pytest.raises(Refused, match="a run is with an agent"):
        desk.ask("delete_flow", flow="etl")
    desk.ask("report_run", report(claim.lease.token, finish()), run=run.id)
    desk.ask("delete_flow", flow="etl")
    with pytest.raises(NotFound):
        desk.ask("get_flow", flow="etl")
    assert desk.runs() == ()
    assert desk.register().version.version == 1


# -- agents ------------------------------------------------------------------------------------------


def test_a_restarted_agent_keeps_its_name_and_a_second_one_gets_a_suffix(desk, monkeypatch):
    first = desk.join(name="lab", pid=1)
    assert desk.join(name="lab", pid=2).name == "lab"
    monkeypatch.setattr(desk.service, "is_polling", lambda agent_id: agent_id == first.id)
    assert desk.join(name="lab", pid=3).name == "lab-2"
    assert desk.join(name="lab", pid=4, host="elsewhere").name == "lab-3"


def test_a_silent_agent_is_told_to_be_gone(desk):
    desk.join(name="lab")
    desk.clock.now += timedelta(seconds=91)
    desk.tick()
    (agent,) = desk.ask("list_agents").agents
    assert agent.alive is False
    assert [body.agent.alive for body in desk.events() if hasattr(body, "agent")] == [True, False]
    desk.claim(agent)
    assert desk.ask("list_agents").agents[0].alive is True
    desk.clock.now += timedelta(days=8)
    assert desk.ask("list_agents").agents == ()
