"""Tasks that start runs of registered flows and wait for them.

They talk to the server that is configured where they run (``JUPYTER_FLOWS_API_URL`` and ``_TOKEN``, else the
one of this machine). A run that is started needs room at an agent: one with ``--max-runs 1`` that runs the
parent cannot run the child.
"""

from __future__ import annotations

import time
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import msgspec

from jupyter_flows.core.context import context
from jupyter_flows.core.signals import signal_from_state
from jupyter_flows.core.state import STATES, State
from jupyter_flows.core.task import Task, task
from jupyter_flows.errors import InvalidTask
from jupyter_flows.schema.base import utc_now
from jupyter_flows.schema.runs import CreateRun, RunRecord

ENDED = frozenset({"Success", "Failed", "Cancelled", "Skipped"})
LONGEST = timedelta(hours=12)
LOOK_EVERY = timedelta(seconds=1)


class FlowRunView(msgspec.Struct, frozen=True):
    """A run of another flow, as it was seen last.

    Parameters
    ----------
    flow_run_id, name, flow_name : str
    state : State
        Without a result: results stay where they were made.
    """

    flow_run_id: str
    name: str
    flow_name: str
    state: State


def _view(run: RunRecord) -> FlowRunView:
    state = STATES[run.state.type](run.state.message or None, at=run.state.at)
    return FlowRunView(run.id, run.name, run.flow_name, state)


def _create(
    flow: str,
    *,
    parameters: dict[str, Any] | None,
    labels: Any,
    run_name: str | None,
    at: datetime | timedelta | None,
    idempotency_key: str | None,
) -> RunRecord:
    from jupyter_flows.client import connect

    if isinstance(at, timedelta):
        at = utc_now() + at
    request = CreateRun(
        parameters=dict(parameters or {}),
        labels=None if labels is None else tuple(labels),
        name=run_name,
        scheduled_at=at,
        idempotency_key=idempotency_key or _own_key(),
    )
    with closing(connect()) as api:
        run = api.create_run(flow, request)
    context.logger.info("run %s of flow %s was created", run.name, run.flow_name)
    return run


def _own_key() -> str | None:
    """Return a key by which a task that is tried again finds the run that it started before."""
    own = context.get("task_run_id")
    if own is None:
        return None
    index = context.get("map_index")
    return str(own) if index is None else f"{own}-{index}"


def _refuse(what: str, **options: Any) -> None:
    """Refuse options that a run cannot have here."""
    for name, value in options.items():
        if value is not None:
            msg = f"{what}: a run's {name} is that of its flow; give parameters instead"
            raise InvalidTask(msg)


def _wait(
    run_id: str,
    *,
    longest: timedelta,
    stream_states: bool,
    stream_logs: bool,
    look_every: timedelta = LOOK_EVERY,
) -> FlowRunView:
    from jupyter_flows.client import connect

    until = time.monotonic() + longest.total_seconds()
    told, line = "", 0
    with closing(connect()) as api:
        while True:
            run = api.get_run(run_id)
            if stream_states and run.state.type != told:
                told = run.state.type
                context.logger.info("run %s of flow %s: %s", run.name, run.flow_name, told)
            if stream_logs:
                page = api.list_logs(run_id, after=line, limit=500)
                for entry in page.logs:
                    context.logger.info("%s: %s", run.name, entry.message)
                line = page.next if page.logs else line
            if run.state.type in ENDED:
                return _view(run)
            if time.monotonic() > until:
                msg = f"run {run.name} of flow {run.flow_name} did not end within {longest}; it goes on"
                raise TimeoutError(msg)
            time.sleep(look_every.total_seconds())


@task
def create_flow_run(  # noqa: PLR0917 - Prefect 1's signature
    flow_id: str | None = None,
    flow_name: str | None = None,
    project_name: str | None = None,
    parameters: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None,
    labels: list[str] | None = None,
    run_name: str | None = None,
    run_config: Any = None,
    scheduled_start_time: datetime | timedelta | None = None,
    idempotency_key: str | None = None,
) -> str:
    """Create a run of a registered flow; return its id.

    Tried again, it finds the run that it created before.

    Parameters
    ----------
    flow_id, flow_name : str
        One of them.
    project_name : str, optional
    parameters : dict, optional
    labels : list of str, optional
        Instead of the flow's.
    run_name : str, optional
    scheduled_start_time : datetime or timedelta from now, optional
    idempotency_key : str, optional
        Default: of this very task run.

    Raises
    ------
    InvalidTask : not exactly one of id and name, or something that a run cannot take here.
    """
    if (flow_id is None) == (flow_name is None):
        msg = "create_flow_run takes either flow_id or flow_name"
        raise InvalidTask(msg)
    _refuse("create_flow_run", context=context, run_config=run_config)
    name = flow_id or (f"{project_name}/{flow_name}" if project_name else str(flow_name))
    return _create(
        name,
        parameters=parameters,
        labels=labels,
        run_name=run_name,
        at=scheduled_start_time,
        idempotency_key=idempotency_key,
    ).id


@task
def wait_for_flow_run(
    flow_run_id: str,
    stream_states: bool = True,  # noqa: FBT001, FBT002 - Prefect 1's signature
    stream_logs: bool = False,  # noqa: FBT001, FBT002
    raise_final_state: bool = False,  # noqa: FBT001, FBT002
    max_duration: timedelta = LONGEST,
) -> FlowRunView:
    """Wait until a run has ended; return it.

    Parameters
    ----------
    flow_run_id : str
    stream_states, stream_logs : bool
        Whether its states and log lines are written to this run's log.
    raise_final_state : bool
        Whether this task ends in the run's state: fails if it failed.
    max_duration : timedelta

    Raises
    ------
    TimeoutError : it took longer.
    """
    view = _wait(flow_run_id, longest=max_duration, stream_states=stream_states, stream_logs=stream_logs)
    if raise_final_state:
        raise signal_from_state(view.state)(view.state.message, result=view)
    return view


class StartFlowRun(Task):
    """Starts a run of a registered flow, and waits for it if asked to.

    Parameters
    ----------
    flow_name, project_name : str
    parameters : dict, optional
    run_config, new_flow_context : None
        A run's are those of its flow.
    wait : bool
        Whether the task ends when the run does, in its state.
    run_name : str, optional
    scheduled_start_time : datetime, optional
    poll_interval : timedelta
        How often it looks whether the run has ended.
    create_link_artifact : bool
        Of no effect: the run's page shows which runs it started in its log.
    kwargs : any
        Of :class:`~jupyter_flows.Task`.
    """

    def __init__(  # noqa: PLR0917 - Prefect 1's signature
        self,
        flow_name: str | None = None,
        project_name: str | None = None,
        parameters: dict[str, Any] | None = None,
        run_config: Any = None,
        wait: bool = False,  # noqa: FBT001, FBT002
        new_flow_context: dict[str, Any] | None = None,
        run_name: str | None = None,
        scheduled_start_time: datetime | None = None,
        poll_interval: timedelta = LOOK_EVERY,
        create_link_artifact: bool = True,  # noqa: FBT001, FBT002
        **kwargs: Any,
    ) -> None:
        del create_link_artifact
        _refuse("StartFlowRun", context=new_flow_context, run_config=run_config)
        self.poll_interval = poll_interval
        self.flow_name = flow_name
        self.project_name = project_name
        self.wait = wait
        self.parameters = parameters
        self.run_name = run_name
        self.scheduled_start_time = scheduled_start_time
        if flow_name:
            kwargs.setdefault("name", f"Flow {flow_name}")
        super().__init__(**kwargs)

    def run(  # noqa: PLR0917 - Prefect 1's signature
        self,
        flow_name: str | None = None,
        project_name: str | None = None,
        parameters: dict[str, Any] | None = None,
        run_config: Any = None,
        new_flow_context: dict[str, Any] | None = None,
        run_name: str | None = None,
        idempotency_key: str | None = None,
        scheduled_start_time: datetime | None = None,
    ) -> str:
        """Start the run; return its id.

        Raises
        ------
        InvalidTask : no flow is named.
        """
        _refuse("StartFlowRun", context=new_flow_context, run_config=run_config)
        name = flow_name or self.flow_name
        if not name:
            msg = "StartFlowRun needs the name of a flow: StartFlowRun(flow_name='etl')"
            raise InvalidTask(msg)
        project = project_name or self.project_name
        run = _create(
            f"{project}/{name}" if project else name,
            parameters=parameters if parameters is not None else self.parameters,
            labels=None,
            run_name=run_name or self.run_name,
            at=scheduled_start_time or self.scheduled_start_time,
            idempotency_key=idempotency_key,
        )
        if self.wait:
            view = _wait(
                run.id, longest=LONGEST, stream_states=True, stream_logs=False, look_every=self.poll_interval
            )
            raise signal_from_state(view.state)(view.state.message, result=view)
        return run.id


class CancelFlowRun(Task):
    """Asks that a run be stopped; by itself the one that it is in.

    Parameters
    ----------
    flow_run_id : str, optional
    kwargs : any
        Of :class:`~jupyter_flows.Task`.
    """

    def __init__(self, flow_run_id: str | None = None, **kwargs: Any) -> None:
        self.flow_run_id = flow_run_id
        super().__init__(**kwargs)

    def run(self, flow_run_id: str | None = None) -> bool:
        """Ask for it; return whether the run is being stopped, or was before it began.

        Raises
        ------
        InvalidTask : no run is named, and it is in none.
        """
        from jupyter_flows.client import connect

        run_id = flow_run_id or self.flow_run_id or context.get("flow_run_id")
        if run_id is None:
            msg = "CancelFlowRun needs the id of a run: CancelFlowRun()(flow_run_id=...)"
            raise InvalidTask(msg)
        with closing(connect()) as api:
            run = api.cancel_run(str(run_id))
        return run.state.type in {"Cancelling", "Cancelled"}
