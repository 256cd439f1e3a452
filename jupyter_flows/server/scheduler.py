"""Makes the runs that schedules ask for, gives up runs whose holder is silent, wakes agents on time.

Each schedule of an active flow has exactly one run in the future. When that becomes due, the next is made.
Occurrences that passed while no server was running are merged: the last of them runs, the others are told
as missed (as systemd's ``Persistent=`` and anacron do it).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from jupyter_flows.core import transitions
from jupyter_flows.errors import FlowsError, InvalidSchedule
from jupyter_flows.schedules import schedule_from_ref
from jupyter_flows.schedules.base import Schedule
from jupyter_flows.schema.base import utc_now
from jupyter_flows.schema.events import FlowChanged
from jupyter_flows.schema.refs import ScheduleRef
from jupyter_flows.server.leases import Leases
from jupyter_flows.server.names import run_name
from jupyter_flows.server.store import Conflict, Database, Transaction
from jupyter_flows.server.store import agents as agent_store
from jupyter_flows.server.store import events as event_store
from jupyter_flows.server.store import flows as flow_store
from jupyter_flows.server.store import runs as run_store
from jupyter_flows.server.store import schedules as schedule_store
from jupyter_flows.server.store.flows import FlowRow
from jupyter_flows.server.store.schedules import ScheduleRow
from jupyter_flows.settings import Settings

log = logging.getLogger(__name__)

MOST_WAITING = 100
"""Runs of one flow that its schedules let wait; past that the oldest is withdrawn and told."""
GAP_S = 60.0
"""A pause of the scheduler itself this long (a laptop slept) counts as downtime."""
JUMP_S = 5.0
KEEP_EVENTS = timedelta(days=7)


class Scheduler:
    """A thread that sleeps until something is due, at the longest one tick."""

    def __init__(
        self,
        *,
        database: Database,
        leases: Leases,
        settings: Settings,
        offer: Callable[[], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._leases = leases
        self._settings = settings
        self._offer = offer
        self._monotonic = monotonic
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._grace_until = monotonic() + settings.lease_ttl_s
        self._wall_offset = utc_now().timestamp() - monotonic()
        self._last_tick: float | None = None
        self._next_trim = monotonic()
        self._looked_at: datetime | None = None
        self._was_leader = False

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="jupyter-flows-scheduler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, after the tick that is under way."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def wake(self) -> None:
        """Look again now: a schedule or a run was added."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping:
            wait_s = self._settings.scheduler_tick_s
            try:
                next_at = self.tick()
                if next_at is not None:
                    wait_s = min(wait_s, max(0.0, (next_at - utc_now()).total_seconds()))
            except Conflict:
                wait_s = 0.05
            except FlowsError as error:
                log.warning("the scheduler could not look: %s", error)
            except Exception:
                log.exception("the scheduler stumbled; it looks again in %g s", wait_s)
            self._wake.wait(wait_s)
            self._wake.clear()

    def tick(self) -> datetime | None:
        """Do what is due now; return when something is due next.

        A long tick (many schedules due at once) is several transactions.
        """
        now = self._monotonic()
        self._notice_jump(now)
        paused_s = GAP_S + 1 if self._last_tick is None else now - self._last_tick
        self._last_tick = now
        if self._database.lead():
            merge = paused_s > GAP_S or not self._was_leader
            if not self._was_leader:
                self._was_leader = True
                self._grace_until = now + self._settings.lease_ttl_s
            while self._make_due(merge=merge):
                pass
            with self._database.read() as tx:
                silent = bool(agent_store.silent_agents(tx))
                reap = run_store.may_need_reaping(tx)
            if reap and now >= self._grace_until:
                with self._database.write() as tx:
                    self._leases.reap(tx)
            if silent:
                with self._database.write() as tx:
                    for agent in agent_store.silent_agents(tx):
                        agent_store.gone(tx, agent)
            if now >= self._next_trim:
                self._next_trim = now + 3600
                with self._database.write() as tx:
                    event_store.trim(tx, before=tx.now - KEEP_EVENTS)
        else:
            self._was_leader = False
        with self._database.read() as tx:
            due_at = run_store.next_due_at(tx)
            schedule_at = schedule_store.next_schedule_at(tx)
            became_due = self._looked_at is None or run_store.became_due(tx, since=self._looked_at)
            self._looked_at = tx.now
        if became_due:
            self._offer()
        return min((at for at in (due_at, schedule_at) if at is not None), default=None)

    def _notice_jump(self, now: float) -> None:
        """After the clock jumped nothing is given up for one lease: everybody renews first."""
        offset = utc_now().timestamp() - now
        jump_s = offset - self._wall_offset
        self._wall_offset = offset
        if abs(jump_s) > JUMP_S:
            log.warning(
                "the clock jumped by %+.0f s; leases get %g s of grace", jump_s, self._settings.lease_ttl_s
            )
            self._grace_until = now + self._settings.lease_ttl_s

    def _make_due(self, *, merge: bool) -> bool:
        with self._database.read() as tx:
            next_at = schedule_store.next_schedule_at(tx)
            if next_at is None or next_at > tx.now:
                return False
        with self._database.write() as tx:
            due = schedule_store.due_schedules(tx, limit=200)
            for row in due:
                advance_schedule(tx, row, leases=self._leases, merge=merge)
        return bool(due)


def advance_schedule(tx: Transaction, row: ScheduleRow, *, leases: Leases, merge: bool) -> None:
    """Make the run that follows the one that became due; with *merge*, only the last of those missed."""
    flow = flow_store.find_flow(tx, row.flow_id)
    schedule = _schedule(row.ref)
    due = row.next_at
    if schedule is None or due is None:
        schedule_store.set_next(tx, row.key, None)
        return
    following = schedule.after(due)
    if merge and following is not None and following <= tx.now:
        last = schedule.last_until(tx.now, after=due)
        if last is not None:
            _tell_missed(tx, flow, schedule, row, due=due, last=last, leases=leases)
            make_run(tx, flow, row, at=last)
            following = schedule.after(tx.now)
    _withdraw_oldest(tx, flow, leases)
    if following is None:
        schedule_store.set_next(tx, row.key, None)
        return
    make_run(tx, flow, row, at=following)
    schedule_store.set_next(tx, row.key, following)


def begin_schedule(tx: Transaction, flow: FlowRow, row: ScheduleRow) -> None:
    """Make the first run of a schedule from now on."""
    schedule = _schedule(row.ref)
    first = schedule.after(tx.now) if schedule is not None else None
    if first is not None:
        make_run(tx, flow, row, at=first)
    schedule_store.set_next(tx, row.key, first)


def make_run(tx: Transaction, flow: FlowRow, row: ScheduleRow, *, at: datetime) -> None:
    """Insert the run of one occurrence, unless it exists."""
    if run_store.occurrence_exists(tx, key=row.key, at=at):
        return
    version = flow_store.get_version(tx, flow)
    run_store.add_run(
        tx,
        name=run_name(),
        flow_name=flow.name,
        project=flow.project,
        version=version,
        total_tasks=len(flow_store.visible_slugs(tx, version.id)),
        parameters=row.ref.parameters,
        labels=version.spec.labels if row.ref.labels is None else row.ref.labels,
        labels_from_flow=row.ref.labels is None,
        scheduled_at=at,
        message="made by its schedule",
        schedule_key=row.key,
    )


def withdraw_auto_runs(
    tx: Transaction, flow: FlowRow, *, leases: Leases, reason: str, keys: set[str] | None = None
) -> None:
    """Take back scheduled runs that did not start: future ones go, due ones end as Skipped with *reason*."""
    for run in run_store.scheduled_runs(tx, flow.id, auto=True):
        if keys is not None and run.schedule_key not in keys:
            continue
        if run.scheduled_at > tx.now and run.token == 0:
            run_store.delete_run(tx, run.id)
        else:
            leases.advance(tx, run, transitions.Withdraw(message=reason))


def _tell_missed(
    tx: Transaction,
    flow: FlowRow,
    schedule: Schedule,
    row: ScheduleRow,
    *,
    due: datetime,
    last: datetime,
    leases: Leases,
) -> None:
    """Account for the occurrences from *due* until before *last*."""
    count = 0
    for firing in schedule.firings(after=due - timedelta(microseconds=1)):
        if firing >= last or count >= 10_000:
            break
        count += 1
    for run in run_store.scheduled_runs(tx, flow.id, auto=True):
        if run.schedule_key == row.key and run.occurrence_at == due:
            message = (
                f"missed: no server was running; the run of {last:%Y-%m-%d %H:%M:%S} UTC takes its place"
            )
            leases.advance(tx, run, transitions.Withdraw(message=message))
    number = f"{count}" if count < 10_000 else "10000 or more"
    change = f"missed {number} from {due:%Y-%m-%d %H:%M:%S} UTC on, while no server was running"
    tx.append(FlowChanged(flow_id=flow.id, name=flow.name, change=change), flow_id=flow.id)


def _withdraw_oldest(tx: Transaction, flow: FlowRow, leases: Leases) -> None:
    if run_store.count_waiting(tx, flow_id=flow.id) <= MOST_WAITING:
        return
    waiting = [run for run in run_store.scheduled_runs(tx, flow.id, auto=True) if run.scheduled_at <= tx.now]
    for run in waiting[: max(0, len(waiting) - MOST_WAITING)]:
        message = f"withdrawn: {MOST_WAITING} later scheduled runs of {flow.name} wait"
        leases.advance(tx, run, transitions.Withdraw(message=message))


def _schedule(ref: ScheduleRef) -> Schedule | None:
    try:
        return schedule_from_ref(ref)
    except InvalidSchedule as error:
        # Refused when it is registered; here only if the zone database shrank since.
        log.warning("a schedule cannot be read any more: %s", error)
        return None
