"""Drives the plan of a run with an executor: calls what it says, tells it what came of it.

Knows nothing of where the flow came from, how bodies are called, or who listens: those are its ports.
"""

from __future__ import annotations

import contextlib
import heapq
import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from jupyter_flows.core import context as contexts
from jupyter_flows.core import state as states
from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.core.state import State
from jupyter_flows.core.task import Task
from jupyter_flows.engine.backend import Backend, FunctionBackend
from jupyter_flows.engine.clock import Clock, SystemClock
from jupyter_flows.engine.namespace import NamespaceBackend
from jupyter_flows.engine.plan import Instruction, Plan, Settle, StartTask, WakeAt
from jupyter_flows.engine.reporter import LogBridge, NullReporter, Reporter
from jupyter_flows.engine.task_runner import attempt
from jupyter_flows.executors.base import Executor
from jupyter_flows.executors.local import LocalExecutor
from jupyter_flows.notebook.cell_task import CellTask

FLOW_LOGGER = "jupyter_flows.flow"


class DefaultBackend:
    """Functions as functions, cells in one namespace of this process."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._functions = FunctionBackend()
        self._cells = NamespaceBackend(parameters)

    def call(
        self, task: Task, inputs: Mapping[str, Any], context: Mapping[str, Any], timeout_s: float | None
    ) -> Any:
        """Call the task by what it is."""
        backend = self._cells if isinstance(task, CellTask) else self._functions
        return backend.call(task, inputs, context, timeout_s)


class FlowRunner:
    """Runs a graph once.

    Parameters
    ----------
    graph : FlowGraph
    executor : Executor, optional
        Default: the graph's, else one task at a time in this thread.
    backend : Backend, optional
        Default: functions are called, cells run in one namespace of this process.
    reporter : Reporter, optional
        Who hears of states and log lines.
    clock : Clock, optional

    Examples
    --------
    >>> from jupyter_flows import Flow, task
    >>> with Flow("one") as flow:
    ...     one = task(lambda: 1)()
    >>> FlowRunner(flow).run().result[one].result
    1
    """

    def __init__(
        self,
        graph: FlowGraph,
        *,
        executor: Executor | None = None,
        backend: Backend | None = None,
        reporter: Reporter | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._graph = graph
        self._executor: Executor = executor or graph.executor or LocalExecutor()
        self._backend = backend
        self._reporter: Reporter = reporter or NullReporter()
        self._listened = reporter is not None
        self._clock: Clock = clock or SystemClock()

    def run(
        self,
        parameters: Mapping[str, Any] | None = None,
        *,
        context: Mapping[str, Any] | None = None,
        task_states: Mapping[Task, State] | None = None,
        reraise: bool = False,
    ) -> State:
        """Run the graph; return the flow's final state, whose ``result`` is ``{task: state}``.

        Parameters
        ----------
        parameters : mapping, optional
        context : mapping, optional
            Keys laid over the run's context.
        task_states : mapping, optional
            Finished states of tasks that need not run.
        reraise : bool
            Whether an interrupt, after everything was cancelled, is raised again.

        Raises
        ------
        InvalidParameters, FlowCycle : nothing ran.
        """
        values = dict(parameters or {})
        self._graph.check_parameters(values)
        run = _Run(
            Plan(self._graph, task_states=task_states),
            executor=self._executor,
            backend=self._backend or DefaultBackend(values),
            reporter=self._reporter,
            clock=self._clock,
            context=self._context(values, context or {}),
        )
        state: State = self._flow_state(states.Pending("Not begun."), states.Running("Running flow."))
        interrupted = False
        with self._logs():
            self._executor.start()
            try:
                run.go()
            except KeyboardInterrupt:
                interrupted = True
                run.cancel()
            finally:
                self._executor.shutdown()
            final = self._flow_state(state, run.plan.final_state())
        if interrupted and reraise:
            raise KeyboardInterrupt
        return final

    def _flow_state(self, old: State, new: State) -> State:
        for handler in self._graph.state_handlers:
            result = new.result
            new = handler(self._graph, old, new) or new
            if new.result is None:
                new.result = result
        self._reporter.flow_run_state(new)
        return new

    def _context(self, parameters: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
        now = self._clock.now()
        return {
            **contexts.context.to_dict(),
            "flow_name": self._graph.name,
            "flow_run_id": str(uuid4()),
            "flow_run_name": self._graph.name,
            "parameters": parameters,
            "date": now,
            "scheduled_start_time": now,
            "logger": logging.getLogger(FLOW_LOGGER),
            **more,
        }

    @contextlib.contextmanager
    def _logs(self) -> Iterator[None]:
        """Carry the flow's log to the reporter, where somebody listens."""
        if not self._listened:
            yield
            return
        logger = logging.getLogger(FLOW_LOGGER)
        bridge = LogBridge(self._reporter)
        level = logger.level
        logger.addHandler(bridge)
        if logger.getEffectiveLevel() > logging.INFO:
            logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.removeHandler(bridge)
            logger.setLevel(level)


class _Run:
    """The state of one run's loop."""

    def __init__(
        self,
        plan: Plan,
        *,
        executor: Executor,
        backend: Backend,
        reporter: Reporter,
        clock: Clock,
        context: dict[str, Any],
    ) -> None:
        self.plan = plan
        self._graph = plan.graph
        self._slugs = plan.graph.slugs
        self._constants = plan.graph.constants
        self._executor = executor
        self._backend = backend
        self._reporter = reporter
        self._clock = clock
        self._context = context
        self._ready: list[tuple[int, int]] = []
        self._due: list[tuple[datetime, int]] = []
        self._under_way = 0

    def go(self) -> None:
        """Run until nothing is ready, under way, or due."""
        self._obey(self.plan.begin())
        while True:
            while self._ready and self._executor.has_room():
                self._begin(*heapq.heappop(self._ready))
            if self._under_way:
                done = self._executor.next_done(self._until_due())
                if done is not None:
                    self._end(*done)
            elif self._due:
                self._clock.wait(self._until_due() or 0.0)
            elif not self._ready:
                return
            while self._due and self._due[0][0] <= self._clock.now():
                self._obey(self.plan.time_reached(heapq.heappop(self._due)[1]))

    def cancel(self) -> None:
        """Cancel what has not begun; what was under way is cancelled too, in its thread or not."""
        self._ready.clear()
        self._due.clear()
        now = self._clock.now()
        self._obey(self.plan.cancel_asked())
        for place, state in enumerate(self.plan.states):
            if isinstance(state, states.Running):
                self._obey(
                    self.plan.task_finished(place, states.Cancelled("Cancelled while it ran."), now=now)
                )

    def _until_due(self) -> float | None:
        if not self._due:
            return None
        return max(0.0, (self._due[0][0] - self._clock.now()).total_seconds())

    def _obey(self, instructions: list[Instruction]) -> None:
        for instruction in instructions:
            if isinstance(instruction, StartTask):
                heapq.heappush(self._ready, (instruction.place, instruction.attempt))
            elif isinstance(instruction, Settle):
                self._tell(instruction.place, instruction.state)
            elif isinstance(instruction, WakeAt):
                heapq.heappush(self._due, (instruction.at, instruction.place))

    def _tell(self, place: int, state: State) -> None:
        task = self.plan.tasks[place]
        self._reporter.task_run_state(
            slug=self._slugs[task],
            name=task.name,
            map_index=-1,
            state=state,
            attempt=max(1, self.plan.attempts[place]),
        )

    def _handled(self, task: Task, old: State, new: State) -> State:
        for handler in task.state_handlers:
            try:
                new = handler(task, old, new) or new
            except Exception as error:  # noqa: BLE001 - a handler is the user's code
                return states.Failed(
                    f"A state handler of task {task.name} raised {type(error).__name__}.", error
                )
        return new

    def _begin(self, place: int, number: int) -> None:
        task = self.plan.tasks[place]
        running: State = states.Running("Starting task run.")
        if task.state_handlers:
            running = self._handled(task, self.plan.states[place], running)
        if running.is_finished():
            self._under_way += 1
            self._executor.submit(place, lambda: running)
            return
        self.plan.states[place] = running
        self._tell(place, running)
        self._under_way += 1
        self._executor.submit(place, self._attempt(place, task, number))

    def _attempt(self, place: int, task: Task, number: int) -> Callable[[], State]:
        inputs = {key: self.plan.states[up].result for key, up in self.plan.inputs[place]}
        constants = self._constants.get(task)
        if constants:
            inputs.update(constants)
        context = {
            **self._context,
            "task_name": task.name,
            "task_full_name": task.name,
            "task_slug": self._slugs[task],
            "task_run_count": number,
            "task_tags": task.tags,
            "map_index": None,
        }
        return lambda: attempt(task, inputs, context, self._backend)

    def _end(self, place: int, state: State) -> None:
        self._under_way -= 1
        task = self.plan.tasks[place]
        if task.state_handlers:
            state = self._handled(task, self.plan.states[place], state)
        self._obey(self.plan.task_finished(place, state, now=self._clock.now()))
