"""``Flow``: a graph with verbs. Each verb is one call to the floor that does it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.core.state import State
from jupyter_flows.core.task import Task
from jupyter_flows.errors import InvalidFlow


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
        run_on_schedule: bool | None = None,
        *,
        executor: Any = None,
        context: Mapping[str, Any] | None = None,
        task_states: Mapping[Task, State] | None = None,
        reporter: Any = None,
        **more_parameters: Any,
    ) -> State:
        """Run the flow here and now; return its final state, whose ``result`` is ``{task: state}``.

        Parameters
        ----------
        parameters : mapping, optional
            Values by name; they may be given as keywords too.
        run_on_schedule : bool, optional
            Wait for the schedule's times and run at each, until it ends. Default False (in Prefect 1 a
            flow with a schedule waited; here that is asked for).

        Raises
        ------
        InvalidParameters : an unknown parameter, or a required one is missing.
        """
        from jupyter_flows.core.current import current_flow
        from jupyter_flows.engine.flow_runner import FlowRunner

        if current_flow.get() is self:
            msg = f"flow {self.name!r} is still being built; call run() after the 'with' block"
            raise InvalidFlow(msg)
        runner = FlowRunner(self, executor=executor, reporter=reporter)
        values = {**(parameters or {}), **more_parameters}
        if not run_on_schedule:
            return runner.run(values, context=context, task_states=task_states)
        return self._run_on_schedule(runner, values, context)

    def _run_on_schedule(
        self, runner: Any, values: dict[str, Any], context: Mapping[str, Any] | None
    ) -> State:
        from jupyter_flows.engine.clock import SystemClock

        clock = SystemClock()
        if self.schedule is None:
            msg = f"flow {self.name!r} has no schedule to run on"
            raise InvalidFlow(msg)
        state: State | None = None
        at = self.schedule.after(clock.now())
        while at is not None:
            clock.wait((at - clock.now()).total_seconds())
            state = runner.run(values, context={**(context or {}), "scheduled_start_time": at})
            at = self.schedule.after(max(at, clock.now()))
        if state is None:
            msg = f"the schedule of flow {self.name!r} has no time left"
            raise InvalidFlow(msg)
        return state

    def register(self, project_name: str | None = None, **options: Any) -> Any:
        """Send the metadata to the server, write the code to storage; return the receipt.

        Options are those of :func:`jupyter_flows.registering.register.register`.
        """
        from jupyter_flows.registering.register import register

        return register(self, project=project_name, **options)

    def visualize(self, flow_state: State | None = None, filename: str | None = None) -> Any:
        """Return the picture; with *filename* (``.svg`` or ``.dot``) write it there too."""
        from jupyter_flows.widget import picture

        return picture(self, flow_state=flow_state, filename=filename)

    def serialize(self) -> dict[str, Any]:
        """Return what registering would send of tasks, edges and parameters, as plain data."""
        import msgspec

        from jupyter_flows.core.serialize import to_flow_spec
        from jupyter_flows.schema.refs import StorageRef

        plain: dict[str, Any] = msgspec.to_builtins(to_flow_spec(self, storage=StorageRef(kind="none")))
        return plain

    def _ipython_display_(self) -> None:
        from jupyter_flows.widget import show

        show(self)
