"""Flow runs and task runs as the server keeps them. A state record has no field for a result."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from jupyter_flows.schema.base import (
    Count,
    Id,
    Labels,
    Name,
    Parameters,
    Record,
    Request,
    Text,
    UtcTime,
    Word,
)
from jupyter_flows.schema.refs import ResultRef

StateName = Literal[
    "Pending",
    "Scheduled",
    "Queued",
    "Submitted",
    "Running",
    "Retrying",
    "Paused",
    "Resume",
    "Cancelling",
    "Success",
    "Cached",
    "Mapped",
    "Skipped",
    "Looped",
    "Failed",
    "TimedOut",
    "TriggerFailed",
    "ValidationFailed",
    "Cancelled",
]
"""All states, by Prefect 1's names; a flow run uses Scheduled, Submitted, Running, Paused, Cancelling,
Success, Skipped, Failed, Cancelled."""


class StateRecord(Record, frozen=True, kw_only=True):
    """A state by name, with a sentence; by type it cannot carry data of a flow."""

    type: StateName
    message: Text = ""
    at: UtcTime


class RunRecord(Record, frozen=True, kw_only=True):
    """A run of a flow. ``token`` is the fencing token: it grows with every claim and retry."""

    id: Id
    name: Name
    flow_id: Id
    flow_name: Name
    project: Word = "default"
    version: Count
    version_id: Id
    state: StateRecord
    parameters: Parameters = {}
    labels: Labels = ()
    scheduled_at: UtcTime
    created_at: UtcTime
    started_at: UtcTime | None = None
    ended_at: UtcTime | None = None
    auto_scheduled: bool = False
    attempt: Count = 0
    token: Count = 0
    agent: Name | None = None
    lost: bool = False
    result: ResultRef | None = None
    done_tasks: Count = 0
    total_tasks: Count = 0
    why: tuple[Text, ...] = ()


class TaskProgress(Record, frozen=True, kw_only=True):
    """How far a task is: ``fraction`` from 0 to 1, none if how much there is to do is not known."""

    fraction: Annotated[float, Meta(ge=0, le=1)] | None = None
    text: Annotated[str, Meta(max_length=200)] = ""


class TaskRunRecord(Record, frozen=True, kw_only=True):
    """The state of one task in a run (``map_index`` -1: not mapped)."""

    run_id: Id
    slug: Name
    name: Name
    map_index: int = -1
    state: StateRecord
    attempt: Count = 1
    started_at: UtcTime | None = None
    ended_at: UtcTime | None = None
    progress: TaskProgress | None = None


class StateEvent(Record, frozen=True, kw_only=True):
    """A line of a run's history."""

    at: UtcTime
    subject: Name
    state: StateName
    message: Text = ""
    attempt: Count = 0


class CreateRun(Request, frozen=True, kw_only=True):
    """Ask for a run of a flow, now or at a time."""

    parameters: Parameters = {}
    labels: Labels | None = None
    version: Count | None = None
    scheduled_at: UtcTime | None = None
    name: Name | None = None
    idempotency_key: Word | None = None


class RunPage(Record, frozen=True, kw_only=True):
    """Runs, newest first."""

    runs: tuple[RunRecord, ...]
    next: str | None = None


class RetryRun(Request, frozen=True, kw_only=True):
    """Ask that an ended run be run again."""

    message: Text = ""


class CancelRun(Request, frozen=True, kw_only=True):
    """Ask that a run be stopped."""

    message: Text = ""


# -- what the run's own process says, and how the keeper delivers it ------------------------------


class TaskStateItem(Record, frozen=True, kw_only=True, tag_field="kind", tag="task_state"):
    """A task changed its state."""

    slug: Name
    name: Name
    map_index: int = -1
    state: StateRecord
    attempt: Count = 1


class LogItem(Record, frozen=True, kw_only=True, tag_field="kind", tag="log"):
    """A line of the flow's log."""

    at: UtcTime
    level: Word
    logger: Name
    message: Annotated[str, Meta(max_length=8000)]
    task: Name | None = None


class ResultItem(Record, frozen=True, kw_only=True, tag_field="kind", tag="result"):
    """Where what the run produced is."""

    result: ResultRef


class FinishItem(Record, frozen=True, kw_only=True, tag_field="kind", tag="finish"):
    """The run's end as its process saw it (Success, Failed, Skipped or Cancelled)."""

    state: StateRecord


class ProgressItem(Record, frozen=True, kw_only=True, tag_field="kind", tag="progress"):
    """How far a running task is."""

    slug: Name
    map_index: int = -1
    attempt: Count = 1
    progress: TaskProgress


ReportItem = TaskStateItem | LogItem | ResultItem | FinishItem
PipeItem = ReportItem | ProgressItem
"""What comes through the pipe: progress is not delivered in order and once, only its newest counts."""


class SequencedItem(Record, frozen=True, kw_only=True):
    """A report item with its place: ``(run, token, seq)`` is delivered once."""

    seq: Count
    item: ReportItem


class Report(Request, frozen=True, kw_only=True, omit_defaults=True):
    """A batch of items of one holder, in order; and how far tasks are, which may get lost on the way."""

    token: Count
    items: Annotated[tuple[SequencedItem, ...], Meta(max_length=1000)]
    progress: Annotated[tuple[ProgressItem, ...], Meta(max_length=1000)] = ()


class ReportAnswer(Record, frozen=True, kw_only=True):
    """Highest ``seq`` taken; ``run`` after it."""

    accepted_seq: Count
    run: RunRecord


class StartRun(Request, frozen=True, kw_only=True):
    """The start gate: user code begins only after this was answered."""

    token: Count


class Heartbeat(Request, frozen=True, kw_only=True):
    """The holder is alive."""

    token: Count


class HandBack(Request, frozen=True, kw_only=True):
    """The holder gives the run back unfinished."""

    token: Count
    message: Text = ""


class Lease(Record, frozen=True, kw_only=True):
    """The right to report on a run, until it ends; durations are the holder's to count."""

    run_id: Id
    token: Count
    ttl_s: float
    heartbeat_s: float


class HeartbeatAnswer(Record, frozen=True, kw_only=True):
    """The renewed lease, and whether the run is to be stopped."""

    lease: Lease
    cancel: bool = False
    message: Text = ""
