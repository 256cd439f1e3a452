"""Histories of runs, as files: what happened, and what the plan told its runner to do about it.

A history has ``tasks`` (with options), ``edges`` (``a -> b``, ``a => b`` mapped over, ``a ..> b`` order only),
``given`` states, and ``steps``: an event, then the instructions that must follow, in order. Events: ``begin``;
``a Success [1, 2]`` (an attempt of ``a`` ended so); ``a agreed`` (the handlers let the proposed state stand);
``a found Cached`` or ``a found`` (looked up); ``a due``; ``cancel``. Every history ends with the flow's ``final``
state. Children are ``a[0]``.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jupyter_flows import Task, triggers
from jupyter_flows.core import state as states
from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.engine.instructions import LookUp, Propose, Settle, StartTask, WakeAt
from jupyter_flows.engine.plan import Plan

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))
NOW = datetime(2030, 1, 1, tzinfo=UTC)
KINDS = {" -> ": {}, " => ": {"mapped": True}, " ..> ": {"kind": "order"}}


class Replay:
    """A plan that is told a history."""

    def __init__(self, history):
        self.tasks = {}
        for name, options in history["tasks"].items():
            made = dict(options)
            looks_up = made.pop("looks_up", False)
            if "trigger" in made:
                made["trigger"] = getattr(triggers, made["trigger"])
            if "retry_delay_s" in made:
                made["retry_delay"] = timedelta(seconds=made.pop("retry_delay_s"))
            self.tasks[name] = Task(name=name, target="t" if looks_up else None, **made)
        graph = FlowGraph("history", tasks=list(self.tasks.values()))
        for number, text in enumerate(history.get("edges", ())):
            (up, down), options = next(
                (text.split(word), given) for word, given in KINDS.items() if word in text
            )
            key = {"key": f"k{number}"} if options.get("mapped") else {}
            graph.add_edge(self.tasks[up], self.tasks[down], **key, **options)
        given = {self.tasks[name]: self.state(text) for name, text in history.get("given", {}).items()}
        self.plan = Plan(graph, task_states=given, has_look_up=lambda task: task.target is not None)
        self.proposed = {}
        self.now = NOW

    def state(self, text):
        kind, _, rest = text.partition(" ")
        made = getattr(states, kind)
        if kind == "Paused":
            return made("asked", start_time=None)
        return made(result=json.loads(rest)) if rest else made()

    def place(self, name):
        found = re.fullmatch(r"(\w+)(?:\[(\d+)\])?", name)
        place = self.plan.tasks.index(self.tasks[found[1]])
        return place if found[2] is None else self.plan.children[place][int(found[2])]

    def tell(self, event):
        name, _, what = event.partition(" ")
        if name == "begin":
            return self.plan.begin(self.now)
        if name == "cancel":
            return self.plan.cancel_asked()
        place = self.place(name)
        if what == "agreed":
            return self.plan.entered(place, self.proposed.pop(place), now=self.now)
        if what == "due":
            self.now += timedelta(seconds=60)
            return self.plan.time_reached(place, now=self.now)
        if what.split()[0] == "found":
            rest = what.removeprefix("found").strip()
            return self.plan.looked_up(place, self.state(rest) if rest else None)
        return self.plan.attempt_ended(place, self.state(what), now=self.now)

    def said(self, instruction):
        name = self.plan.full_name(instruction.place)
        match instruction:
            case StartTask(attempt=attempt):
                return f"start {name}" + (f", attempt {attempt}" if attempt > 1 else "")
            case Propose(place=place, old=old, state=new):
                self.proposed[place] = new
                return f"propose {name} {type(old).__name__} to {type(new).__name__}"
            case LookUp():
                return f"look up {name}"
            case Settle(state=new):
                return f"{name} is {type(new).__name__}"
            case WakeAt(at=at):
                return f"wake {name} in {(at - self.now).total_seconds():g} s"


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_history(path):
    history = json.loads(path.read_text())
    replay = Replay(history)
    for number, (event, *expected) in enumerate(history["steps"], 1):
        found = [replay.said(one) for one in replay.tell(event)]
        assert expected == found, f"step {number}: {event}"
    assert history["final"] == type(replay.plan.final_state()).__name__
