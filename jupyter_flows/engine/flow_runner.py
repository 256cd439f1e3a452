"""Drives the plan of a run with an executor: calls what it says, tells it what came of it.

Knows nothing of where the flow came from, how bodies are called, or who listens: those are its ports.
State handlers and reports are called here, in the one thread that drives; only bodies run elsewhere.
"""

from __future__ import annotations

import contextlib
import heapq
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from jupyter_flows.core import context as contexts
from jupyter_flows.core import state as states
from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.core.signals import ENDRUN, PrefectStateSignal
from jupyter_flows.core.state import State
from jupyter_flows.core.task import Task
from jupyter_flows.engine import cache
from jupyter_flows.engine.backend import Backend, FunctionBackend
from jupyter_flows.engine.clock import Clock, SystemClock
from jupyter_flows.engine.instructions import Instruction, LookUp, Propose, Settle, StartTask, WakeAt
from jupyter_flows.engine.map_reports import MapReports
from jupyter_flows.engine.namespace import NamespaceBackend
from jupyter_flows.engine.plan import Plan
from jupyter_flows.engine.reporter import NullReporter, Reporter, SafeReporter
from jupyter_flows.engine.run_log import flow_logger, heard
from jupyter_flows.engine.stdout import routed
from jupyter_flows.engine.task_runner import attempt
from jupyter_flows.errors import InvalidFlow
from jupyter_flows.executors.base import Calls, Executor
from jupyter_flows.executors.local import LocalExecutor
from jupyter_flows.notebook.cell_task import CellTask

if TYPE_CHECKING:
    from jupyter_flows.engine.apart import Apart


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

    def restore(self, task: Task, result: Any) -> None:
        """Let cells see what a cell made that need not run."""
        if isinstance(task, CellTask):
            self._cells.restore(task, result)

    def apart(self, task: Task) -> Apart | None:
        """Return processes for functions with a timeout; cells need this one."""
        return None if isinstance(task, CellTask) else self._functions.apart(task)

    def close(self) -> None:
        """Let go of what cells and functions needed."""
        self._cells.close()
        self._functions.close()


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
        Who hears of states and log lines; one that fails never breaks the run.
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
        self._executor: Executor = _checked(executor or graph.executor or LocalExecutor(), graph.name)
        self._backend = backend
        is_heard = reporter is not None and type(reporter) is not NullReporter
        self._reporter = SafeReporter(reporter) if reporter is not None and is_heard else None
        self._clock: Clock = clock or SystemClock()

    def run(
        self,
        parameters: Mapping[str, Any] | None = None,
        *,
        context: Mapping[str, Any] | None = None,
        task_states: Mapping[Task | str, State] | None = None,
        reraise: bool = False,
    ) -> State:
        """Run the graph; return the flow's final state, whose ``result`` is ``{task: state}``.

        Parameters
        ----------
        parameters : mapping, optional
        context : mapping, optional
            Keys laid over the run's context.
        task_states : mapping, optional
            States that tasks, or slugs of tasks, begin with: finished ones need not run.
        reraise : bool
            Whether an interrupt, after everything was cancelled, is raised again.

        Raises
        ------
        InvalidParameters, InvalidFlow, FlowCycle : nothing ran.
        """
        graph = self._graph
        values = dict(parameters or {})
        graph.check_parameters(values)
        graph.validate()
        self._check_executor()
        given = self._given(task_states or {})
        plan = Plan(graph, task_states=given, has_look_up=cache.needs_look_up)
        logger = flow_logger(graph.name)
        base = self._context(values, context or {}, logger)
        interrupted = False
        with contextlib.ExitStack() as stack:
            backend = self._backend or self._default_backend(values, stack)
            restore: Any = getattr(backend, "restore", None)
            for task in plan.tasks if given and restore is not None else ():
                if task in given and given[task].is_successful():
                    restore(task, given[task].result)
            stack.enter_context(heard(logger, self._reporter, base["flow_run_id"]))
            if any(task.log_stdout for task in plan.tasks):
                stack.enter_context(routed())
            state = self._flow_state(states.Pending("not begun"), states.Running("Running flow."), base)
            if state.is_running():
                calls = self._executor.open()
                stack.callback(calls.close)
                run = _Run(
                    plan, calls=calls, backend=backend, reporter=self._reporter, clock=self._clock, base=base
                )
                try:
                    run.go()
                except KeyboardInterrupt:
                    interrupted = True
                    run.cancel()
                final = self._end(state, plan, base)
            else:
                # A state handler of the flow ended the run before it began.
                final = state
                if final.result is None:
                    final.result = dict(zip(plan.tasks, plan.states, strict=True))
        if interrupted and reraise:
            raise KeyboardInterrupt
        return final

    def _check_executor(self) -> None:
        """Refuse what the executor cannot run, before anything runs."""
        executor = self._executor
        if not getattr(executor, "runs_cells", True):
            cell = next((task for task in self._graph.slugs if isinstance(task, CellTask)), None)
            if cell is not None:
                msg = (
                    f"flow {self._graph.name!r}: cell {cell.name!r} shares its variables with other cells, "
                    f"which a {type(executor).__name__} cannot give it; "
                    "run the flow with a LocalExecutor or ThreadExecutor"
                )
                raise InvalidFlow(msg)
        check: Callable[[Iterable[Task]], None] | None = getattr(executor, "check", None)
        if check is not None:
            check(self._graph.slugs)

    def _given(self, task_states: Mapping[Task | str, State]) -> dict[Task, State]:
        by_slug: dict[Task | str, Task] = {slug: task for task, slug in self._graph.slugs.items()}
        found = {}
        for key, state in task_states.items():
            task = by_slug.get(key) if isinstance(key, str) else key
            if task is None or task not in self._graph:
                name = getattr(key, "name", key)
                msg = f"flow {self._graph.name!r}: task_states names {name!r}, which is not in it"
                raise InvalidFlow(msg)
            if not isinstance(state, State):
                whose = f"flow {self._graph.name!r}: task_states"
                msg = f"{whose} has {state!r} for task {task.name!r}; give a state"
                raise InvalidFlow(msg)
            found[task] = state
        return found

    def _default_backend(self, values: Mapping[str, Any], stack: contextlib.ExitStack) -> Backend:
        if not any(isinstance(task, CellTask) for task in self._graph.slugs):
            functions = FunctionBackend()
            stack.callback(functions.close)
            return functions
        backend = DefaultBackend(values)
        stack.callback(backend.close)
        return backend

    def _end(self, state: State, plan: Plan, base: Mapping[str, Any]) -> State:
        """Return the flow's final state, after its terminal state handler and its state handlers."""
        final = plan.final_state()
        by_task = final.result
        handler = self._graph.terminal_state_handler
        if handler is not None:
            # Children in place of their map, whose own state does not tell that one of them failed.
            reference = [
                one for task in self._graph.reference_tasks() for one in states.expanded(by_task[task])
            ]
            ask: Callable[..., Any] = handler
            final = self._judged(lambda new: ask(self._graph, new, reference), final, base)
        return self._flow_state(state, final, base)

    def _judged(self, handler: Callable[[State], State | None], new: State, base: Mapping[str, Any]) -> State:
        """Return what a state handler of the flow makes of *new*; the states of the tasks stay its result."""
        found = _asked(handler, new, base, f"flow {self._graph.name}")
        if isinstance(new.result, dict) and not isinstance(found.result, dict):
            if isinstance(found.result, Exception):
                base["logger"].error("%s", found.message, exc_info=found.result)
            found.result = new.result
        return found

    def _flow_state(self, old: State, new: State, base: Mapping[str, Any]) -> State:
        for handler in self._graph.state_handlers:
            new = self._judged(
                lambda now, handler=handler: handler(self._graph, old, now),  # type: ignore[misc]
                new,
                base,
            )
        if self._reporter is not None:
            self._reporter.flow_run_state(new)
        return new

    def _context(
        self, parameters: dict[str, Any], more: Mapping[str, Any], logger: logging.Logger
    ) -> dict[str, Any]:
        now = self._clock.now()
        run_id = uuid4().hex
        defaults = {task.name: task.default for task in self._graph.parameters() if not task.required}
        is_on = os.environ.get("JUPYTER_FLOWS_CHECKPOINTING", "").lower() in {"1", "true", "yes"}
        return {
            **contexts.context.to_dict(),
            "flow_name": self._graph.name,
            "flow_id": self._graph.name,
            "flow_run_id": run_id,
            "flow_result": self._graph.result,
            "checkpointing": contexts.context.get("checkpointing", is_on),
            "flow_run_name": f"{self._graph.name}-{run_id[:8]}",
            "date": now,
            "scheduled_start_time": now,
            "logger": logger,
            "secrets": contexts.context.get("secrets") or {},
            **more,
            "parameters": {**defaults, **parameters},
        }


def _checked(executor: Any, flow_name: str) -> Executor:
    """Return *executor* if it is one.

    Raises
    ------
    InvalidFlow : it is something else, or its class.
    """
    if isinstance(executor, type):
        name = executor.__name__
        msg = f"flow {flow_name!r}: executor is the class {name}; make one of it: {name}()"
        raise InvalidFlow(msg)
    if not hasattr(executor, "open"):
        msg = f"flow {flow_name!r}: executor is {executor!r}; give one of jupyter_flows.executors"
        raise InvalidFlow(msg)
    found: Executor = executor
    return found


class _Run:
    """The state of one run's loop."""

    def __init__(
        self,
        plan: Plan,
        *,
        calls: Calls,
        backend: Backend,
        reporter: SafeReporter | None,
        clock: Clock,
        base: dict[str, Any],
    ) -> None:
        self.plan = plan
        self._slugs = plan.graph.slugs
        self._constants = plan.graph.constants
        self._calls = calls
        self._backend = backend
        self._reporter = reporter
        self._clock = clock
        self._base = base
        self._run_id = base["flow_run_id"]
        self._logger: logging.Logger = base["logger"]
        self._ready: list[tuple[tuple[int, int, int], int, bool]] = []
        self._told = MapReports(self._tell_about)
        self._due: list[tuple[datetime, int]] = []
        self._under_way = 0

    def go(self) -> None:
        """Run until nothing is ready, under way, or due."""
        self._obey(self.plan.begin(self._clock.now()))
        while True:
            while self._ready and self._calls.has_room():
                ready = self._next_ready()
                if ready is None:
                    break
                rank, number, resume = ready
                self._begin(rank[2], number, resume)
            if self._under_way:
                done = self._calls.next_done(self._until_due_s() if self._due else None)
                if done is not None:
                    self._under_way -= 1
                    self._ended(*done)
            elif self._due:
                self._clock.wait(self._until_due_s())
            elif not self._ready:
                return
            while self._due and self._due[0][0] <= self._clock.now():
                place = heapq.heappop(self._due)[1]
                self._obey(self.plan.time_reached(place, now=self._clock.now()))

    def _next_ready(self) -> tuple[tuple[int, int, int], int, bool] | None:
        """Return the first of the ready tasks that has a place to run in; None if it must wait for one."""
        takes: Callable[[Task], bool] | None = getattr(self._calls, "takes", None)
        if takes is None:
            return heapq.heappop(self._ready)
        for ready in sorted(self._ready):
            if takes(self.plan.tasks[ready[0][2]]):
                self._ready.remove(ready)
                heapq.heapify(self._ready)
                return ready
        # With nothing under way no place would ever become free.
        return None if self._under_way else heapq.heappop(self._ready)

    def cancel(self) -> None:
        """Stop what is under way as far as it can be, and cancel everything that has not ended."""
        self._calls.interrupt()
        self._obey(self.plan.cancel_asked())

    def _until_due_s(self) -> float:
        return max(0.0, (self._due[0][0] - self._clock.now()).total_seconds())

    def _obey(self, instructions: Iterable[Instruction]) -> None:
        todo = deque(instructions)
        while todo:
            instruction = todo.popleft()
            if type(instruction) is StartTask:
                place = instruction.place
                heapq.heappush(self._ready, (self.plan.rank(place), instruction.attempt, instruction.resume))
            elif type(instruction) is Settle:
                if type(instruction.state) is states.Cached:
                    place = instruction.place
                    cache.remember(self.plan.tasks[place], instruction.state, self._context_at(place))
                self._tell(instruction.place, instruction.state)
            elif type(instruction) is WakeAt:
                heapq.heappush(self._due, (instruction.at, instruction.place))
            elif type(instruction) is LookUp:
                place = instruction.place
                found = cache.look_up(self.plan.tasks[place], self._inputs(place), self._context_at(place))
                todo.extend(self.plan.looked_up(place, found))
            elif type(instruction) is Propose:
                place = instruction.place
                state = self._handled(place, instruction.old, instruction.state)
                todo.extend(self.plan.entered(place, state, now=self._clock.now()))

    def _inputs(self, place: int) -> dict[str, Any]:
        """Return the arguments of the task at *place*, constants among them."""
        inputs = self.plan.inputs(place)
        constants = self._constants.get(self.plan.tasks[place])
        if constants:
            inputs.update(constants)
        return inputs

    def _context_at(self, place: int) -> dict[str, Any]:
        return self._context(place, self.plan.tasks[place])

    def _tell(self, place: int, state: State) -> None:
        if self._reporter is None:
            return
        if self.plan.map_index[place] >= 0:
            self._told.child(self.plan, place, state)
        elif place in self.plan.children:
            self._told.parent(place, state)
        else:
            self._tell_about(place, state)

    def _tell_about(self, place: int, state: State) -> None:
        task = self.plan.tasks[place]
        assert self._reporter is not None
        self._reporter.task_run_state(
            slug=self._slugs[task],
            name=task.name,
            map_index=self.plan.map_index[place],
            state=state,
            attempt=max(1, self.plan.attempts[place]),
        )

    def _handled(
        self, place: int, old: State, new: State, *, ask: Callable[..., State] | None = None
    ) -> State:
        """Ask the task's state handlers, within the task's context; return the state they agree on."""
        task = self.plan.tasks[place]
        if not task.state_handlers:
            return new
        context = self._context(place, task)
        for handler in task.state_handlers:
            new = (ask or _asked)(
                lambda now, handler=handler: handler(task, old, now),  # type: ignore[misc]
                new,
                context,
                f"task {task.name}",
            )
        return new

    def _begin(self, place: int, number: int, resume: bool) -> None:  # noqa: FBT001
        old = self.plan.states[place]
        running = self._handled(place, old, states.Running("Starting task run."))
        if not isinstance(running, states.Running):
            self._obey(self.plan.entered(place, running, now=self._clock.now()))
            return
        self.plan.started(place, running)
        self._tell(place, running)
        task = self.plan.tasks[place]
        inputs = self._inputs(place)
        context = self._context(place, task)
        context["task_run_count"] = number
        if place in self.plan.loops:
            count, result = self.plan.loops[place]
            context["task_loop_count"] = count + 1
            context["task_loop_result"] = result
        if resume:
            context["resume"] = True
        backend = self._backend
        self._under_way += 1
        self._calls.submit(place, attempt, task, inputs, context, backend)

    def _context(self, place: int, task: Task) -> dict[str, Any]:
        return {
            **self._base,
            "task_name": task.name,
            "task_full_name": self.plan.full_name(place),
            "task_slug": self._slugs[task],
            "task_id": self._slugs[task],
            "task_run_id": f"{self._run_id}-{place}",
            "task_run_count": max(1, self.plan.attempts[place]),
            "task_loop_count": 1,
            "task_tags": task.tags,
            "map_index": None if self.plan.map_index[place] < 0 else self.plan.map_index[place],
        }

    def _ended(self, place: int, state: State) -> None:
        try:
            state = self._handled(place, self.plan.states[place], state, ask=_ask)
        except _HandlerBroke as broke:
            # It would break again: the task is not tried again.
            if isinstance(broke.state, states.Failed):
                self._log_failure(broke.state)
            self._obey(self.plan.entered(place, broke.state, now=self._clock.now()))
            return
        if isinstance(state, states.Failed):
            self._log_failure(state)
        self._obey(self.plan.attempt_ended(place, state, now=self._clock.now()))

    def _log_failure(self, state: State) -> None:
        """Write the sentence, with the traceback for logs of this machine: a reporter never gets that."""
        is_error = isinstance(state.result, BaseException) and not isinstance(
            state.result, PrefectStateSignal
        )
        self._logger.error(
            "%s", state.message or "failed without a message", exc_info=state.result if is_error else None
        )


class _HandlerBroke(Exception):
    """A state handler raised, or returned what is no state: ``state`` says so, or is what ENDRUN ends in."""

    def __init__(self, state: State) -> None:
        super().__init__(state.message)
        self.state = state


def _asked(
    handler: Callable[[State], State | None], new: State, context: Mapping[str, Any], whose: str
) -> State:
    """Return what a state handler makes of *new*; a handler that raises fails its subject."""
    try:
        return _ask(handler, new, context, whose)
    except _HandlerBroke as broke:
        return broke.state


def _ask(
    handler: Callable[[State], State | None], new: State, context: Mapping[str, Any], whose: str
) -> State:
    """Return what a state handler makes of *new*.

    Raises
    ------
    _HandlerBroke : it raised, or returned what is no state.
    """
    token = contexts.enter(context)
    try:
        found = handler(new)
    except PrefectStateSignal as signal:
        return signal.state
    except ENDRUN as end:
        raise _HandlerBroke(end.state) from None
    except Exception as error:
        sentence = f"a state handler of {whose} raised {type(error).__name__}"
        raise _HandlerBroke(states.Failed(sentence, error)) from error
    finally:
        contexts.leave(token)
    if found is None:
        return new
    if not isinstance(found, State):
        sentence = f"a state handler of {whose} returned {type(found).__name__}; it returns a state or None"
        raise _HandlerBroke(states.Failed(sentence))
    return found
