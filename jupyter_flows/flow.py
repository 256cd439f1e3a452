"""``Flow``: a graph with verbs. Each verb is one call to the floor that does it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from jupyter_flows.core.context import context as run_context
from jupyter_flows.core.current import current_flow
from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.core.state import State
from jupyter_flows.core.task import Task
from jupyter_flows.errors import InvalidFlow, InvalidOption

_RUNNER_OPTIONS = frozenset(
    {"return_tasks", "runner_cls", "state", "task_contexts", "task_runner_state_handlers"}
)


class Flow(FlowGraph):
    """A named directed acyclic graph of tasks, which can be run, drawn and registered.

    Examples
    --------
    >>> from jupyter_flows import Parameter, task
    >>> @task
    ... def greet(name):
    ...     return f"Hello, {name}"
    >>> with Flow("greeting") as flow:
    ...     greeting = greet(Parameter("name", default="you"))
    >>> flow.run(name="Ada").result[greeting].result
    'Hello, Ada'
    """

    def run(
        self,
        parameters: Mapping[str, Any] | None = None,
        run_on_schedule: bool | None = None,  # noqa: FBT001 - Prefect 1's signature
        *,
        executor: Any = None,
        context: Mapping[str, Any] | None = None,
        task_states: Mapping[Task | str, State] | None = None,
        flow_run_id: str | None = None,
        flow_run_name: str | None = None,
        reporter: Any = None,
        clock: Any = None,
        **more_parameters: Any,
    ) -> State:
        """Run the flow here and now; return its final state, whose ``result`` is ``{task: state}``.

        Waits for retries. An interrupt cancels what has not ended and is raised again.

        Parameters
        ----------
        parameters : mapping, optional
            Values by name; they may be given as keywords too, also those of parameters that are called as
            an argument of this method.
        run_on_schedule : bool, optional
            Wait for the schedule's times and run at each, until it ends. Default False (in Prefect 1 a
            flow with a schedule waited; here that is asked for).
        executor : Executor, optional
            Default: the flow's, else one task at a time.
        context : mapping, optional
            Keys laid over the run's :data:`~jupyter_flows.context`.
        task_states : mapping, optional
            States that tasks begin with: finished tasks are not run again, so
            ``flow.run(task_states={**state.result, approve: Resume()})`` goes on after an approval.
        flow_run_id, flow_run_name : str, optional
            As the run's context has them; default: made for each run.
        reporter : Reporter, optional
            Who hears of states and log lines.
        clock : Clock, optional

        Raises
        ------
        InvalidParameters : an unknown parameter, or a required one is missing.
        InvalidFlow : the flow is still being built, or cannot run.
        """
        from jupyter_flows.engine.clock import SystemClock
        from jupyter_flows.engine.flow_runner import FlowRunner

        if run_context.get("loading_flow"):
            return self._not_while_loading("run")  # type: ignore[no-any-return]
        if current_flow.get() is self:
            msg = f"flow {self.name!r} is still being built; call run() after the 'with' block"
            raise InvalidFlow(msg)
        names = {task.name for task in self.parameters()}
        for name in _RUNNER_OPTIONS & (more_parameters.keys() - names):
            msg = f"flow {self.name!r}: run() takes no {name}, Prefect 1's option for its own runner"
            raise InvalidFlow(msg)
        own = names & {"context", "executor", "task_states", "clock"}
        if own:
            given = {"context": context, "executor": executor, "task_states": task_states, "clock": clock}
            more_parameters.update({name: given[name] for name in own if given[name] is not None})
            context, executor = (None if name in own else given[name] for name in ("context", "executor"))
            task_states, clock = (None if name in own else given[name] for name in ("task_states", "clock"))
        for what, value in (("parameters", parameters), ("context", context), ("task_states", task_states)):
            if value is not None and not isinstance(value, Mapping):
                msg = f"flow {self.name!r}: {what} is {value!r}; run() takes a dictionary"
                raise InvalidFlow(msg)
        run = {"flow_run_id": flow_run_id, "flow_run_name": flow_run_name}
        context = {**(context or {}), **{name: value for name, value in run.items() if value is not None}}
        clock = clock or SystemClock()
        runner = FlowRunner(self, executor=executor, reporter=reporter, clock=clock)
        values = {**(parameters or {}), **more_parameters}
        if not run_on_schedule:
            return runner.run(values, context=context, task_states=task_states, reraise=True)
        if self.schedule is None:
            msg = f"flow {self.name!r} has no schedule to run on; give it one, or leave run_on_schedule out"
            raise InvalidFlow(msg)
        from jupyter_flows.schedules import parse_schedule

        schedule = parse_schedule(self.schedule) if isinstance(self.schedule, str) else self.schedule
        if not hasattr(schedule, "events_after"):
            msg = f"flow {self.name!r}: schedule is {schedule!r}; give one of jupyter_flows.schedules"
            raise InvalidFlow(msg)
        state: State | None = None
        events = schedule.events_after(clock.now())
        while events:
            at = events[0].start_time
            clock.wait((at - clock.now()).total_seconds())
            for event in events:
                # What is given to the run wins over the clock's (in Prefect 1 the clock won).
                state = runner.run(
                    {**event.parameter_defaults, **values},
                    context={**context, "scheduled_start_time": at},
                    reraise=True,
                )
            events = self.schedule.events_after(max(at, clock.now()))
        if state is None:
            msg = f"the schedule of flow {self.name!r} has no time left"
            raise InvalidFlow(msg)
        return state

    def _not_while_loading(self, verb: str) -> Any:
        """Say that a script which is being read for its flow does not run or register it meanwhile."""
        warnings.warn(
            f"flow.{verb}() of flow {self.name!r} does nothing while the script is loaded; "
            "put it under 'if __name__ == \"__main__\":'",
            stacklevel=3,
        )

    def register(self, project_name: str | None = None, **options: Any) -> Any:
        """Send the metadata to the server, write the code to storage; return the receipt.

        In a headless run, whose notebook may end in this call, it does nothing.

        Options are those of :func:`jupyter_flows.registering.register.register`.
        """
        from jupyter_flows.registering.register import is_headless, register

        if run_context.get("loading_flow"):
            return self._not_while_loading("register")
        if current_flow.get() is self:
            msg = f"flow {self.name!r} is still being built; call register() after the 'with' block"
            raise InvalidFlow(msg)
        if is_headless():
            print(f"(flow.register() of {self.name!r}: nothing to do in a headless run)")  # noqa: T201
            return None
        return register(self, project=project_name, **options)

    def visualize(
        self,
        flow_state: State | None = None,
        filename: str | None = None,
        format: str | None = None,  # noqa: A002 - Prefect 1's signature
        horizontal: bool = False,  # noqa: FBT001, FBT002
    ) -> Any:
        """Return the picture, coloured by *flow_state*; with *filename* write it there too.

        Parameters
        ----------
        flow_state : State, optional
            Of a run of the flow.
        filename : str, optional
            With or without the ending ``.svg``.
        format : "svg", optional
            There is no other.
        horizontal : bool
            False: pictures run from top to bottom.

        Raises
        ------
        InvalidOption : another format or ending, or a picture from left to right.
        """
        if format not in {None, "svg"} or horizontal:
            what = "runs from top to bottom" if horizontal else f"is written as svg, not as {format}"
            msg = f"visualize: the picture {what}; 'jupyter flows graph --dot FILE' writes DOT for Graphviz"
            raise InvalidOption(msg)
        if filename is not None and not Path(filename).suffix:
            filename = f"{filename}.svg"
        return _widget().picture(self, flow_state=flow_state, filename=filename)

    def serialize(self, build: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - Prefect 1's signature
        """Return what registering would send of tasks, edges and parameters, as plain data.

        Raises
        ------
        InvalidFlow : with *build*, which in Prefect 1 wrote the code to storage: here registering does.
        """
        if build:
            msg = f"flow {self.name!r}: serialize writes no code; register() writes it to storage"
            raise InvalidFlow(msg)
        import msgspec

        from jupyter_flows.core.serialize import to_flow_spec
        from jupyter_flows.schema.refs import StorageRef

        spec = to_flow_spec(self, storage=StorageRef(kind="none"))
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(spec))
        return plain

    def serialized_hash(self, build: bool = False) -> str:  # noqa: FBT001, FBT002
        """Return the SHA-256 of what registering would send of tasks, edges and parameters."""
        import hashlib

        import msgspec

        return hashlib.sha256(msgspec.json.encode(self.serialize(build), order="deterministic")).hexdigest()

    def save(self, fpath: str | Path | None = None) -> str:
        """Write the flow as a cloudpickle; return where it is.

        Parameters
        ----------
        fpath : path, optional
            Default: ``flows/<name>.pickle`` in the home directory of jupyter_flows.

        Raises
        ------
        CannotPickle : which task has what cannot be pickled.
        """
        from jupyter_flows.registering.pickling import pickle_flow

        target = Path(fpath) if fpath is not None else self._saved_at(self.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        data = pickle_flow(self)
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        beside.write_bytes(data)
        beside.replace(target)
        return str(target)

    @classmethod
    def load(cls, fpath: str | Path) -> Flow:
        """Return a flow that :meth:`save` wrote.

        Parameters
        ----------
        fpath : path, or the flow's name
            It is executed as pickles are: load only what you or your colleagues saved.

        Raises
        ------
        FlowNotFoundInFile : there is no such file, or it holds no flow.
        """
        import cloudpickle

        from jupyter_flows.errors import FlowNotFoundInFile

        named = cls._saved_at(str(fpath))
        target = Path(fpath) if Path(fpath).is_file() or not named.is_file() else named
        try:
            found = cloudpickle.loads(target.read_bytes())
        except OSError as error:
            msg = f"no flow is saved at {target}: {(error.strerror or type(error).__name__).lower()}"
            raise FlowNotFoundInFile(msg) from error
        except Exception as error:
            msg = f"{target} cannot be read as a flow: {type(error).__name__}"
            raise FlowNotFoundInFile(msg) from error
        if not isinstance(found, cls):
            msg = f"{target} holds a {type(found).__name__}, not a flow"
            raise FlowNotFoundInFile(msg)
        return found

    @staticmethod
    def _saved_at(name: str) -> Path:
        from jupyter_flows.settings import load_settings
        from jupyter_flows.storage.base import slug

        return load_settings().home / "flows" / f"{slug(name)}.pickle"

    def diagnostics(self, include_secret_names: bool = False) -> str:  # noqa: FBT001, FBT002
        """Return as JSON text what helps to find out why something does not work; names only, no values.

        Names of secrets that its tasks ask for only with *include_secret_names*.

        Examples
        --------
        >>> import json
        >>> sorted(json.loads(Flow("etl").diagnostics()))
        ['environment_variables', 'flow', 'platform', 'python', 'version']
        """
        import json
        import platform

        kinds = {
            name: type(value).__name__
            for name in ("schedule", "executor", "run_config", "storage", "result")
            for value in [getattr(self, name)]
            if value is not None
        }
        found: dict[str, Any] = {
            "version": import_module("jupyter_flows").__version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "environment_variables": sorted(name for name in os.environ if name.startswith("JUPYTER_FLOWS_")),
            "flow": {**kinds, "tasks": len(self.tasks), "edges": len(self.edges)},
        }
        if include_secret_names:
            names = {getattr(task, "secret_name", None) for task in self.tasks}
            found["secrets"] = sorted(name for name in names if name)
        return json.dumps(found, indent=2)

    def _ipython_display_(self) -> None:
        _widget().show(self)


def _widget() -> Any:
    """Return the floor above: a flow can be looked at wherever pictures are installed, and runs without."""
    return import_module("jupyter_flows.widget")
