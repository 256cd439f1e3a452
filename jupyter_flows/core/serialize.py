"""A flow as records, a state as a record, and back. Pure; nothing of a flow's code or data passes here."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from jupyter_flows.core import state as states
from jupyter_flows.core.edge import Edge
from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.core.parameter import Parameter
from jupyter_flows.core.task import Task
from jupyter_flows.errors import InvalidParameters
from jupyter_flows.schema.flows import EdgeSpec, FlowSpec, ParameterSpec, TaskSpec
from jupyter_flows.schema.refs import Fingerprint, RunConfigRef, ScheduleRef, StorageRef
from jupyter_flows.schema.runs import StateRecord

PARAMETER_LIMIT_BYTES = 2048


def to_state_record(state: states.State) -> StateRecord:
    """Return the record of a state: its name, message and time, never its result."""
    return state.to_record()


def from_state_record(record: StateRecord) -> states.State:
    """Return the state of a record, without a result."""
    return states.STATES[record.type](record.message or None, at=record.at)


def to_flow_spec(
    graph: FlowGraph,
    *,
    storage: StorageRef,
    run_config: RunConfigRef | None = None,
    schedules: Iterable[ScheduleRef] = (),
    schedule_given: bool = False,
    labels: Iterable[str] = (),
    project: str = "default",
    fingerprint: Fingerprint | None = None,
    on_lost: str | None = None,
    total_timeout_s: float | None = None,
) -> FlowSpec:
    """Return everything of a flow that is sent to the server.

    Raises
    ------
    InvalidParameters : a parameter's default is no short JSON value.
    """
    specs = [parameter_spec(task) for task in graph.parameters()]
    mapped = {edge.downstream_task for edge in graph.edges if edge.mapped}
    return FlowSpec(
        name=graph.name,
        project=project,
        parameters=(*specs, *graph.parameter_specs),
        tasks=tuple(task_spec(graph, task, is_mapped=task in mapped) for task in graph.tasks),
        edges=tuple(edge_spec(graph, edge) for edge in graph.edges),
        reference_tasks=tuple(graph.slugs[task] for task in graph.reference_tasks())
        if graph.has_own_reference_tasks
        else (),
        schedules=tuple(schedules),
        schedule_given=schedule_given,
        storage=storage,
        run_config=run_config or RunConfigRef(),
        labels=tuple(sorted(set(labels))),
        fingerprint=fingerprint,
        on_lost=on_lost or graph.on_lost,  # type: ignore[arg-type]
        total_timeout_s=total_timeout_s,
    )


def task_spec(graph: FlowGraph, task: Task, *, is_mapped: bool) -> TaskSpec:
    """Return the record of a task; *is_mapped* if one of the edges that end at it is."""
    return TaskSpec(
        slug=graph.slugs[task],
        name=task.name,
        type="Parameter"
        if isinstance(task, Parameter)
        else f"{type(task).__module__}.{type(task).__qualname__}"[-200:],
        role=task.role,  # type: ignore[arg-type]
        cell_id=getattr(task, "cell_id", None),
        tags=tuple(sorted(task.tags)),
        max_retries=task.max_retries,
        retry_delay_s=_seconds(task.retry_delay),
        timeout_s=_seconds(task.timeout),
        trigger=getattr(task.trigger, "__name__", type(task.trigger).__name__),
        skip_on_upstream_skip=task.skip_on_upstream_skip,
        mapped=is_mapped,
        auto_generated=task.auto_generated,
    )


def edge_spec(graph: FlowGraph, edge: Edge) -> EdgeSpec:
    """Return the record of an edge."""
    return EdgeSpec(
        upstream=graph.slugs[edge.upstream_task],
        downstream=graph.slugs[edge.downstream_task],
        key=edge.key,
        mapped=edge.mapped,
        flattened=edge.flattened,
        kind=edge.kind,
        names=edge.names,
        reason=edge.reason[:500],
    )


def parameter_spec(parameter: Parameter) -> ParameterSpec:
    """Return the record of a parameter, whose default is sent as it is."""
    return make_parameter_spec(parameter.name, parameter.default, required=parameter.required)


def make_parameter_spec(name: str, default: Any, *, required: bool) -> ParameterSpec:
    """Return the record of a parameter.

    Raises
    ------
    InvalidParameters : the default is no JSON scalar (or list of them) of at most 2 kB.
    """
    scalar = default is None or isinstance(default, bool | int | float | str)
    scalars = isinstance(default, list | tuple) and all(
        item is None or isinstance(item, bool | int | float | str) for item in default
    )
    if not scalar and not scalars:
        msg = (
            f"parameter {name!r} has a {type(default).__name__} as default; defaults are sent to the server, "
            "so they are numbers, texts, true, false, null, or lists of these"
        )
        raise InvalidParameters(msg)
    if any(not _fits_json(item) for item in (default if scalars else [default])):
        msg = (
            f"parameter {name!r} has a default that JSON cannot carry exactly (not finite, or beyond 2**53); "
            "give it as text"
        )
        raise InvalidParameters(msg)
    if len(json.dumps(default)) > PARAMETER_LIMIT_BYTES:
        msg = f"parameter {name!r} has a default of more than 2 kB; put it into a file and name the file"
        raise InvalidParameters(msg)
    value = list(default) if isinstance(default, tuple) else default
    return ParameterSpec(name=name, slug=name, required=required, default=value)


def _fits_json(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, int) or abs(value) <= 2**53


def _seconds(delta: timedelta | None) -> float | None:
    return None if delta is None else delta.total_seconds()
