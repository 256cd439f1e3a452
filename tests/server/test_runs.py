"""Runs: asked for, claimed, started, reported, ended. On SQLite and PostgreSQL alike."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from jupyter_flows.errors import (
    InvalidLabel,
    InvalidParameters,
    InvalidRequest,
    LeaseLost,
    NotFound,
    Refused,
    StaleLease,
)
from jupyter_flows.schema.agents import ClaimRuns
from jupyter_flows.schema.refs import ResultRef
from jupyter_flows.schema.runs import (
    CancelRun,
    CreateRun,
    HandBack,
    Heartbeat,
    ResultItem,
    RetryRun,
    StartRun,
)

from .conftest import every, finish, flow_spec, line, parameter, report, task


def test_a_run_goes_its_whole_way(desk):
    desk.register()
    run = desk.ask("create_run", CreateRun(), flow="etl")
    assert (run.state.type, run.total_tasks) == ("Scheduled", 3)
    agent = desk.join()
    claim = desk.begin(agent)
    token = claim.lease.token
    assert desk.run(run.id).state.type == "Running"
    items = [task("setup-1", "Success"), task("extract", "Running"), line("hello"), task("extract", "Success"),
             task("nobody-knows", "Success"), task("clean", "Success", map_index=3)]  # fmt: skip
    answer = desk.ask("report_run", report(token, *items), run=run.id)
    assert (answer.accepted_seq, answer.run.done_tasks) == (6, 1)
    result = ResultItem(result=ResultRef(kind="notebook", location="/runs/x/executed.ipynb", host="h"))
    desk.ask("report_run", report(token, result, finish(), first=7), run=run.id)
    ended = desk.run(run.name)
    assert (ended.state.type, ended.attempt, ended.result.location) == (
        "Success",
        1,
        "/runs/x/executed.ipynb",
    )
    assert ended.started_at is not None
    assert ended.ended_at is not None
    states = [(e.subject, e.state) for e in desk.ask("list_run_states", run=run.id)]
    assert states == [
        (run.name, "Scheduled"), (run.name, "Submitted"), (run.name, "Running"), ("setup-1", "Success"),
        ("extract", "Running"), ("extract", "Success"), ("nobody-knows", "Success"), ("clean[3]", "Success"),
        (run.name, "Success"),
    ]  # fmt: skip
    page = desk.ask("list_logs", run=run.id)
    assert [entry.message for entry in page.logs] == ["hello"]
    assert desk.ask("list_logs", run=run.id, after=page.next).logs == ()


def test_the_same_delivery_twice_is_taken_once(desk):
    """An answer was lost, the keeper repeats: the same answer, nothing doubled; also after the finish."""
    desk.register()
    run = desk.ask("create_run", CreateRun(), flow="etl")
    claim = desk.begin(desk.join())
    batch = report(claim.lease.token, task("extract", "Success"), line("once"), finish())
    first = desk.ask("report_run", batch, run=run.id)
    again = desk.ask("report_run", batch, run=run.id)
    assert again == first
    assert len(desk.ask("list_logs", run=run.id).logs) == 1
    overlapping = report(claim.lease.token, line("once"), finish(), line("more"), first=2)
    with pytest.raises(Refused):
        desk.ask("report_run", overlapping, run=run.id)


def test_a_batch_is_taken_whole_or_not_at_all(desk):
    desk.register()
    run = desk.ask("create_run", CreateRun(), flow="etl")
    claim = desk.begin(desk.join())
    with pytest.raises(InvalidRequest, match="cannot end as Running"):
        desk.ask("report_run", report(claim.lease.token, line("a"), finish("Running")), run=run.id)
    assert desk.ask("list_logs", run=run.id).logs == ()
    assert desk.ask("report_run", report(claim.lease.token, line("a")), run=run.id).accepted_seq == 1


def test_a_lost_answer_to_a_claim_is_given_again(desk):
    """By its key: the same run under the same token, and no second one."""
    desk.register()
    for _ in range(2):
        desk.ask("create_run", CreateRun(), flow="etl")
    agent = desk.join()
    (first,) = desk.claim(agent, key="k1")
    (again,) = desk.claim(agent, key="k1")
    assert (again.run.id, again.lease.token) == (first.run.id, first.lease.token)
    (other,) = desk.claim(agent, key="k2")
    assert other.run.id != first.run.id


def test_nobody_is_given_a_run_twice(desk):
    """Eight agents at once, forty runs: each run once."""
    desk.register()
    runs = {desk.ask("create_run", CreateRun(), flow="etl").id for _ in range(40)}
    agents = [desk.join() for _ in range(8)]
    taken, lock = [], threading.Lock()

    def work(agent):
        while claims := desk.claim(agent, max_claims=3):
            with lock:
                taken.extend(claim.run.id for claim in claims)

    threads = [threading.Thread(target=work, args=(agent,)) for agent in agents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(runs)


def test_labels_route(desk):
    desk.register(labels=("gpu", "lab"))
    run = desk.ask("create_run", CreateRun(), flow="etl")
    assert desk.claim(desk.join("gpu")) == []
    assert [claim.run.id for claim in desk.claim(desk.join("gpu", "lab", "more"))] == [run.id]


def test_an_exclusive_agent_leaves_runs_without_labels(desk):
    desk.register()
    desk.ask("create_run", CreateRun(), flow="etl")
    assert desk.claim(desk.join("gpu", exclusive=True)) == []


def test_max_runs_is_the_most_an_agent_holds(desk):
    desk.register()
    for _ in range(3):
        desk.ask("create_run", CreateRun(), flow="etl")
    agent = desk.join(max_runs=2)
    held = desk.claim(agent, max_claims=10)
    assert len(held) == 2
    assert desk.claim(agent) == []
    desk.ask("report_run", report(held[0].lease.token, finish("Failed")), run=held[0].run.id)
    assert len(desk.claim(agent)) == 1


def test_a_run_in_the_future_is_not_claimed_before(desk):
    desk.register()
    at = desk.clock.now + timedelta(minutes=5)
    run = desk.ask("create_run", CreateRun(scheduled_at=at), flow="etl")
    agent = desk.join()
    assert desk.claim(agent) == []
    assert run.why[0].startswith("it is due at")
    desk.clock.now = at
    assert len(desk.claim(agent)) == 1


def test_silence_of_a_claim_that_did_not_start_offers_it_again(desk):
    desk.register()
    run = desk.ask("create_run", CreateRun(), flow="etl")
    desk.claim(desk.join(name="lab-3"))
    desk.clock.now += timedelta(seconds=119)
    assert desk.reap() == 0
    desk.clock.now += timedelta(seconds=2)
    assert desk.reap() == 1
    again = desk.run(run.id)
    assert (again.state.type, again.state.message) == (
        "Scheduled",
        "claimed by lab-3, not started; offered again",
    )


def test_a_silent_run_fails_and_says_what_had_finished(desk):
    desk.register()
    run = desk.ask("create_run", CreateRun(), flow="etl")
    claim = desk.begin(desk.join(name="lab-3"))
    items = (task("extract", "Success"), task("clean", "Running"))
    desk.ask("report_run", report(claim.lease.token, *items), run=run.id)
    desk.clock.now += timedelta(seconds=61)
    desk.reap()
    lost = desk.run(run.id)
    assert (lost.state.type, lost.lost) == ("Failed", True)
    assert lost.state.message.startswith("agent lab-3 has been silent since")
    assert lost.state.message.endswith("extract had finished")
    tasks = {entry.slug: entry.state.type for entry in desk.ask("list_task_runs", run=run.id)}
    assert tasks == {"extract": "Success", "clean": "Failed"}


def test_who_comes_back_in_time_is_believed(desk):
    """Late but current: nobody else was started, so logs, states and the finish count."""
    desk.register()
    run = desk.ask("create_run", CreateRun(), flow="etl")
    claim = desk.begin(desk.join(name="lab-3"))
    desk.ask("report_run", report(claim.lease.token, task("clean", "Running")), run=run.id)
    desk.clock.now += timedelta(minutes=21)
    desk.reap()
    late = report(claim.lease.token, line("late"), task("clean", "Success"), finish(), first=2)
    desk.ask("report_run", late, run=run.id)
    saved = desk.run(run.id)
    assert (saved.state.type, saved.lost) == ("Success", False)
    assert saved.state.message == "agent lab-3 came back 0 s after it was given up"


def test_a_heartbeat_after_the_loss_takes_the_run_up_again(desk):
    desk.register()
    run = desk.ask("create_run", CreateRun(), flow="etl")
    claim = desk.begin(desk.join())
    desk.ask("report_run", report(claim.lease.token, task("clean", "Running")), run=run.id)
    desk.clock.now += timedelta(minutes=5)
    desk.reap()
    desk.ask("heartbeat_run", Heartbeat(token=claim.lease.token), run=run.id)
    assert desk.run(run.id).state.type == "Running"
    (entry,) = desk.ask("list_task_runs", run=run.id)
    assert entry.state.type == "Running"


def test_after_a_retry_the_old_holder_is_refused_and_told_why(desk):
    desk.register()
    run = desk.ask("create_run", CreateRun(), flow="etl")
    claim = desk.begin(desk.join())
    desk.clock.now += timedelta(minutes=2)
    desk.reap()
    again = desk.ask("retry_run", RetryRun(), run=run.id)
    assert again.state.type == "Scheduled"
    assert again.token > claim.lease.token
    for endpoint, body in (
        ("heartbeat_run", Heartbeat(token=claim.lease.token)),
        ("report_run", report(claim.lease.token, finish())),
        ("start_run", StartRun(token=claim.lease.token)),
        ("hand_back_run", HandBack(token=claim.lease.token)),
    ):
        with pytest.raises(StaleLease, match="is not the newest"):
            desk.ask(endpoint, body, run=run.id)
    second = desk.begin(desk.join())
    assert second.run.attempt == 2
    assert desk.ask("list_task_runs", run=run.id) == ()


def test_a_flow_that_may_rerun_is_offered_again_after_its_holder_surely_stopped(desk):
    desk.register(on_lost="rerun")
    run = desk.ask("create_run", CreateRun(), flow="etl")
    claim = desk.begin(desk.join())
    desk.clock.now += timedelta(seconds=61)
    assert desk.reap() == 0
    desk.clock.now += timedelta(seconds=2)
    assert desk.reap() == 1
    with pytest.raises(LeaseLost):
        desk.ask("heartbeat_run", Heartbeat(token=claim.lease.token), run=run.id)
    assert desk.begin(desk.join()).run.attempt == 2


def test_cancel_is_told_with_the_next_heartbeat(desk):
    desk.register()
    run = desk.ask("create_run", CreateRun(), flow="etl")
    claim = desk.begin(desk.join())
    desk.ask(
        "report_run", report(claim.lease.token, task("clean", "Running"), task("load", "Pending")), run=run.id
    )
    assert desk.ask("cancel_run", CancelRun(), run=run.id).state.type == "Cancelling"
    assert desk.ask("cancel_run", CancelRun(), run=run.id).state.type == "Cancelling"
    answer = desk.ask("heartbeat_run", Heartbeat(token=claim.lease.token), run=run.id)
    assert (answer.cancel, answer.message) == (True, "cancelled by ada")
    desk.ask("report_run", report(claim.lease.token, finish("Cancelled"), first=3), run=run.id)
    assert desk.run(run.id).state.type == "Cancelled"
    assert {entry.state.type for entry in desk.ask("list_task_runs", run=run.id)} == {"Cancelled"}


def test_a_cancel_whose_holder_is_gone_is_cancelled(desk):
    desk.register()
    run = desk.ask("create_run", CreateRun(), flow="etl")
    desk.begin(desk.join())
    desk.ask("cancel_run", CancelRun(message="wrong data"), run=run.id)
    desk.clock.now += timedelta(seconds=61)
    desk.reap()
    assert desk.run(run.id).state.type == "Cancelled"


def test_ended_runs_cannot_be_cancelled(desk):
    desk.register()
    run = desk.ask("create_run", CreateRun(), flow="etl")
    desk.ask("cancel_run", CancelRun(), run=run.id)
    with pytest.raises(Refused, match="cannot cancel a run that is Cancelled"):
        desk.ask("cancel_run", CancelRun(), run=run.id)


def test_a_run_that_takes_too_long_ends_and_its_holder_is_fenced_off(desk):
    desk.register(total_timeout_s=600.0)
    run = desk.ask("create_run", CreateRun(), flow="etl")
    claim = desk.begin(desk.join())
    for _ in range(12):
        desk.clock.now += timedelta(seconds=59)
        desk.ask("heartbeat_run", Heartbeat(token=claim.lease.token), run=run.id)
    desk.reap()
    assert desk.run(run.id).state.message == "the run took longer than its total timeout of 10m"
    with pytest.raises(StaleLease):
        desk.ask("heartbeat_run", Heartbeat(token=claim.lease.token), run=run.id)


def test_handed_back_is_offered_again(desk):
    desk.register()
    run = desk.ask("create_run", CreateRun(), flow="etl")
    claim = desk.begin(desk.join())
    back = HandBack(token=claim.lease.token, message="the agent stops")
    desk.ask("hand_back_run", back, run=run.id)
    assert desk.run(run.id).state.message == "the agent stops"
    assert len(desk.claim(desk.join())) == 1


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"town": 1}, "etl has no parameter 'town'; it has city, year"),
        ({"cty": 1, "year": 1}, "etl has no parameter 'cty'; did you mean 'city'?"),
        ({}, "etl needs a value for 'year': give -p year=VALUE"),
        ({"year": ["x" * 2000] * 9}, "the parameters have"),
    ],
)
def test_wrong_parameters_are_named(desk, given, sentence):
    desk.register(parameters=(parameter("city"), parameter("year", required=True, default=None)))
    with pytest.raises(InvalidParameters) as caught:
        desk.ask("create_run", CreateRun(parameters=given), flow="etl")
    assert sentence in str(caught.value)
    assert desk.runs() == ()


def test_one_key_makes_one_run(desk):
    desk.register()
    first = desk.ask("create_run", CreateRun(idempotency_key="k"), flow="etl")
    again = desk.ask("create_run", CreateRun(idempotency_key="k"), flow="etl")
    assert again.id == first.id


def test_runs_are_found_by_id_beginning_and_name(desk):
    desk.register()
    run = desk.ask("create_run", CreateRun(name="my run"), flow="etl")
    assert {desk.run(name).id for name in (run.id, run.id[:6], "my run")} == {run.id}
    other = desk.ask("create_run", CreateRun(name="my run"), flow="etl")
    with pytest.raises(NotFound, match=f"fits 2 runs; say which one by its id: .*{other.id[:8]}"):
        desk.run("my run")
    for name in (run.id[:5], "%", "_" * 32, "' OR 1=1 --", "\x00"):
        with pytest.raises(NotFound):
            desk.run(name)


def test_pages_of_runs_leave_none_out(desk):
    desk.register()
    made = {desk.ask("create_run", CreateRun(), flow="etl").id for _ in range(7)}
    found, before = [], None
    while True:
        page = desk.ask("list_runs", limit=3, **({"before": before} if before else {}))
        found += [run.id for run in page.runs]
        before = page.next
        if before is None:
            break
    assert sorted(found) == sorted(made)
    assert len(found) == 7


@pytest.mark.parametrize(
    ("query", "error"),
    [({"state": "Sleeping"}, "its states are Scheduled"), ({"before": "x"}, "is not what a page named")],
)
def test_wrong_queries_are_told(desk, query, error):
    desk.register()
    with pytest.raises(InvalidRequest, match=error):
        desk.ask("list_runs", **query)


def test_labels_of_a_run_are_checked(desk):
    """Labels reach the service decoded, so its own rule speaks."""
    desk.register()
    with pytest.raises(InvalidLabel, match="has a space"):
        desk.ask("create_run", CreateRun(labels=("my label",)), flow="etl")


def test_an_agent_speaks_under_its_own_token(desk):
    from jupyter_flows.server.auth import Principal

    agent = desk.join()
    other = Principal(kind="agent", name="other", token_id="c" * 32)
    with pytest.raises(Refused, match="registered with another token"):
        desk.ask("claim_runs", ClaimRuns(wait_s=0), agent=agent.id, as_=other)


def test_an_old_version_runs_by_number_and_stays(desk):
    desk.register()
    desk.register(storage=flow_spec().storage, labels=("gpu",))
    pinned = desk.ask("create_run", CreateRun(version=1), flow="etl")
    moving = desk.ask("create_run", CreateRun(), flow="etl")
    result = desk.register(labels=("big",))
    assert result.moved_runs == 1
    assert (desk.run(pinned.id).version, desk.run(moving.id).version) == (1, 3)
    assert desk.run(moving.id).labels == ("big",)
    assert desk.ask("get_run_spec", run=pinned.id).labels == ()


def test_runs_that_would_not_fit_stay_with_their_version(desk):
    desk.register(parameters=(parameter("city"),))
    run = desk.ask("create_run", CreateRun(parameters={"city": "Oslo"}), flow="etl")
    assert desk.register().moved_runs == 0
    assert desk.run(run.id).version == 1


def test_a_schedule_alone_does_not_start_twice(desk):
    """Registering the same schedule again makes no second run of an occurrence."""
    desk.register(schedules=(every(3600),))
    desk.register(schedules=(every(3600),), labels=("gpu",))
    assert [(run.version, run.labels) for run in desk.runs()] == [(2, ("gpu",))]
