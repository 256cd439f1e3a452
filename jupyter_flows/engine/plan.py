"""Which tasks of a run may start now, and how it ends. Pure: no clock, no threads, no I/O.

Events in, instructions out; the loop that obeys is ``flow_runner.py``. Times are arguments. Rules are
Prefect 1's: a task is looked at when all its upstreams have ended; then the skip check, then the trigger,
then the attempt, then the retry. What the plan decides itself it only *proposes*, since a state handler
may have another opinion; the answer comes back as an event.

An edge of kind ``order`` only makes wait: what its upstream ended in says nothing about the downstream.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from jupyter_flows.core import state as states
from jupyter_flows.core.edge import Edge
from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.core.signals import PrefectStateSignal
from jupyter_flows.core.state import State
from jupyter_flows.core.task import Task
from jupyter_flows.core.triggers import all_successful, manual_only


class StartTask(msgspec.Struct, frozen=True):
    """Call the task at *place*, as its *attempt*-th try; a person resumed it if *resume*."""

    place: int
    attempt: int
    resume: bool = False


class Propose(msgspec.Struct, frozen=True):
    """The task at *place* is about to go from *old* to *state*: ask its handlers, then tell ``entered``."""

    place: int
    old: State
    state: State


class Settle(msgspec.Struct, frozen=True):
    """The task at *place* is in *state* now: report it."""

    place: int
    state: State


class WakeAt(msgspec.Struct, frozen=True):
    """Send ``time_reached`` at *at*: the task at *place* is due then."""

    place: int
    at: datetime


Instruction = StartTask | Propose | Settle | WakeAt


class Plan:
    """The run of one graph.

    Parameters
    ----------
    graph : FlowGraph
    task_states : mapping, optional
        States that tasks begin with: finished ones need not run, a ``Paused`` one goes on waiting, a
        ``Resume`` runs, a ``Retrying`` counts its attempts on.

    Attributes
    ----------
    tasks : list of Task
        In the order in which they run one by one; a task's place is its index here.
    states : list of State
        By place.
    attempts : list of int
        By place.
    inputs : list of (argument, place of its upstream)
        By place.

    Raises
    ------
    FlowCycle : the graph has one.
    """

    def __init__(self, graph: FlowGraph, *, task_states: Mapping[Task, State] | None = None) -> None:
        self.graph = graph
        self.tasks = graph.sorted_tasks()
        place = {task: index for index, task in enumerate(self.tasks)}
        count = len(self.tasks)
        self.states: list[State] = [_PENDING] * count
        self.attempts = [0] * count
        self.inputs: list[list[tuple[str, int]]] = [[] for _ in range(count)]
        self._given = {place[task]: state for task, state in (task_states or {}).items()}
        self._open = [0] * count
        self._down: list[list[int]] = [[] for _ in range(count)]
        self._judged: list[list[tuple[Edge, int]]] = [[] for _ in range(count)]
        self._cancelled = False
        for edge in graph.edges:
            up, down = place[edge.upstream_task], place[edge.downstream_task]
            self._open[down] += 1
            self._down[up].append(down)
            if edge.kind != "order":
                self._judged[down].append((edge, up))
            if edge.key is not None:
                self.inputs[down].append((edge.key, up))

    # -- events -----------------------------------------------------------------------------------

    def begin(self, now: datetime) -> list[Instruction]:
        """The run starts: look at the tasks that wait for none."""
        out: list[Instruction] = []
        for place, count in enumerate(list(self._open)):
            if count == 0:
                self._look(place, out, now)
        return out

    def started(self, place: int, state: State) -> None:
        """The task at *place* is under way."""
        self.states[place] = state

    def attempt_ended(self, place: int, state: State, *, now: datetime) -> list[Instruction]:
        """An attempt ended in *state*: propose a retry, or let the downstreams know."""
        if isinstance(state, states.Failed) and self._may_retry(place, state):
            task, attempt = self.tasks[place], self.attempts[place]
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

    def time_reached(self, place: int) -> list[Instruction]:
        """The task at *place* is due."""
        if self._cancelled or self.states[place].is_finished():
            return []
        return [self._start(place)]

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
        """What the flow ends in, by its reference tasks."""
        by_task = dict(zip(self.tasks, self.states, strict=True))
        if self._cancelled:
            return states.Cancelled("The run was cancelled.", by_task)
        waiting = [task.name for task, state in by_task.items() if isinstance(state, states.Paused)]
        if waiting:
            names = ", ".join(waiting[:3]) + (f" and {len(waiting) - 3} more" if len(waiting) > 3 else "")
            return states.Paused(f"waits for approval of {names}", by_task)
        reference = [by_task[task] for task in self.graph.reference_tasks()]
        if any(state.is_failed() for state in reference):
            return states.Failed("Some reference tasks failed.", by_task)
        if all(state.is_successful() for state in reference):
            return states.Success("All reference tasks succeeded.", by_task)
        return states.Success("No reference tasks failed.", by_task)

    # -- rules ------------------------------------------------------------------------------------

    def _may_retry(self, place: int, state: State) -> bool:
        task = self.tasks[place]
        if self._cancelled or self.attempts[place] > task.max_retries:
            return False
        if isinstance(state, states.TriggerFailed):
            return False
        return not task.retry_on or isinstance(state.result, task.retry_on)

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

    def _look(self, place: int, out: list[Instruction], now: datetime) -> None:
        """All upstreams of the task at *place* have ended: decide."""
        given = self._given.pop(place, None)
        resume = isinstance(given, states.Resume)
        if given is not None and not resume:
            if given.is_finished():
                self._settle(place, given, out, now)
                return
            if isinstance(given, states.Retrying):
                self.attempts[place] = given.run_count
            if isinstance(given, states.Scheduled) and (given.start_time is None or given.start_time > now):
                self._wait(place, given, out, now)
                return
        decided = self._decide(place, resume=resume)
        if decided is None:
            out.append(self._start(place, resume=resume))
        else:
            out.append(Propose(place, self.states[place], decided))

    def _decide(self, place: int, *, resume: bool) -> State | None:
        """Return the state that the task gets instead of being called, or None."""
        task, judged = self.tasks[place], self._judged[place]
        if task.skip_on_upstream_skip:
            for edge, up in judged:
                if isinstance(self.states[up], states.Skipped):
                    return states.Skipped(f"upstream task {edge.upstream_task.name} was skipped")
        trigger = task.trigger
        if trigger is all_successful:
            for _, up in judged:
                if not isinstance(self.states[up], states.Success):
                    break
            else:
                return None
        elif trigger is manual_only and resume:
            return None
        return refusal(task, {edge: self.states[up] for edge, up in judged})

    def _settle(self, place: int, state: State, out: list[Instruction], now: datetime) -> None:
        """Make *state* final, and look at the downstreams it was the last one for.

        Without recursion: a chain of given states may be 100,000 tasks long.
        """
        agenda = [(place, state)]
        while agenda:
            place, state = agenda.pop()
            if self.states[place].is_finished():
                continue  # a late or repeated event: the first one counts
            self.states[place] = state
            out.append(Settle(place, state))
            for down in self._down[place]:
                self._open[down] -= 1
                if self._open[down] == 0:
                    given = self._given.get(down)
                    if given is not None and given.is_finished():
                        del self._given[down]
                        agenda.append((down, given))
                    else:
                        self._look(down, out, now)


_PENDING = states.Pending("not begun")


def refusal(task: Task, upstream_states: Mapping[Edge, State]) -> State | None:
    """Return the state that a task's trigger refuses with, or None if it lets the task run."""
    try:
        if task.trigger(upstream_states):
            return None
    except PrefectStateSignal as signal:
        return signal.state
    except Exception as error:  # noqa: BLE001 - a trigger is the user's code
        return states.TriggerFailed(f"the trigger of task {task.name} raised {type(error).__name__}", error)
    name = getattr(task.trigger, "__name__", type(task.trigger).__name__)
    return states.TriggerFailed(f"trigger {name} said no")
