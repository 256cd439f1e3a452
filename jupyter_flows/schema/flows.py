"""What the server knows of a flow: names, edges, schedule, where its code is. Never the code."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from jupyter_flows.schema.base import (
    Count,
    Digest,
    Id,
    Labels,
    Name,
    OptionalName,
    OptionValue,
    Record,
    Request,
    Text,
    UtcTime,
    Word,
)
from jupyter_flows.schema.refs import Fingerprint, RunConfigRef, ScheduleRef, StorageRef
from jupyter_flows.schema.runs import RunRecord

Role = Literal["task", "plain", "setup", "parameters"]
EdgeKind = Literal["data", "order", "channel", "declared"]
OnLost = Literal["fail", "rerun"]


class ParameterSpec(Record, frozen=True, kw_only=True):
    """A named input of a flow."""

    name: Name
    required: bool
    default: OptionValue = None
    slug: OptionalName = ""


class TaskSpec(Record, frozen=True, kw_only=True, gc=False):
    """A task by its name and its rules; ``slug`` is unique in the flow."""

    slug: Name
    name: Name
    type: Name = "task"
    role: Role = "task"
    cell_id: Name | None = None
    tags: tuple[Word, ...] = ()
    max_retries: Count = 0
    retry_delay_s: float | None = None
    timeout_s: float | None = None
    trigger: Word = "all_successful"
    skip_on_upstream_skip: bool = True
    mapped: bool = False
    auto_generated: bool = False


class EdgeSpec(Record, frozen=True, kw_only=True, gc=False):
    """Upstream task to downstream task, by slugs; ``names`` are the variables that carry data."""

    upstream: Name
    downstream: Name
    key: Name | None = None
    mapped: bool = False
    flattened: bool = False
    kind: EdgeKind = "data"
    names: tuple[Name, ...] = ()
    reason: Annotated[str, Meta(max_length=500)] = ""


class FlowSpec(Record, frozen=True, kw_only=True):
    """Everything of a flow that is sent to the server when it is registered."""

    name: Name
    project: Word = "default"
    parameters: Annotated[tuple[ParameterSpec, ...], Meta(max_length=200)] = ()
    tasks: Annotated[tuple[TaskSpec, ...], Meta(max_length=10_000)] = ()
    edges: Annotated[tuple[EdgeSpec, ...], Meta(max_length=100_000)] = ()
    reference_tasks: tuple[Name, ...] = ()
    schedules: Annotated[tuple[ScheduleRef, ...], Meta(max_length=100)] = ()
    schedule_given: bool = False
    """Whether the schedules were given when the flow was registered, not by the flow itself."""
    storage: StorageRef
    run_config: RunConfigRef = RunConfigRef()
    labels: Labels = ()
    fingerprint: Fingerprint | None = None
    on_lost: OnLost = "fail"
    total_timeout_s: float | None = None


class RegisterFlow(Request, frozen=True, kw_only=True):
    """Ask the server to keep a flow; unchanged content makes no new version."""

    spec: FlowSpec
    activate_schedule: bool = True


class FlowVersion(Record, frozen=True, kw_only=True):
    """One registering of a flow."""

    id: Id
    flow_id: Id
    version: Count
    digest: Digest
    spec: FlowSpec
    registered_at: UtcTime
    registered_by: OptionalName = ""


class VersionBrief(Record, frozen=True, kw_only=True):
    """A version without its spec: who registers has that already."""

    id: Id
    flow_id: Id
    version: Count
    digest: Digest
    registered_at: UtcTime
    registered_by: OptionalName = ""


class AgentMatch(Record, frozen=True, kw_only=True):
    """Whether an agent would take a run of a flow now, and if not, why not."""

    agent: Name
    takes: bool
    reason: Text = ""


class RegisterResult(Record, frozen=True, kw_only=True):
    """What registering did, for the receipt."""

    version: VersionBrief
    created: bool
    paused: bool = False
    moved_runs: Count = 0
    agents: tuple[AgentMatch, ...] = ()
    next_runs: tuple[UtcTime, ...] = ()


class RunBrief(Record, frozen=True, kw_only=True):
    """A square of the strip of last runs."""

    id: Id
    name: Name
    state: Word
    at: UtcTime
    duration_s: float | None = None


class FlowSummary(Record, frozen=True, kw_only=True):
    """A row of the list of flows."""

    id: Id
    name: Name
    project: Word
    version: Count
    paused: bool
    labels: Labels = ()
    schedules: tuple[ScheduleRef, ...] = ()
    schedule_text: Text = ""
    next_run_at: UtcTime | None = None
    storage: StorageRef
    parameters: tuple[ParameterSpec, ...] = ()
    task_count: Count = 0
    last_runs: tuple[RunBrief, ...] = ()
    registered_at: UtcTime


class FlowPage(Record, frozen=True, kw_only=True):
    """Flows, by name; ``next`` asks for the following page (absent: no more)."""

    flows: tuple[FlowSummary, ...]
    next: str | None = None


class FlowDetail(Record, frozen=True, kw_only=True):
    """A flow with its newest version, whole, and the runs it has."""

    summary: FlowSummary
    version: FlowVersion
    versions: tuple[Count, ...] = ()
    runs: tuple[RunRecord, ...] = ()


class Explanation(Record, frozen=True, kw_only=True):
    """Why a flow's next run starts, waits, or does not exist, as sentences.

    ``where_code`` and ``who_runs`` answer Prefect 1 users' first questions.
    """

    flow: Name
    where_code: Text
    what_server_has: Text
    who_runs: tuple[AgentMatch, ...] = ()
    schedule: Text = ""
    next_runs: tuple[UtcTime, ...] = ()
    waiting: dict[Name, tuple[Text, ...]] = {}
    sentences: tuple[Text, ...] = ()
