"""Which tasks of a run may start now, and how it ends. Pure: no clock, no threads, no I/O.

Events in, instructions out; the loop that obeys is ``flow_runner.py``. Times are arguments. Rules are
Prefect 1's: a task is looked at when all its upstreams have ended; then the skip check, then the trigger.
An edge of kind ``order`` only makes wait: what its upstream ended in says nothing about the downstream.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from jupyter_flows.core import state as states
from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.core.signals import PrefectStateSignal
from jupyter_flows.core.state import State
from jupyter_flows.core.task import Task


class StartTask(msgspec.Struct, frozen=True):
    """Call the task at *place* now, as its *attempt*-th try."""

    place: int
    attempt: int


class Settle(msgspec.Struct, frozen=True):
    """The task at *place* is in *state* now, without a call."""

    place: int
    state: State


class WakeAt(msgspec.Struct, frozen=True):
    """Send ``time_reached`` at *at*: the task at *place* is due then."""

    place: int
    at: datetime


Instruction = StartTask | Settle | WakeAt


class Plan:
    """The run of one graph.

    Parameters
    ----------
    graph : FlowGraph
    task_states : mapping, optional
        Finished states of tasks that need not run.

    Attributes
    ----------
    tasks : list of Task
        In the order in which they run one by one; a task's place is its index here.
    states : list of State
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
        self.unfinished = count
        self._given = {place[task]: state for task, state in (task_states or {}).items() if task in place}
        self._open = [0] * count
        self._down: list[list[int]] = [[] for _ in range(count)]
        self._judged: list[list[int]] = [[] for _ in range(count)]
        for edge in graph.edges:
            up, down = place[edge.upstream_task], place[edge.downstream_task]
            self._open[down] += 1
            self._down[up].append(down)
            if edge.kind != "order":
                self._judged[down].append(up)
        self.inputs: list[list[tuple[str, int]]] = [[] for _ in range(count)]
        for edge in graph.edges:
            if edge.key is not None:
                self.inputs[place[edge.downstream_task]].append((edge.key, place[edge.upstream_task]))
        self._cancelled = False

    def begin(self) -> list[Instruction]:
        """Look at the tasks that wait for none."""
        out: list[Instruction] = []
        for place, count in enumerate(self._open):
            if count == 0:
                self._look(place, out)
        return out

    def task_finished(self, place: int, state: State, *, now: datetime) -> list[Instruction]:
        """Take what an attempt ended in; retry, or let the downstreams know."""
        task = self.tasks[place]
        out: list[Instruction] = []
        if self._cancelled and not state.is_finished():
            state = states.Cancelled("Cancelled before it was tried again.")
        elif isinstance(state, states.Failed) and not isinstance(state, states.TriggerFailed):
            if self.attempts[place] <= task.max_retries and not self._cancelled:
                delay = task.retry_delay or timedelta(0)
                state = states.Retrying(
                    f"{state.message or 'Failed.'} Trying again ({self.attempts[place]} of {task.max_retries}).",
                    state.result,
                    start_time=now + delay,
                    run_count=self.attempts[place],
                    at=now,
                )
        if isinstance(state, states.Scheduled):
            self.states[place] = state
            out.extend((Settle(place, state), WakeAt(place, max(state.start_time, now))))
            return out
        self._settle(place, state, out)
        return out

    def time_reached(self, place: int) -> list[Instruction]:
        """The task at *place* is due again."""
        if self.states[place].is_finished():
            return []
        return [self._start(place)]

    def cancel_asked(self) -> list[Instruction]:
        """Everything that has not begun is cancelled; what is under way ends by itself."""
        self._cancelled = True
        out: list[Instruction] = []
        for place, state in enumerate(self.states):
            if not state.is_finished() and not isinstance(state, states.Running):
                self.unfinished -= 1
                self.states[place] = states.Cancelled("The run was cancelled before this task began.")
                out.append(Settle(place, self.states[place]))
        return out

    def final_state(self) -> State:
        """What the flow ends in, by its reference tasks."""
        by_task = dict(zip(self.tasks, self.states, strict=True))
        if self._cancelled:
            return states.Cancelled("The run was cancelled.", by_task)
        reference = [by_task[task] for task in self.graph.reference_tasks()]
        if any(not state.is_finished() for state in reference):
            return states.Running("Some reference tasks have not finished.", by_task)
        if any(state.is_failed() for state in reference):
            return states.Failed("Some reference tasks failed.", by_task)
        if any(isinstance(state, states.Cancelled) for state in reference):
            return states.Cancelled("Some reference tasks were cancelled.", by_task)
        return states.Success("All reference tasks succeeded.", by_task)

    def _start(self, place: int) -> Instruction:
        self.attempts[place] += 1
        return StartTask(place, self.attempts[place])

    def _look(self, place: int, out: list[Instruction]) -> None:
        given = self._given.get(place)
        if given is not None and given.is_finished():
            self._settle(place, given, out)
            return
        task = self.tasks[place]
        ups = self._judged[place]
        if ups:
            upstream = [self.states[up] for up in ups]
            if task.skip_on_upstream_skip and any(isinstance(state, states.Skipped) for state in upstream):
                self._settle(place, states.Skipped("An upstream task was skipped."), out)
                return
            refusal = refuses(task, upstream)
            if refusal is not None:
                self._settle(place, refusal, out)
                return
        out.append(self._start(place))

    def _settle(self, place: int, state: State, out: list[Instruction]) -> None:
        """Make *state* final, and look at the downstreams it was the last one for."""
        agenda = [(place, state)]
        while agenda:
            place, state = agenda.pop()
            if self.states[place].is_finished():
                continue
            self.states[place] = state
            self.unfinished -= 1
            out.append(Settle(place, state))
            for down in self._down[place]:
                self._open[down] -= 1
                if self._open[down] == 0 and not self.states[down].is_finished():
                    self._look_into(down, out, agenda)

    def _look_into(self, place: int, out: list[Instruction], agenda: list[tuple[int, State]]) -> None:
        """Like :meth:`_look`, but without recursion: a chain may be 100,000 tasks long."""
        given = self._given.get(place)
        task = self.tasks[place]
        upstream = [self.states[up] for up in self._judged[place]]
        if given is not None and given.is_finished():
            agenda.append((place, given))
        elif task.skip_on_upstream_skip and any(isinstance(state, states.Skipped) for state in upstream):
            agenda.append((place, states.Skipped("An upstream task was skipped.")))
        else:
            refusal = refuses(task, upstream) if upstream else None
            if refusal is not None:
                agenda.append((place, refusal))
            else:
                out.append(self._start(place))


_PENDING = states.Pending("Not begun.")


def refuses(task: Task, upstream: list[State]) -> State | None:
    """Return the state that a task's trigger refuses with, or None if it lets the task run."""
    try:
        if task.trigger(upstream):
            return None
    except PrefectStateSignal as signal:
        return signal.state
    except Exception as error:  # noqa: BLE001 - a trigger is the user's code
        return states.TriggerFailed(f"The trigger raised {type(error).__name__}.", error)
    return states.TriggerFailed(f'Trigger was "{getattr(task.trigger, "__name__", "own")}" and said no.')
