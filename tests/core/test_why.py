"""Why a run has not started, in sentences that say what to do."""

from datetime import UTC, datetime, timedelta

from jupyter_flows.core.why import match_agents, why_waiting
from jupyter_flows.schema.agents import AgentRecord
from jupyter_flows.schema.base import check
from jupyter_flows.schema.runs import RunRecord, StateRecord

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def run(state="Scheduled", **facts) -> RunRecord:
    return RunRecord(**{
        "id": "0" * 32, "name": "calm-otter-417", "flow_id": "1" * 32, "flow_name": "etl", "version": 1,
        "version_id": "2" * 32, "state": StateRecord(type=state, at=NOON), "scheduled_at": NOON,
        "created_at": NOON, "agent": "lab", **facts,
    })  # fmt: skip


def agent(name, *labels, **facts) -> AgentRecord:
    return AgentRecord(
        **{"id": "a" * 32, "name": name, "labels": labels, "started_at": NOON, "last_seen_at": NOON, **facts}
    )


def why(record, *agents, paused=False):
    return why_waiting(record, agents, now=NOON, flow_paused=paused)


def test_no_agent_at_all():
    assert why(run()) == ("no agent has ever asked for runs; start one with `jupyter flows agent start`",)


def test_no_agent_is_running():
    gone = agent("other", "x", alive=False)
    assert why(run(labels=("gpu",)), gone) == (
        "no agent is running; start one with `jupyter flows agent start -l gpu`",
    )


def test_the_nearest_agent_and_what_it_lacks_are_named():
    reasons = why(run(labels=("big", "gpu")), agent("far", "x"), agent("near", "gpu"))
    (reason,) = reasons
    assert reason == (
        "no living agent offers big, gpu: the nearest, near, lacks big; "
        "start one with `jupyter flows agent start -l big -l gpu`"
    )


def test_the_agent_that_would_take_it_is_away():
    reasons = why(run(labels=("gpu",)), agent("lab-3", "gpu", alive=False), agent("other", "x"))
    assert reasons[0].startswith("agent lab-3, which would take it, was last seen at 2030-01-01 12:00:00 UTC")


def test_all_agents_that_fit_are_full():
    reasons = why(run(), agent("lab-3", max_runs=2, running=2))
    assert reasons == ("every agent that fits has all the runs it may have: lab-3",)


def test_only_exclusive_agents():
    assert why(run(), agent("lab-3", "gpu", exclusive=True))[0].startswith("it asks for no label")


def test_not_due_and_paused_are_both_told():
    later = run(scheduled_at=NOON + timedelta(hours=1), auto_scheduled=True)
    assert why(later, agent("lab"), paused=True) == (
        "it is due at 2030-01-01 13:00:00 UTC",
        "the schedule of etl is paused",
    )


def test_a_free_agent_means_in_a_moment():
    assert why(run(), agent("lab")) == ("an agent that takes it is waiting for runs: it starts in a moment",)


def test_a_claimed_run_names_its_agent():
    assert why(run("Submitted")) == ("agent lab took it at 2030-01-01 12:00:00 UTC and is starting it",)


def test_runs_that_began_or_ended_have_no_reasons():
    for state in ("Running", "Cancelling", "Success", "Failed", "Skipped", "Cancelled"):
        assert why(run(state), agent("lab", alive=False)) == ()


def test_agents_that_take_it_come_first_then_those_that_miss_least():
    agents = (agent("c"), agent("b", "gpu", alive=False), agent("a", "gpu"))
    matches = match_agents(["gpu"], agents)
    assert [(m.agent, m.takes) for m in matches] == [("a", True), ("b", False), ("c", False)]
    assert [m.reason for m in matches] == [
        "", "has not been seen since 2030-01-01 12:00:00 UTC", "does not offer gpu",
    ]  # fmt: skip


def test_every_sentence_fits_its_record():
    many = tuple(f"label-{n:060}" for n in range(64))
    matches = match_agents(many, [agent("lab")])
    assert check(matches[0]) == matches[0]
    assert all(len(reason) <= 1000 for reason in why(run(labels=many), agent("lab")))
