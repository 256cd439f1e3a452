"""Random flows of mapped, flattened, reducing, failing, skipping and retried tasks, against a slow and obvious model.

The model knows a task's upstreams as finished states and evaluates one task after the other, recursively; it shares
no code with the engine.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_flows import Flow, Task, flatten, triggers, unmapped
from jupyter_flows.core.context import context
from jupyter_flows.engine import signals
from jupyter_flows.executors import LocalExecutor, ThreadExecutor

WHOLE, EACH, FLAT = "whole", "each", "flat"


@dataclass(frozen=True)
class Node:
    """A task: what it reads and how, what it does at each attempt, by item."""

    ups: tuple[tuple[int, str], ...]
    width: int
    behaviours: tuple[str, ...]
    retries: int
    runs_anyway: bool
    skips: bool

    @property
    def is_mapped(self):
        return any(how != WHOLE for _, how in self.ups)

    def does(self, index, attempt):
        """What an attempt does; later ones are better."""
        found = self.behaviours[max(index, 0) % len(self.behaviours)]
        return "good" if found == "fail" and attempt > 1 and index % 2 == 0 else found

    def value(self, number, index):
        return [100 * number + max(index, 0) + item for item in range((self.width + max(index, 0)) % 4)]


@dataclass(frozen=True)
class Seen:
    """A state of the model: its kind, its value, its children's."""

    kind: str
    value: object = None
    children: tuple = ()

    @property
    def is_good(self):
        return self.kind in {"Success", "Skipped", "Mapped"}

    def each(self):
        return self.children if self.kind == "Mapped" else (self,)


@st.composite
def nodes(draw, most=6):
    made = []
    for number in range(draw(st.integers(1, most))):
        chosen = draw(st.lists(st.integers(0, number - 1), unique=True, max_size=2)) if number else []
        made.append(
            Node(
                tuple((up, draw(st.sampled_from([WHOLE, EACH, EACH, FLAT]))) for up in chosen),
                draw(st.integers(0, 3)),
                tuple(
                    draw(
                        st.lists(
                            st.sampled_from(["good", "good", "good", "fail", "skip"]), min_size=1, max_size=3
                        )
                    )
                ),
                draw(st.sampled_from([0, 0, 1])),
                draw(st.sampled_from([False, False, True])),
                draw(st.sampled_from([True, True, False])),
            )
        )
    return made


# -- the model --------------------------------------------------------------------------------------------


def items_of(value):
    return list(value) if isinstance(value, list) else [value]


def flat_items(state):
    """Pairs of an item and the state of whatever made it."""
    if state.kind == "Mapped":
        return [
            (item, child)
            for child in state.children
            for item in (items_of(child.value) if child.is_good else [child.value])
        ]
    return [(item, state) for nested in state.value for item in items_of(nested)]


def called(node, number, index, arguments, log):
    for attempt in range(1, node.retries + 2):
        log[number, index, attempt] = arguments
        does = node.does(index, attempt)
        if does != "fail":
            break
    return {
        "good": Seen("Success", node.value(number, index)),
        "fail": Seen("Failed", "error"),
        "skip": Seen("Skipped"),
    }[does]


def decided(node, seen):
    """What a task or child ends in without being called, or None."""
    states = [one for state in seen for one in state.each()]
    if node.skips and any(one.kind == "Skipped" for one in states):
        return Seen("Skipped")
    if not node.runs_anyway and not all(one.is_good for one in states):
        return Seen("TriggerFailed", "error")
    return None


def whole(state):
    return [child.value for child in state.children] if state.kind == "Mapped" else state.value


def model(made):
    found, log = [], {}
    for number, node in enumerate(made):
        ups = [(found[up], how) for up, how in node.ups]
        if node.is_mapped:
            found.append(mapped(node, number, ups, log))
            continue
        arguments = tuple(whole(state) for state, _ in ups)
        found.append(decided(node, [state for state, _ in ups]) or called(node, number, -1, arguments, log))
    return found, log


def mapped(node, number, ups, log):
    # Of a mapped upstream that it takes whole it looks at all children; one that it is mapped over is each child's.
    judged = [one for state, how in ups for one in (state.each() if how == WHOLE else (state,))]
    if node.skips and any(one.kind == "Skipped" for one in judged):
        return Seen("Skipped")
    widths, flats = [], {}
    for place, (state, how) in enumerate(ups):
        if how == WHOLE or not state.is_good or state.kind == "Skipped":
            continue
        if how == FLAT:
            flats[place] = flat_items(state)
            widths.append(len(flats[place]))
        else:
            widths.append(len(state.children) if state.kind == "Mapped" else len(state.value))
    if not widths:
        return Seen("Failed")
    children = []
    for index in range(min(widths)):
        seen, arguments = [], []
        for place, (state, how) in enumerate(ups):
            if place in flats:
                item, origin = flats[place][index]
                seen.append(origin)
                arguments.append(item)
            elif how == EACH and state.kind == "Mapped":
                seen.append(state.children[index])
                arguments.append(state.children[index].value)
            elif how == EACH and state.kind == "Success":
                seen.append(state)
                arguments.append(state.value[index])
            else:
                seen.append(state)
                arguments.append(whole(state))
        children.append(decided(node, seen) or called(node, number, index, tuple(arguments), log))
    return Seen("Mapped", None, tuple(children))


# -- the engine -------------------------------------------------------------------------------------------


class Run:
    """The same flow, of tasks that note what they are called with."""

    def __init__(self, made):
        self.log = {}
        self.twice = []
        self.lock = threading.Lock()
        self.tasks = []
        with Flow("random") as self.flow:
            for number, node in enumerate(made):
                self.tasks.append(self.add(number, node))

    def add(self, number, node):
        run = self
        names = [f"a{place}" for place in range(len(node.ups))]

        def body(arguments):
            index = -1 if context.map_index is None else context.map_index
            key = number, index, context.task_run_count
            with run.lock:
                run.twice += [key] if key in run.log else []
                run.log[key] = tuple(plain(arguments[name]) for name in names)
            does = node.does(index, context.task_run_count)
            if does == "fail":
                raise ValueError(number)
            if does == "skip":
                raise signals.SKIP("nothing to do")
            return node.value(number, index)

        bodies = {
            0: lambda self: body({}),
            1: lambda self, a0: body({"a0": a0}),
            2: lambda self, a0, a1: body({"a0": a0, "a1": a1}),
        }
        options = {"max_retries": node.retries, "retry_delay": 0} if node.retries else {}
        made = type("Body", (Task,), {"run": bodies[len(names)]})(
            name=f"t{number}",
            skip_on_upstream_skip=node.skips,
            trigger=triggers.all_finished if node.runs_anyway else triggers.all_successful,
            **options,
        )
        arguments = {}
        for name, (up, how) in zip(names, node.ups, strict=True):
            task = self.tasks[up]
            wrapped = flatten(task) if how == FLAT else task
            arguments[name] = unmapped(wrapped) if how == WHOLE else wrapped
        return made.map(**arguments) if node.is_mapped else made(**arguments)


def plain(value):
    if isinstance(value, BaseException):
        return "error"
    return [plain(item) for item in value] if isinstance(value, list) else value


def kinds(state):
    name = type(state).__name__
    return (name, tuple(kinds(child) for child in state.map_states)) if name == "Mapped" else name


def kinds_of_model(state):
    if state.kind != "Mapped":
        return state.kind
    return "Mapped", tuple(kinds_of_model(child) for child in state.children)


@pytest.mark.parametrize("executor", [LocalExecutor(), ThreadExecutor(3)], ids=["local", "threads"])
@settings(max_examples=150, deadline=None)
@given(made=nodes())
def test_states_values_and_calls_are_the_models(executor, made):
    """Each task and child ends as it must, is called as often as it must, and with what it must; never twice."""
    logging.getLogger("jupyter_flows").setLevel(logging.CRITICAL)
    expected, log = model(made)
    run = Run(made)
    state = run.flow.run(executor=executor)
    assert [kinds_of_model(one) for one in expected] == [kinds(state.result[task]) for task in run.tasks]
    assert log == run.log
    assert [] == run.twice
