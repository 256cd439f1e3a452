"""The store under random requests, stale holders and lost time: its rows, history and events never disagree."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

from jupyter_flows.errors import NotFound, Refused
from jupyter_flows.schema.events import RunChanged
from jupyter_flows.schema.runs import CancelRun, CreateRun, HandBack, Heartbeat, RetryRun, StartRun

from .conftest import every, finish, line, report, task

LEAST_STEPS, MOST_STEPS = 400, 4000
"""Ids are random, so two walks of one seed differ: it goes on until it has been everywhere."""
WANTED = (
    "claim", "start", "beat", "say", "end", "back", "cancel", "retry", "reap", "tick", "version",
    "start refused: stale_lease", "beat refused: stale_lease", "say refused: stale_lease",
    "end refused: refused", "cancel refused: refused", "retry refused: refused",
)  # fmt: skip


class Walk:
    """One seed, one history; what was reached is counted, so that a walk that gets nowhere fails."""

    def __init__(self, desk, seed: int) -> None:
        self.desk = desk
        self.source = random.Random(seed)
        self.runs: list[str] = []
        self.held: list[tuple[str, int]] = []
        self.seqs: Counter[tuple[str, int]] = Counter()
        self.starts: Counter[str] = Counter()
        self.reached: Counter[str] = Counter()
        desk.register(schedules=(every(30),), on_lost="fail")
        self.agents = [desk.join(max_runs=2), desk.join("gpu"), desk.join()]

    def step(self) -> None:
        name = self.source.choices(
            ["create", "claim", "start", "beat", "say", "end", "back", "cancel", "retry", "wait", "reap", "tick", "version"],
            weights=[6, 14, 14, 8, 8, 7, 2, 5, 5, 8, 6, 4, 1],
        )[0]  # fmt: skip
        before = self.desk.last_event()
        try:
            getattr(self, name)()
        except Refused as error:
            self.reached[f"{name} refused: {error.code}"] += 1
            assert self.desk.last_event() == before, "a refusal changed something"
        else:
            self.reached[name] += 1

    def holder(self) -> tuple[str, int]:
        return self.source.choice(self.held[-6:] if self.source.random() < 0.8 else self.held)

    def any_run(self) -> str:
        return self.source.choice(self.runs)

    def create(self) -> None:
        self.runs.append(self.desk.ask("create_run", CreateRun(), flow="etl").id)

    def claim(self) -> None:
        for claim in self.desk.claim(self.source.choice(self.agents)):
            self.held.append((claim.run.id, claim.lease.token))
            assert self.starts[(claim.run.id, claim.lease.token)] == 0

    def start(self) -> None:
        run, token = self.holder()
        self.desk.ask("start_run", StartRun(token=token), run=run)
        self.starts[(run, token)] += 1

    def beat(self) -> None:
        run, token = self.holder()
        self.desk.ask("heartbeat_run", Heartbeat(token=token), run=run)

    def say(self) -> None:
        run, token = self.holder()
        slug = self.source.choice(["extract", "clean", "load", "unknown"])
        items = (task(slug, self.source.choice(["Running", "Success", "Failed"])), line(slug))
        first = self.seqs[run, token] + 1
        if self.source.random() < 0.2:
            first = max(1, first - 2)
        self.desk.ask("report_run", report(token, *items, first=first), run=run)
        self.seqs[run, token] = max(self.seqs[run, token], first + 1)

    def end(self) -> None:
        run, token = self.holder()
        end = self.source.choice(["Success", "Failed", "Skipped", "Cancelled"])
        first = self.seqs[run, token] + 1
        self.desk.ask("report_run", report(token, finish(end), first=first), run=run)
        self.seqs[run, token] = first

    def back(self) -> None:
        run, token = self.holder()
        self.desk.ask("hand_back_run", HandBack(token=token), run=run)

    def cancel(self) -> None:
        self.desk.ask("cancel_run", CancelRun(), run=self.any_run())

    def retry(self) -> None:
        self.desk.ask("retry_run", RetryRun(), run=self.any_run())

    def wait(self) -> None:
        self.desk.clock.now += timedelta(seconds=self.source.choice([1, 5, 20, 61, 125]))

    def reap(self) -> None:
        self.desk.reap()

    def tick(self) -> None:
        self.desk.tick()

    def version(self) -> None:
        self.desk.register(schedules=(every(30),), labels=self.source.choice([(), ("gpu",)]))


def check(desk) -> None:
    """Each row is what its newest event says; a lease is where it belongs; nothing is counted twice."""
    from jupyter_flows.server.store import runs as store

    newest = {body.run.id: body.run for body in desk.events() if isinstance(body, RunChanged)}
    with desk.service._database.read() as tx:
        for row in store.list_runs(tx, limit=5000):
            assert (row.lease_until is not None) == (row.state in {"Submitted", "Running", "Cancelling"})
            assert row.record() == newest[row.id], row.name
            history = [e for e in store.run_states_of(tx, row.id) if e.subject == row.name]
            assert history[-1].state == row.state
            lines = desk.ask("list_logs", run=row.id, limit=1000).logs
            assert [entry.id for entry in lines] == sorted({entry.id for entry in lines})


def test_a_long_walk_leaves_rows_history_and_events_in_one_story(desk):
    walk = Walk(desk, seed=20300101)
    walk.create()
    walk.claim()
    for number in range(MOST_STEPS):
        walk.step()
        if number % 125 == 0:
            check(desk)
        missing = {name for name in WANTED if walk.reached[name] < 2}
        if number >= LEAST_STEPS and not missing:
            break
    check(desk)
    assert missing == set()
    # A run that was claimed under a token was started under it once, or its answer was repeated.
    made = {run.id for run in desk.runs(limit=1000)}
    assert set(walk.runs) <= made

    desk.ask("pause_flow", flow="etl")
    desk.clock.now += timedelta(days=2)
    desk.reap()
    desk.reap()
    check(desk)
    left = Counter(run.state.type for run in desk.runs(limit=1000))
    assert not {"Submitted", "Running", "Cancelling"} & set(left)
    assert desk.reap() == 0


def test_a_run_that_was_deleted_with_its_flow_is_gone_for_its_holder(desk):
    desk.register()
    run = desk.ask("create_run", CreateRun(), flow="etl")
    desk.begin(desk.join())
    desk.ask("report_run", report(1, finish()), run=run.id)
    desk.ask("delete_flow", flow="etl")
    try:
        desk.ask("heartbeat_run", Heartbeat(token=1), run=run.id)
    except NotFound as error:
        assert "there is no run" in str(error)
    else:
        raise AssertionError("a deleted run has no holder")
