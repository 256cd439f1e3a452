"""Pure decisions of a keeper: when to trust a lease, how to stop a run, and what its end was.

No process, no thread, no clock: every time is an argument, in seconds of a monotonic clock.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Literal

import msgspec

from jupyter_flows.runtime.processes import ending
from jupyter_flows.schema.flows import OnLost
from jupyter_flows.schema.runs import FinishItem, Lease, ReportItem, StateRecord, TaskStateItem

StopCause = Literal["cancel", "timeout", "agent", "fenced", "superseded"]

ENDED = frozenset(
    {
        "Success",
        "Cached",
        "Mapped",
        "Skipped",
        "Failed",
        "TimedOut",
        "TriggerFailed",
        "ValidationFailed",
        "Cancelled",
    }
)


class StopAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody wants the run stopped; ``at_once`` leaves out the polite signals."""

    cause: StopCause
    message: str = ""
    at_once: bool = False


class HandedBack(msgspec.Struct, frozen=True, kw_only=True):
    """The run goes back to the server unfinished, to be started again."""

    message: str


class Nothing(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody else holds the run: whatever came of ours is not told."""


def trusted_until(lease: Lease, *, sent_at: float, margin_s: float) -> float:
    """Return until when a lease is ours for certain, whatever the server's clock does.

    The server counts from when it *got* the renewal, which is never before we sent it.
    """
    return sent_at + max(0.0, lease.ttl_s - margin_s)


def ladder(asked: StopAsked, *, grace_s: float) -> Iterator[tuple[signal.Signals, float]]:
    """Yield the signals that stop a run, each with the seconds to wait for its effect."""
    if not asked.at_once:
        yield signal.SIGINT, grace_s
        yield signal.SIGTERM, grace_s
    while True:
        yield signal.SIGKILL, 1.0


def final_item(
    *,
    reported: FinishItem | None,
    returncode: int | None,
    asked: StopAsked | None,
    on_lost: OnLost,
    limit_s: float | None,
    now: datetime,
) -> FinishItem | HandedBack | Nothing:
    """Decide what is told of a run whose process has ended.

    Parameters
    ----------
    reported : FinishItem or None
        What the process itself said, if it came to that.
    returncode : int or None
        How the process ended.
    asked : StopAsked or None
        Why it was stopped, if it was.
    """
    if asked is not None and asked.cause == "superseded":
        return Nothing()
    if reported is not None and (asked is None or reported.state.type in {"Success", "Skipped"}):
        return reported
    if asked is None:
        text = f"the run's process died: {ending(returncode)}; its last words are in process.log"
        return _finish("Failed", text, now)
    if asked.cause == "cancel":
        return _finish("Cancelled", asked.message or "cancelled", now)
    if asked.cause == "timeout":
        return _finish("Failed", f"the run took longer than its total timeout of {limit_s or 0:g} s", now)
    if on_lost == "rerun":
        return HandedBack(message=asked.message or "the run was stopped by its agent")
    return _finish("Failed", asked.message or "the run was stopped by its agent", now)


def open_tasks_ended(
    items: Iterable[ReportItem], final: StateRecord, *, now: datetime
) -> list[TaskStateItem]:
    """Return an end for every task that was under way when the run's process went away."""
    last = {(item.slug, item.map_index): item for item in items if isinstance(item, TaskStateItem)}
    name: Literal["Cancelled", "Failed"] = "Cancelled" if final.type == "Cancelled" else "Failed"
    state = StateRecord(type=name, message="the run ended while this task ran", at=now)
    return [
        msgspec.structs.replace(item, state=state)
        for item in last.values()
        if item.state.type not in ENDED and item.state.type != "Pending"
    ]


def _finish(name: Literal["Failed", "Cancelled"], text: str, now: datetime) -> FinishItem:
    return FinishItem(state=StateRecord(type=name, message=text, at=now))
