"""States by Prefect 1's import path; they are made in :mod:`jupyter_flows.core.state`."""

from jupyter_flows.core.state import (
    Cached,
    Cancelled,
    Cancelling,
    Failed,
    Finished,
    Looped,
    Mapped,
    Paused,
    Pending,
    Queued,
    Resume,
    Retrying,
    Running,
    Scheduled,
    Skipped,
    State,
    Submitted,
    Success,
    TimedOut,
    TriggerFailed,
    ValidationFailed,
)

__all__ = [
    "Cached", "Cancelled", "Cancelling", "Failed", "Finished", "Looped", "Mapped", "Paused", "Pending", "Queued",
    "Resume", "Retrying", "Running", "Scheduled", "Skipped", "State", "Submitted", "Success", "TimedOut",
    "TriggerFailed", "ValidationFailed",
]  # fmt: skip
