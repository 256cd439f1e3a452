"""The life of a flow run: every pair is in the table or refused, and nothing breaks its rules."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from jupyter_flows.core.transitions import (
    FINAL,
    LEASED,
    STATES,
    Accepted,
    Beat,
    Cancel,
    Claim,
    Finish,
    HandBack,
    LoseLease,
    Pause,
    Policy,
    Progress,
    Refusal,
    Resume,
    Retry,
    Run,
    Start,
    TimeUp,
    Withdraw,
    decide,
)

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
POLICY = Policy()


def run_in(state: str, **facts) -> Run:
    leased = {"lease_until": NOON, "claimed_at": NOON} if state in LEASED else {}
    return Run(**{"state": state, "token": 3, "attempt": 1, "agent": "lab", **leased, **facts})


EVENTS = {
    "claim": Claim(agent="lab"),
    "start": Start(token=3),
    "beat": Beat(token=3),
    "progress": Progress(token=3),
    "succeed": Finish(token=3, end="Success"),
    "fail": Finish(token=3, end="Failed"),
    "skip": Finish(token=3, end="Skipped"),
    "stop": Finish(token=3, end="Cancelled"),
    "hand_back": HandBack(token=3),
    "lose": LoseLease(),
    "time_up": TimeUp(limit="1d"),
    "cancel": Cancel(),
    "withdraw": Withdraw(message="paused"),
    "pause": Pause(),
    "resume": Resume(),
    "retry": Retry(),
}

TABLE = {
    "Scheduled": {"claim": "Submitted", "pause": "Paused", "cancel": "Cancelled", "withdraw": "Skipped"},
    "Submitted": {
        "start": "Running", "beat": "Submitted", "progress": "Submitted", "fail": "Failed", "stop": "Cancelled",
        "cancel": "Cancelling", "hand_back": "Scheduled", "lose": "Scheduled", "time_up": "Failed",
    },
    "Running": {
        "start": "Running", "beat": "Running", "progress": "Running", "succeed": "Success", "fail": "Failed",
        "skip": "Skipped", "stop": "Cancelled", "pause": "Paused", "cancel": "Cancelling",
        "hand_back": "Scheduled", "lose": "Failed", "time_up": "Failed",
    },
    "Paused": {"resume": "Scheduled", "cancel": "Cancelled"},
    "Cancelling": {
        "beat": "Cancelling", "progress": "Cancelling", "succeed": "Success", "fail": "Cancelled",
        "stop": "Cancelled", "skip": "Skipped", "cancel": "Cancelling", "hand_back": "Cancelled",
        "lose": "Cancelled", "time_up": "Cancelled",
    },
    "Failed": {"retry": "Scheduled"},
    "Cancelled": {"retry": "Scheduled"},
    "Success": {},
    "Skipped": {},
}  # fmt: skip


@pytest.mark.parametrize("state", STATES)
def test_each_pair_is_in_the_table_or_refused(state):
    """144 pairs, each as drawn; a refusal has a code and one sentence, and changes nothing."""
    run = run_in(state)
    found = {}
    for name, event in EVENTS.items():
        answer = decide(run, event, now=NOON, policy=POLICY)
        if isinstance(answer, Accepted):
            found[name] = answer.run.state
        else:
            assert answer.code == "refused"
            assert state in answer.sentence
    assert found == TABLE[state]


@pytest.mark.parametrize("state", sorted(set(STATES) - FINAL))
def test_every_unfinished_run_can_be_cancelled(state):
    assert isinstance(decide(run_in(state), Cancel(), now=NOON, policy=POLICY), Accepted)


def test_a_lost_run_that_may_rerun_is_offered_again():
    run = run_in("Running", on_lost="rerun", attempt_started=True)
    answer = decide(run, LoseLease(), now=NOON, policy=POLICY)
    assert (answer.run.state, answer.effects) == ("Scheduled", ("offered",))


def test_a_lost_run_says_what_had_finished():
    run = run_in("Running", finished_tasks=("extract", "clean"))
    message = decide(run, LoseLease(), now=NOON, policy=POLICY).run.message
    assert message == "agent lab has been silent since 12:00:00 UTC; extract, clean had finished"


@pytest.mark.parametrize("end", ["Success", "Failed", "Skipped", "Cancelled"])
def test_late_but_current_is_taken(end):
    """Nobody else was started: what the lost holder says counts, and it is told."""
    lost = decide(run_in("Running", attempt_started=True), LoseLease(), now=NOON, policy=POLICY).run
    later = NOON + timedelta(minutes=21)
    answer = decide(lost, Finish(token=3, end=end), now=later, policy=POLICY)
    assert answer.run.state == end
    assert answer.run.message == "agent lab came back 21 min after it was given up"


def test_a_lost_holder_that_beats_holds_again():
    lost = decide(run_in("Running", attempt_started=True), LoseLease(), now=NOON, policy=POLICY).run
    answer = decide(lost, Beat(token=3), now=NOON, policy=POLICY)
    assert (answer.run.state, answer.run.lost, answer.effects) == ("Running", False, ("recovered",))


def test_after_a_retry_the_lost_holder_is_stale():
    lost = decide(run_in("Running", attempt_started=True), LoseLease(), now=NOON, policy=POLICY).run
    again = decide(lost, Retry(), now=NOON, policy=POLICY).run
    for event in (Beat(token=3), Progress(token=3), Finish(token=3, end="Success")):
        assert decide(again, event, now=NOON, policy=POLICY).code == "stale_lease"


def test_a_rerun_that_nobody_claimed_is_saved_by_a_late_finish():
    run = run_in("Running", on_lost="rerun", attempt_started=True)
    offered = decide(run, LoseLease(), now=NOON, policy=POLICY).run
    assert decide(offered, Finish(token=3, end="Success"), now=NOON, policy=POLICY).run.state == "Success"
    beat = decide(offered, Beat(token=3), now=NOON, policy=POLICY)
    assert beat.code == "lease_lost"


def test_a_claim_that_never_started_is_no_attempt():
    """Claimed, lost, claimed again: still the first attempt, under a higher token."""
    first = decide(Run(state="Scheduled"), Claim(agent="a"), now=NOON, policy=POLICY).run
    offered = decide(first, LoseLease(), now=NOON, policy=POLICY).run
    second = decide(offered, Claim(agent="b"), now=NOON, policy=POLICY).run
    assert (first.attempt, second.attempt, second.token) == (1, 1, 2)


def test_a_stale_token_is_told_who_holds_the_run():
    run = run_in("Running", agent="lab-7", token=9)
    answer = decide(run, Beat(token=8), now=NOON, policy=POLICY)
    expected = "token 8 is not the newest: lease 9 was given to agent lab-7 at 12:00:00 UTC"
    assert answer == Refusal(code="stale_lease", sentence=expected)


def test_too_long_fences_the_holder_off():
    answer = decide(run_in("Running"), TimeUp(limit="1d"), now=NOON, policy=POLICY)
    assert (answer.run.state, answer.run.token) == ("Failed", 4)
    assert answer.run.message == "the run took longer than its total timeout of 1d"


class Model:
    """A run under random events, with stale holders kept on purpose; checks the rules after each."""

    def __init__(self, on_lost: str) -> None:
        self.run = Run(state="Scheduled", on_lost=on_lost)
        self.now = NOON
        self.tokens = [0]
        self.starts = 0
        self.allowed_starts = 1
        self.reached: Counter[str] = Counter()

    def do(self, name: str, event) -> None:
        before = self.run
        answer = decide(before, event, now=self.now, policy=POLICY)
        if isinstance(answer, Refusal):
            self.reached[f"refused {answer.code}"] += 1
            assert answer.sentence
            return
        after = answer.run
        self.reached[f"{before.state} {name} {after.state}"] += 1
        self._check(before, after, name, event, answer)
        self.run = after

    def _check(self, before: Run, after: Run, name: str, event, answer: Accepted) -> None:
        assert (after.lease_until is not None) == (after.state in LEASED)
        assert after.token >= before.token
        assert answer.changed or msgspec.structs.replace(after, lease_until=before.lease_until) == before
        if hasattr(event, "token"):
            assert event.token == before.token, "an old holder was listened to"
        if before.state in FINAL and after.state != before.state:
            recovered = before.state == "Failed" and before.lost and hasattr(event, "token")
            assert name == "retry" or recovered
        if after.token > before.token and name == "claim":
            self.tokens.append(after.token)
        if before.state != "Running" and after.state == "Running" and name == "start":
            self.starts += 1
        if name == "retry" or (name == "lose" and before.state == "Running") or name == "hand_back":
            self.allowed_starts += 1
        if name == "pause" and before.state == "Running":
            self.allowed_starts += 1
        assert self.starts <= self.allowed_starts, "user code began again unasked"


def some_event(source: random.Random, model: Model):
    token = model.run.token if source.random() < 0.8 else source.choice(model.tokens)
    name = source.choices(
        [*EVENTS], weights=[8, 8, 4, 2, 3, 2, 1, 2, 1, 4, 0.3, 1, 0.5, 1, 2, 6]
    )[0]  # fmt: skip
    event = EVENTS[name]
    return name, msgspec.structs.replace(event, token=token) if hasattr(event, "token") else event


def test_a_long_walk_breaks_no_rule_and_gets_everywhere():
    """60,000 random steps, one seed; each row of the table and each refusal was reached, or the walk is worthless."""
    source = random.Random(20300101)
    reached: Counter[str] = Counter()
    for walk in range(600):
        model = Model("rerun" if walk % 3 == 0 else "fail")
        for _ in range(100):
            model.now += timedelta(seconds=source.randrange(60))
            model.do(*some_event(source, model))
        reached += model.reached
    rows = {f"{state} {name} {to}" for state, row in TABLE.items() for name, to in row.items()}
    late = {
        "Failed beat Running",
        "Failed succeed Success",
        "Scheduled succeed Success",
        "Running lose Scheduled",
    }
    wanted = rows | late | {"refused refused", "refused stale_lease", "refused lease_lost"}
    rare = {name: reached[name] for name in wanted if reached[name] < 5}
    assert rare == {}


class RunMachine(RuleBasedStateMachine):
    """The same model under hypothesis, which shrinks what it finds."""

    holders = Bundle("holders")

    def __init__(self) -> None:
        super().__init__()
        self.model = Model("fail")

    @rule(target=holders)
    def claim(self):
        before = self.model.run.token
        self.model.do("claim", EVENTS["claim"])
        return self.model.run.token if self.model.run.token > before else multiple()

    @rule(target=holders)
    def claim_start_and_fall_silent(self):
        """A compound rule, so that the interesting states are reached at all."""
        self.model.do("claim", EVENTS["claim"])
        token = self.model.run.token
        self.model.do("start", Start(token=token))
        self.model.do("lose", LoseLease())
        return token

    @rule(token=holders, name=st.sampled_from([n for n, e in EVENTS.items() if hasattr(e, "token")]))
    def say(self, token, name):
        self.model.do(name, msgspec.structs.replace(EVENTS[name], token=token))

    @rule(name=st.sampled_from([n for n, e in EVENTS.items() if not hasattr(e, "token") and n != "claim"]))
    def ask(self, name):
        self.model.do(name, EVENTS[name])

    @rule(seconds=st.integers(0, 7200))
    def wait(self, seconds):
        self.model.now += timedelta(seconds=seconds)

    @invariant()
    def lease_exactly_where_held(self):
        assert (self.model.run.lease_until is not None) == (self.model.run.state in LEASED)


TestRunMachine = RunMachine.TestCase
TestRunMachine.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


@pytest.mark.parametrize(
    "planted",
    ["forgets to raise the token", "listens to old holders", "leaves the lease"],
)
def test_the_walk_finds_planted_mistakes(planted, monkeypatch):
    """A test that cannot fail proves nothing: three wrong tables, each found."""
    right = decide

    def wrong(run, event, *, now, policy):
        if planted == "listens to old holders" and hasattr(event, "token"):
            event = msgspec.structs.replace(event, token=run.token)
        answer = right(run, event, now=now, policy=policy)
        if isinstance(answer, Refusal):
            return answer
        new = answer.run
        if planted == "forgets to raise the token" and isinstance(event, Claim | Retry):
            new = msgspec.structs.replace(new, token=run.token)
        if planted == "leaves the lease" and new.state == "Scheduled":
            new = msgspec.structs.replace(new, lease_until=NOON)
        return msgspec.structs.replace(answer, run=new)

    monkeypatch.setattr(f"{__name__}.decide", wrong)
    source = random.Random(7)

    def walk():
        for _ in range(200):
            model = Model("fail")
            tokens_seen: set[tuple[int, str]] = set()
            for _ in range(60):
                name, event = some_event(source, model)
                before = model.run.token
                model.do(name, event)
                if name == "claim" and model.run.state == "Submitted":
                    assert model.run.token > before or (model.run.token, "x") in tokens_seen

    with pytest.raises(AssertionError):
        walk()
