"""Random flows that fail, skip and retry, against a slow and obvious model of what must come out."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_flows import Flow, Task, triggers
from jupyter_flows.engine import signals, state
from jupyter_flows.engine.flow_runner import FlowRunner
from jupyter_flows.executors import LocalExecutor, ThreadExecutor

from .conftest import FakeClock

TRIGGERS = {
    "all_successful": lambda kinds: all(good(kind) for kind in kinds),
    "all_failed": lambda kinds: all(bad(kind) for kind in kinds),
    "any_successful": lambda kinds: not kinds or any(good(kind) for kind in kinds),
    "any_failed": lambda kinds: not kinds or any(bad(kind) for kind in kinds),
    "all_finished": lambda kinds: True,
}


def good(kind):
    return kind in {"Success", "Skipped"}


def bad(kind):
    return kind in {"Failed", "TriggerFailed"}


@dataclass(frozen=True)
class Node:
    """A task of a random flow: what it does at each attempt, and its rules."""

    upstreams: tuple[tuple[int, str], ...]
    attempts: tuple[str, ...]
    retries: int
    trigger: str
    skips: bool


@st.composite
def nodes(draw, most=9):
    count = draw(st.integers(1, most))
    made = []
    for number in range(count):
        ups = draw(st.lists(st.integers(0, number - 1), unique=True, max_size=3)) if number else []
        retries = draw(st.sampled_from([0, 0, 0, 1, 2]))
        made.append(
            Node(
                tuple((up, draw(st.sampled_from(["data", "data", "declared", "order"]))) for up in ups),
                tuple(draw(st.sampled_from(["good", "good", "fail", "skip"])) for _ in range(retries + 1)),
                retries,
                draw(st.sampled_from(sorted(TRIGGERS))) if draw(st.booleans()) else "all_successful",
                draw(st.sampled_from([True, True, False])),
            )
        )
    return made, draw(st.permutations(range(count)))


def model(made):
    """What each task must end in, and how often it must be called: one look at each, in order."""
    kinds, calls = [], []
    for node in made:
        judged = [kinds[up] for up, kind in node.upstreams if kind != "order"]
        called = 0
        if node.skips and "Skipped" in judged:
            kind = "Skipped"
        elif not TRIGGERS[node.trigger](judged):
            kind = "TriggerFailed"
        else:
            for does in node.attempts:
                called += 1
                kind = {"good": "Success", "fail": "Failed", "skip": "Skipped"}[does]
                if kind != "Failed":
                    break
        kinds.append(kind)
        calls.append(called)
    return kinds, calls


class Run:
    """A flow of the nodes, whose tasks note when they are called."""

    def __init__(self, made, order):
        self.lock = threading.Lock()
        self.calls = [0] * len(made)
        self.running = set()
        self.too_early = []
        self.at_once = []
        self.tasks = [self.task(number, node) for number, node in enumerate(made)]
        self.flow = Flow("random", tasks=[self.tasks[number] for number in order])
        for number, node in enumerate(made):
            for up, kind in node.upstreams:
                self.flow.add_edge(self.tasks[up], self.tasks[number], kind=kind)
        self.ended = set()

    def task(self, number, node):
        run = self

        class Body(Task):
            def run(self):
                with run.lock:
                    does = node.attempts[run.calls[number]]
                    run.calls[number] += 1
                    if number in run.running:
                        run.at_once.append(number)
                    run.running.add(number)
                    run.too_early += [up for up, _ in node.upstreams if up not in run.ended]
                try:
                    if does == "fail":
                        raise ValueError(number)
                    if does == "skip":
                        raise signals.SKIP("nothing to do")
                    return number
                finally:
                    with run.lock:
                        run.running.discard(number)

        def note(own, old, new):
            if new.is_finished() and not (
                new.is_failed() and run.calls[number] <= node.retries and run.calls[number]
            ):
                run.ended.add(number)

        rules = {"max_retries": node.retries, "retry_delay": 1} if node.retries else {}
        return Body(
            name=f"t{number}",
            trigger=getattr(triggers, node.trigger),
            skip_on_upstream_skip=node.skips,
            state_handlers=[note],
            **rules,
        )


class QuickClock(FakeClock):
    """Waits are over at once, also where threads are under way."""


@pytest.fixture(scope="module", autouse=True)
def quiet():
    logger = logging.getLogger("jupyter_flows.flow.random")
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(logging.NOTSET)


@pytest.mark.parametrize("executor", [LocalExecutor(), ThreadExecutor(3)], ids=repr)
@settings(deadline=None, max_examples=150)
@given(drawn=nodes())
def test_final_states_are_the_models(executor, drawn):
    """Every task ends as it must, is called as often as it must, and never before its upstreams ended."""
    made, order = drawn
    kinds, calls = model(made)
    run = Run(made, order)
    done = FlowRunner(run.flow, executor=executor, clock=QuickClock()).run()
    assert [type(done.result[own]).__name__ for own in run.tasks] == kinds
    assert run.calls == calls
    assert run.too_early == []
    assert run.at_once == []
    ends = [type(done.result[own]).__name__ for own in run.flow.reference_tasks()]
    assert done.is_failed() == any(bad(kind) for kind in ends)


@settings(deadline=None, max_examples=60)
@given(drawn=nodes(), data=st.data())
def test_going_on_after_an_interrupt_runs_only_the_rest(drawn, data):
    """A run that is interrupted and gone on with ends as one that was not; what had ended is not called again."""
    made, order = drawn
    kinds, _ = model(made)
    at = data.draw(st.integers(0, len(made) - 1))
    first = Run(made, order)
    plain = first.tasks[at].run

    def interrupt():
        raise KeyboardInterrupt

    first.tasks[at].run = interrupt
    stopped = FlowRunner(first.flow, clock=QuickClock()).run()
    first.tasks[at].run = plain
    kept = {own: found for own, found in stopped.result.items() if not isinstance(found, state.Cancelled)}
    done_before = list(first.calls)
    first.calls[:] = [0] * len(made)
    done = FlowRunner(first.flow, clock=QuickClock()).run(task_states=kept)
    assert [type(done.result[own]).__name__ for own in first.tasks] == kinds
    again = [own for own in kept if first.calls[first.tasks.index(own)]]
    assert again == []
    assert sum(done_before) >= len(
        [own for own in kept if isinstance(kept[own], state.Success)]
    ) - kinds.count("Skipped")
