"""The event stream: each event once, in order, by a growing id."""

from __future__ import annotations

from jupyter_flows.schema.agents import AgentRecord
from jupyter_flows.schema.base import Count, Id, Name, Record, UtcTime
from jupyter_flows.schema.logs import LogRecord
from jupyter_flows.schema.runs import RunRecord, TaskRunRecord


class RunChanged(Record, frozen=True, kw_only=True, tag_field="type", tag="run_changed"):
    """A run came to be or changed."""

    run: RunRecord


class TaskRunChanged(Record, frozen=True, kw_only=True, tag_field="type", tag="task_run_changed"):
    """A task of a run changed its state."""

    task_run: TaskRunRecord
    flow_id: Id


class LogsWritten(Record, frozen=True, kw_only=True, tag_field="type", tag="logs_written"):
    """New lines of a run's log."""

    run_id: Id
    flow_id: Id
    logs: tuple[LogRecord, ...]


class FlowChanged(Record, frozen=True, kw_only=True, tag_field="type", tag="flow_changed"):
    """A flow was registered, paused, resumed or deleted."""

    flow_id: Id
    name: Name
    change: Name


class AgentChanged(Record, frozen=True, kw_only=True, tag_field="type", tag="agent_changed"):
    """An agent came, went, or fell silent."""

    agent: AgentRecord


EventBody = RunChanged | TaskRunChanged | LogsWritten | FlowChanged | AgentChanged


class Event(Record, frozen=True, kw_only=True):
    """An event of the stream; ``id`` grows, also across restarts."""

    id: Count
    at: UtcTime
    body: EventBody
