"""What the holder of a run says: start, heartbeat, report, hand back. Each under its fencing token."""

from __future__ import annotations

from typing import Literal

import msgspec

from jupyter_flows.core import transitions
from jupyter_flows.errors import InvalidRequest, StaleLease
from jupyter_flows.schema.base import to_json
from jupyter_flows.schema.runs import (
    FinishItem,
    HandBack,
    Heartbeat,
    HeartbeatAnswer,
    Lease,
    LogItem,
    Report,
    ReportAnswer,
    ResultItem,
    RunRecord,
    StartRun,
    TaskStateItem,
)
from jupyter_flows.server.api.agents import lease
from jupyter_flows.server.api.call import Call
from jupyter_flows.server.store import flows as flow_store
from jupyter_flows.server.store import logs as log_store
from jupyter_flows.server.store import runs as store
from jupyter_flows.server.store import task_runs as task_store
from jupyter_flows.server.store.runs import RunRow

End = Literal["Success", "Failed", "Skipped", "Cancelled"]
_ENDS: dict[str, End] = {
    "Success": "Success",
    "Cached": "Success",
    "Mapped": "Success",
    "Looped": "Success",
    "Failed": "Failed",
    "TimedOut": "Failed",
    "TriggerFailed": "Failed",
    "ValidationFailed": "Failed",
    "Skipped": "Skipped",
    "Cancelled": "Cancelled",
}


def start_run(call: Call, request: StartRun, *, run: str) -> Lease:
    """Open the start gate: user code begins only after this was answered."""
    row = _held(call, run, request.token)
    return lease(call, call.leases.advance(call.tx, row, transitions.Start(token=request.token)))


def heartbeat_run(call: Call, request: Heartbeat, *, run: str) -> HeartbeatAnswer:
    """Renew a lease; tell of a cancel."""
    row = _held(call, run, request.token)
    row = call.leases.advance(call.tx, row, transitions.Beat(token=request.token))
    cancel = row.state == "Cancelling"
    return HeartbeatAnswer(lease=lease(call, row), cancel=cancel, message=row.message if cancel else "")


def report_run(call: Call, request: Report, *, run: str) -> ReportAnswer:
    """Take states, logs and the end, in order, each once."""
    tx = call.tx
    row = _held(call, run, request.token)
    known = row.last_seq if row.token == request.token else 0
    new = [entry for entry in sorted(request.items, key=lambda entry: entry.seq) if entry.seq > known]
    if not new and not request.progress:
        if row.token != request.token:
            # Let the table say why nothing of an old holder is taken.
            call.leases.advance(tx, row, transitions.Progress(token=request.token))
        return ReportAnswer(accepted_seq=known, run=row.record())
    row = call.leases.advance(tx, row, transitions.Progress(token=request.token))
    row = msgspec.structs.replace(row, last_seq=new[-1].seq if new else known)
    logs, finish, has_states = [], None, False
    for entry in new:
        match entry.item:
            case LogItem() as item:
                logs.append(item)
            case TaskStateItem() as item:
                task_store.put_task_state(tx, row, item)
                has_states = True
            case ResultItem(result=result):
                row = msgspec.structs.replace(row, result=to_json(result).decode())
            case FinishItem() as item:
                finish = item
    for told in request.progress:
        task_store.put_progress(tx, row, told)
    log_store.add_logs(tx, row, logs)
    row = _save_progress(call, row, has_states=has_states)
    if finish is not None:
        row = _finish(call, row, finish, request.token)
    return ReportAnswer(accepted_seq=row.last_seq, run=row.record())


def _save_progress(call: Call, row: RunRow, *, has_states: bool) -> RunRow:
    """Write what the items changed of the run itself; tell it if a count or the result did."""
    done = row.done_tasks
    if has_states:
        done = task_store.count_done(call.tx, row.id, flow_store.visible_slugs(call.tx, row.version_id))
    before = store.get_run(call.tx, row.id)
    quiet = done == before.done_tasks and row.result == before.result
    row = msgspec.structs.replace(row, done_tasks=done)
    store.save(call.tx, row, history=False, quiet=quiet)
    return row


def _finish(call: Call, row: RunRow, item: FinishItem, token: int) -> RunRow:
    end = _ENDS.get(item.state.type)
    if end is None:
        raise InvalidRequest(f"a run cannot end as {item.state.type}; ends are {', '.join(_ENDS)}")
    event = transitions.Finish(token=token, end=end, message=item.state.message)
    row = call.leases.advance(call.tx, row, event)
    done = task_store.count_done(call.tx, row.id, flow_store.visible_slugs(call.tx, row.version_id))
    if done != row.done_tasks:
        row = msgspec.structs.replace(row, done_tasks=done)
        store.save(call.tx, row, history=False)
    return row


def hand_back_run(call: Call, request: HandBack, *, run: str) -> RunRecord:
    """Take a run back unfinished."""
    row = _held(call, run, request.token)
    event = transitions.HandBack(token=request.token, message=request.message)
    return call.leases.advance(call.tx, row, event).record()


def _held(call: Call, run: str, token: int) -> RunRow:
    """Return the run, locked; a run's own token is good for its own fencing token only."""
    if call.principal.fence is not None and call.principal.fence != token:
        raise StaleLease(
            f"the request says token {token}, but it is signed with that of {call.principal.fence}"
        )
    return store.find_run(call.tx, run, lock=True)
