"""Carry out what :mod:`jupyter_flows.core.transitions` decides: row, history and event in one transaction."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from jupyter_flows.core import transitions
from jupyter_flows.core.transitions import Accepted, Event, Policy, Refusal, Run
from jupyter_flows.errors import LeaseLost, Refused, StaleLease
from jupyter_flows.schema.duration import format_duration
from jupyter_flows.server.store import Transaction
from jupyter_flows.server.store import runs as run_store
from jupyter_flows.server.store import task_runs as task_store
from jupyter_flows.server.store.runs import RunRow
from jupyter_flows.settings import Settings

_REFUSALS = {"stale_lease": StaleLease, "lease_lost": LeaseLost, "refused": Refused}


class Leases:
    """Changes runs, by the table, with this server's durations."""

    def __init__(self, *, settings: Settings) -> None:
        self._settings = settings
        self.policy = Policy(
            lease_ttl=timedelta(seconds=settings.lease_ttl_s),
            submit_deadline=timedelta(seconds=settings.submit_deadline_s),
        )
        self._kill_ladder = timedelta(seconds=2 * settings.kill_grace_s)

    def advance(self, tx: Transaction, row: RunRow, event: Event) -> RunRow:
        """Return the run after *event*, written.

        Parameters
        ----------
        row : the run, read in this transaction and locked.

        Raises
        ------
        Refused : the table says no (StaleLease, LeaseLost: a holder that is none any more).
        """
        finished: tuple[str, ...] = ()
        if isinstance(event, transitions.LoseLease):
            finished = task_store.finished_names(tx, row.id)
        answer = transitions.decide(_facts(row, finished), event, now=tx.now, policy=self.policy)
        if isinstance(answer, Refusal):
            raise _REFUSALS[answer.code](f"run {row.name}: {answer.sentence}")
        return self._carry_out(tx, row, answer)

    def _carry_out(self, tx: Transaction, row: RunRow, answer: Accepted) -> RunRow:
        run = answer.run
        if not answer.changed:
            if run.lease_until != row.lease_until:
                run_store.renew(tx, row.id, run.lease_until)
            return msgspec.structs.replace(row, lease_until=run.lease_until)
        new = msgspec.structs.replace(
            row,
            state=run.state,
            message=run.message,
            state_at=tx.now,
            token=run.token,
            attempt=run.attempt,
            attempt_started=run.attempt_started,
            agent=run.agent,
            claimed_at=run.claimed_at,
            lease_until=run.lease_until,
            lost=run.lost,
            lost_at=run.lost_at,
        )
        if "started" in answer.effects:
            task_store.clear(tx, row.id)
            new = msgspec.structs.replace(
                new,
                started_at=tx.now,
                ended_at=None,
                done_tasks=0,
                result=None,
                timeout_at=self._timeout(tx, row),
            )
        if "ended" in answer.effects:
            new = msgspec.structs.replace(new, ended_at=tx.now, timeout_at=None)
            task_store.close_unfinished(tx, new)
        if "offered" in answer.effects:
            new = msgspec.structs.replace(new, ended_at=None, timeout_at=None)
            if row.state in transitions.FINAL:
                new = msgspec.structs.replace(new, started_at=None, scheduled_at=tx.now)
        if "recovered" in answer.effects:
            new = msgspec.structs.replace(new, ended_at=None, timeout_at=self._timeout(tx, row))
            task_store.reopen_lost(tx, new)
        run_store.save(tx, new, history=True)
        return new

    def reap(self, tx: Transaction) -> int:
        """Give up runs whose holder is silent, and those that take too long; return how many."""
        lost = run_store.expired(tx, kill_grace=self._kill_ladder)
        for row in lost:
            self.advance(tx, row, transitions.LoseLease())
        late = run_store.overdue(tx)
        for row in late:
            limit = format_duration(timedelta(seconds=self._limit_s(row)))
            self.advance(tx, row, transitions.TimeUp(limit=limit))
        return len(lost) + len(late)

    def _limit_s(self, row: RunRow) -> float:
        return self._settings.total_timeout_s if row.total_timeout_s is None else row.total_timeout_s

    def _timeout(self, tx: Transaction, row: RunRow) -> datetime | None:
        limit_s = self._limit_s(row)
        if limit_s <= 0:
            return None
        # The keeper stops the run by itself at the limit; this is for keepers that do not.
        return tx.now + timedelta(seconds=limit_s) + self._kill_ladder + self.policy.lease_ttl


def _facts(row: RunRow, finished: tuple[str, ...]) -> Run:
    return Run(
        state=row.state,  # type: ignore[arg-type]
        message=row.message,
        token=row.token,
        attempt=row.attempt,
        attempt_started=row.attempt_started,
        agent=row.agent,
        lease_until=row.lease_until,
        claimed_at=row.claimed_at,
        lost=row.lost,
        lost_at=row.lost_at,
        on_lost=row.on_lost,
        finished_tasks=finished,
    )
