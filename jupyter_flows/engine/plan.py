"""Which tasks of a run may start now, and how it ends. Pure: no clock, no threads, no I/O.

Events in, instructions out; the loop that obeys is ``flow_runner.py``. Times are arguments. Rules are
Prefect 1's: a task is looked at when all its upstreams have ended; then the skip check, then the trigger,
then the attempt, then the retry. What the plan decides itself it only *proposes*, since a state handler
may have another opinion; the answer comes back as an event.

An edge of kind ``order`` only makes wait: what its upstream ended in says nothing about the downstream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from jupyter_flows.core import state as states
from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.core.state import State
from jupyter_flows.core.task import Task
from jupyter_flows.engine import rules
from jupyter_flows.engine.instructions import Instruction, LookUp, Propose, Settle, StartTask, WakeAt
from jupyter_flows.engine.mapping import (
    Item,
    Unmappable,
    can_be_mapped,
    unnested,
    unnested_one,
    width_of,
)
from jupyter_flows.engine.wiring import Into, Wiring


class Plan:
    """The run of one graph.

    Every task has a place: its index in the order in which tasks run one by one. A mapped task, once it is
    known how many items there are, gets as many further places for its children, one after the other.

    Parameters
    ----------
    graph : FlowGraph
    task_states : mapping, optional
        States that tasks begin with: finished ones need not run, a ``Paused`` one goes on waiting, a
        ``Resume`` runs, a ``Retrying`` counts its attempts on, a ``Mapped`` one gives them to its children.
    has_look_up : callable, optional
        Whether it is worth while to look for a task's result before it is called (a target, a cache).

    Attributes
    ----------
    tasks : list of Task
        By place; children share their parent's.
    states : list of State
        By place.
    attempts : list of int
        By place.
    map_index : list of int
        By place; -1: no child.
    children : dict
        Places of the children, by the place of their parent.
    loops : dict
        ``(count, result)`` of the tasks that asked to run again, by place.

    Raises
    ------
    FlowCycle : the graph has one.
    """

    def __init__(
        self,
        graph: FlowGraph,
        *,
        task_states: Mapping[Task, State] | None = None,
        has_look_up: Callable[[Task], bool] = lambda _task: False,
    ) -> None:
        self.graph = graph
        self._wiring = wiring = Wiring(graph)
        self.tasks = wiring.tasks
        count = self._own = len(self.tasks)
        self.states: list[State] = [_PENDING] * count
        self.attempts = [0] * count
        self.map_index = [-1] * count
        self.children: dict[int, range] = {}
        self.loops: dict[int, tuple[int, Any]] = {}
        self._parents: list[int] = list(range(count))
        self._has_look_up = has_look_up
        place = {task: index for index, task in enumerate(self.tasks)}
        self._given = {place[task]: state for task, state in (task_states or {}).items()}
        self._open = [len(intos) for intos in wiring.into]
        self._left: dict[int, int] = {}
        self._flat: dict[Into, list[Item]] = {}
        self._cancelled = False

    # -- events -----------------------------------------------------------------------------------

    def begin(self, now: datetime) -> list[Instruction]:
        """The run starts: look at the tasks that wait for none."""
        out: list[Instruction] = []
        self._work([place for place, count in enumerate(list(self._open)) if count == 0], out, now)
        return out

    def started(self, place: int, state: State) -> None:
        """The task at *place* is under way."""
        self.states[place] = state

    def looked_up(self, place: int, state: State | None) -> list[Instruction]:
        """What was found of the result of the task at *place*: the state it gives, or None."""
        if self._cancelled:
            return []
        return [self._start(place) if state is None else Propose(place, self.states[place], state)]

    def attempt_ended(self, place: int, state: State, *, now: datetime) -> list[Instruction]:
        """An attempt ended in *state*: go on with a loop, propose a retry, or let the downstreams know."""
        task = self.tasks[place]
        if isinstance(state, states.Looped) and not self._cancelled:
            self.loops[place] = (state.loop_count, state.result)
            self.attempts[place] = 0
            again = states.Pending(f"Looping task (on loop index {state.loop_count})", at=now)
            return [Settle(place, state), Propose(place, state, again)]
        attempt = self.attempts[place]
        if isinstance(state, states.Failed) and not self._cancelled and rules.may_retry(task, state, attempt):
            retrying = states.Retrying(
                f"attempt {attempt} of {task.max_retries + 1} failed: {state.message or 'no message'}",
                state.result,
                start_time=now + (task.retry_delay or timedelta(0)),
                run_count=attempt,
                at=now,
            )
            return [Propose(place, state, retrying)]
        return self.entered(place, state, now=now)

    def entered(self, place: int, state: State, *, now: datetime) -> list[Instruction]:
        """The task at *place* entered *state*, handlers having had their say."""
        out: list[Instruction] = []
        if state.is_finished():
            self._settle(place, state, out, now)
        elif self._cancelled:
            self._settle(place, states.Cancelled("cancelled before it was tried again"), out, now)
        else:
            self._wait(place, state, out, now)
        return out

    def time_reached(self, place: int, *, now: datetime) -> list[Instruction]:
        """The task at *place* is due."""
        if self._cancelled or self.states[place].is_finished():
            return []
        if place in self._wiring.chains and self.map_index[place] < 0:
            out: list[Instruction] = []
            self._work([place], out, now)
            return out
        return [self._start(place, resume=isinstance(self.states[place], states.Paused))]

    def cancel_asked(self) -> list[Instruction]:
        """The run is stopped: whatever has not ended is cancelled."""
        self._cancelled = True
        out: list[Instruction] = []
        for place, state in enumerate(self.states):
            if not state.is_finished():
                when = "while it ran" if isinstance(state, states.Running) else "before it began"
                self.states[place] = states.Cancelled(f"the run was cancelled {when}")
                out.append(Settle(place, self.states[place]))
        return out

    # -- the end ----------------------------------------------------------------------------------

    def final_state(self) -> State:
        """What the flow ends in, by its reference tasks; of mapped ones by their children."""
        for place in self.children:
            if isinstance(self.states[place], states.Running):
                # Some of its children wait: the run can go on from their states.
                self.states[place] = self._mapped(place)
        by_task = dict(zip(self.tasks[: self._own], self.states[: self._own], strict=True))
        if self._cancelled:
            return states.Cancelled("The run was cancelled.", by_task)
        waiting = [
            self.full_name(place)
            for place, state in enumerate(self.states)
            if isinstance(state, states.Paused)
        ]
        if waiting:
            names = ", ".join(waiting[:3]) + (f" and {len(waiting) - 3} more" if len(waiting) > 3 else "")
            return states.Paused(f"waits for approval of {names}", by_task)
        kind, sentence = rules.flow_state([by_task[task] for task in self.graph.reference_tasks()])
        return kind(sentence, by_task)

    # -- what the runner asks ---------------------------------------------------------------------------

    def inputs(self, place: int) -> dict[str, Any]:
        """Return the arguments that the task at *place* gets from its upstreams."""
        index = self.map_index[place]
        found: dict[str, Any] = {}
        for into in self._wiring.into[self._parents[place]]:
            key = into.edge.key
            if key is None:
                continue
            state = self.states[into.up]
            if index < 0 or not into.edge.mapped:
                found[key] = unnested(state.result) if into.edge.flattened else state.result
            elif into.in_step and into.up in self.children:
                found[key] = self.states[self.children[into.up][index]].result
            elif into.edge.flattened:
                items = self._flat.get(into)
                found[key] = items[index].value if items is not None else state.result
            else:
                # One of several may have failed: its trigger decides whether the children see that.
                found[key] = state.result[index] if can_be_mapped(state) else state.result
        return found

    def full_name(self, place: int) -> str:
        """Return the task's name, with the index of a child: ``clean[3]``."""
        index = self.map_index[place]
        name = self.tasks[place].name
        return name if index < 0 else f"{name}[{index}]"

    def parent(self, place: int) -> int:
        """Return the place of the mapped task that the one at *place* is a child of, else *place*."""
        return self._parents[place]

    def rank(self, place: int) -> tuple[int, int, int]:
        """Return what orders tasks that are ready: by place, children of chained maps depth first."""
        index = self.map_index[place]
        return (place, -1, place) if index < 0 else (self._wiring.chains[self._parents[place]], index, place)

    # -- looking ------------------------------------------------------------------------------------

    def _start(self, place: int, *, resume: bool = False) -> Instruction:
        self.attempts[place] += 1
        return StartTask(place, self.attempts[place], resume)

    def _wait(self, place: int, state: State, out: list[Instruction], now: datetime) -> None:
        """Put a task off: until its state's time, or for Paused until a person comes."""
        self.states[place] = state
        out.append(Settle(place, state))
        at = state.start_time if isinstance(state, states.Scheduled) else now
        if at is not None:
            out.append(WakeAt(place, max(at, now)))

    def _look(self, place: int, agenda: Agenda, out: list[Instruction], now: datetime) -> None:
        """All upstreams of the task at *place* have ended: decide."""
        given = self._given.pop(place, None)
        if place in self._wiring.chains:
            self._look_at_mapped(place, given, agenda, out)
            return
        resume = isinstance(given, states.Resume)
        if given is not None and not resume:
            if given.is_finished():
                agenda.append((place, given))
                return
            if isinstance(given, states.Retrying):
                self.attempts[place] = given.run_count
            if isinstance(given, states.Scheduled) and (given.start_time is None or given.start_time > now):
                self._wait(place, given, out, now)
                return
            resume = isinstance(given, states.Paused)
        task = self.tasks[place]
        seen = [
            (into, self._seen(place, into)) for into in self._wiring.into[self._parents[place]] if into.judged
        ]
        decided = rules.skipped(task, seen) or rules.refused(task, seen, resume=resume)
        if decided is not None:
            out.append(Propose(place, self.states[place], decided))
        elif not resume and self._has_look_up(task):
            # After the trigger: what was kept of a task that may not run is of no use.
            out.append(LookUp(place))
        else:
            out.append(self._start(place, resume=resume))

    def _seen(self, place: int, into: Into) -> State:
        """Return the state of an upstream as the task at *place* sees it: a child sees its own partner."""
        index = self.map_index[place]
        if index >= 0:
            if into.in_step and into.up in self.children:
                return self.states[self.children[into.up][index]]
            items = self._flat.get(into)
            if items is not None:
                return self.states[items[index].place]
        return self.states[into.up]

    # -- mapping ----------------------------------------------------------------------------------

    def _look_at_mapped(
        self,
        place: int,
        given: State | None,
        agenda: Agenda,
        out: list[Instruction],
    ) -> None:
        """It is known how many items there are: make the children."""
        if place in self.children:
            # Its handlers wanted it to wait.
            agenda.append((place, self._mapped(place)))
            return
        kept = given.map_states if isinstance(given, states.Mapped) else None
        if given is not None and kept is None and given.is_finished():
            agenda.append((place, given))
            return
        intos = self._wiring.into[place]
        seen = [(into, self.states[into.up]) for into in intos if into.judged]
        width = rules.skipped(self.tasks[place], seen, expands=True) or self._width(place)
        if kept is not None and all(state.is_finished() for state in kept):
            # None of them needs what is mapped over, which perhaps was not kept.
            width = len(kept) if isinstance(width, State) else max(width, len(kept))
        if isinstance(width, State):
            out.append(Propose(place, self.states[place], width))
        elif kept is not None:
            self._expand(place, width, agenda, out, kept[:width])
        else:
            self._expand(place, width, agenda, out, [given] * width if given is not None else ())

    def _width(self, place: int) -> int | State:
        """Return the number of children: the shortest of what is mapped over, or why there are none."""
        widths = []
        for into in self._wiring.into[place]:
            if not into.edge.mapped:
                continue
            state = self.states[into.up]
            if into.in_step and into.up in self.children:
                widths.append(len(self.children[into.up]))
                continue
            if not can_be_mapped(state):
                continue
            try:
                if into.edge.flattened:
                    self._flat[into] = self._flattened(into.up)
                    widths.append(len(self._flat[into]))
                else:
                    widths.append(width_of(state.result))
            except Unmappable as error:
                name = into.edge.upstream_task.name
                return states.Failed(
                    f"At least one upstream state has an unmappable result: that of task {name} is {error}."
                )
        if not widths:
            return states.Failed("No upstream states can be mapped over.")
        return min(widths)

    def _flattened(self, up: int) -> list[Item]:
        """Return what is mapped over when one level of nesting is taken out."""
        if up not in self.children:
            value = self.states[up].result
            width_of(value)
            return [Item(up, item) for item in unnested(value)]
        found: list[Item] = []
        for child in self.children[up]:
            state = self.states[child]
            nested = unnested_one(state.result) if state.is_successful() else [state.result]
            found.extend(Item(child, item) for item in nested)
        return found

    def _expand(
        self,
        place: int,
        width: int,
        agenda: Agenda,
        out: list[Instruction],
        given: Sequence[State],
    ) -> None:
        """Give the mapped task at *place* its children."""
        first = len(self.tasks)
        places = self.children[place] = range(first, first + width)
        self.tasks.extend([self.tasks[place]] * width)
        self.states.extend([_PENDING] * width)
        self.attempts.extend([0] * width)
        self.map_index.extend(range(width))
        self._parents.extend([place] * width)
        self._open.extend([0] * width)
        self._left[place] = width
        for into in self._wiring.into[place]:
            if into.in_step and into.up in self.children:
                for index, up in zip(range(width), self.children[into.up], strict=False):
                    if not self.states[up].is_finished():
                        self._open[first + index] += 1
        for index, state in enumerate(given):
            self._given[first + index] = state
        self.states[place] = states.Running(f"Mapping over {width} items.")
        out.append(Settle(place, self.states[place]))
        agenda.extend(self._counted_down(self._wiring.in_step.get(place, ())))
        if width == 0:
            self._map_ended(place, agenda, out)
        # The last one first: the agenda is a stack.
        agenda.extend(child for child in reversed(places) if self._open[child] == 0)

    def _mapped(self, place: int) -> State:
        return rules.mapped([self.states[child] for child in self.children[place]])

    def _map_ended(self, place: int, agenda: Agenda, out: list[Instruction]) -> None:
        """The last child of the mapped task at *place* ended."""
        state = self._mapped(place)
        if self.tasks[place].state_handlers:
            out.append(Propose(place, _PENDING, state))
        else:
            agenda.append((place, state))

    # -- settling ----------------------------------------------------------------------------------------

    def _settle(self, place: int, state: State, out: list[Instruction], now: datetime) -> None:
        """Make *state* final, and look at the downstreams it was the last one for."""
        self._work([(place, state)], out, now)

    def _work(self, agenda: Agenda, out: list[Instruction], now: datetime) -> None:
        """Look at places, settle states, until nothing follows from anything.

        Without recursion: a chain of given states may be 100,000 tasks long.
        """
        agenda.reverse()
        while agenda:
            item = agenda.pop()
            if isinstance(item, int):
                self._look(item, agenda, out, now)
                continue
            place, state = item
            if self.states[place].is_finished():
                continue  # a late or repeated event: the first one counts
            self.states[place] = state
            out.append(Settle(place, state))
            ready = self._freed_by(place, out)
            ready.reverse()
            agenda.extend(ready)

    def _freed_by(self, place: int, out: list[Instruction]) -> Agenda:
        """Return what can be looked at now that the task at *place* has ended."""
        index = self.map_index[place]
        if index < 0:
            ready = self._counted_down(self._wiring.down[place])
            if place not in self.children:
                # It ended without children: whoever goes in step with it need not wait for their number.
                ready += self._counted_down(self._wiring.in_step.get(place, ()))
            return ready
        parent = self._parents[place]
        partners = [
            self.children[down][index]
            for down in self._wiring.in_step.get(parent, ())
            if down in self.children and index < len(self.children[down])
        ]
        ready = self._counted_down(partners)
        self._left[parent] -= 1
        if self._left[parent] == 0:
            self._map_ended(parent, ready, out)
        return ready

    def _counted_down(self, places: Iterable[int]) -> Agenda:
        """Return those of the *places* that waited for nothing else."""
        ready: Agenda = []
        for place in places:
            self._open[place] -= 1
            if self._open[place] == 0:
                ready.append(place)
        return ready


_PENDING = states.Pending("not begun")
Agenda = list[int | tuple[int, State]]
"""Places to look at, and places to settle with their states."""
