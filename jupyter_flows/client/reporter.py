"""Delivers a run's spool to the server: in order, each item once, for as long as it takes.

A server that is away, restarting or overloaded costs nothing but time: the batch waits on disk and is
sent again under the same sequence numbers. Only the server's clear no ends the delivery.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from jupyter_flows.client.backoff import Backoff
from jupyter_flows.client.spool import Spool
from jupyter_flows.errors import InvalidRequest, NotAuthorised, NotFound, Refused, ServerFault
from jupyter_flows.schema.runs import ProgressItem, Report, ReportAnswer, RunRecord, SequencedItem

BETWEEN_BATCHES_S = 0.1
"""Shortest time between two batches: what happens meanwhile travels together."""

FINAL = (Refused, NotFound)
"""Answers that no repetition changes."""
DENIED_LIMIT_S = 300.0
"""How long "not authorised" is taken for a gateway's or a restart's mistake before it is believed."""


class ReportsRuns(Protocol):
    """The one call of the API that delivery needs."""

    def report_run(self, run: str, request: Report) -> ReportAnswer:
        """Deliver a batch."""
        ...


class Deliverer:
    """Sends what a spool holds until it is told to stop.

    Parameters
    ----------
    spool, api, run_id, token
        What to deliver, to whom, and as which holder.
    on_answer : callable
        Called with the run after each accepted batch (the keeper sees a cancel there).
    on_away : callable
        Called with the error once each time the server stops answering.
    """

    def __init__(
        self,
        spool: Spool,
        api: ReportsRuns,
        *,
        run_id: str,
        token: int,
        on_answer: Callable[[RunRecord], None] = lambda _run: None,
        on_away: Callable[[ServerFault | OSError], None] = lambda _error: None,
    ) -> None:
        self._spool = spool
        self._api = api
        self._run_id = run_id
        self._token = token
        self._on_answer = on_answer
        self._on_away = on_away
        self._stop = threading.Event()
        self._nudge = threading.Event()
        self._thread: threading.Thread | None = None
        self._tells_progress = True
        self.refused: ServerFault | None = None

    def start(self) -> None:
        """Deliver in a thread until :meth:`stop`."""
        self._thread = threading.Thread(target=self.run, name="delivery", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask the delivery to end after what it does now."""
        self._stop.set()
        self._nudge.set()

    def nudge(self) -> None:
        """Try again now: the server has just answered somebody."""
        self._nudge.set()

    def run(self) -> None:
        """Deliver until stopped or refused."""
        while not self._stop.is_set() and self.refused is None:
            if self._spool.wait_pending(0.5):
                self.deliver_pending()
                self._stop.wait(BETWEEN_BATCHES_S)

    def wait_delivered(self, timeout_s: float | None = None) -> bool:
        """Wait until everything is accepted (True) or the server refused or time ran out (False)."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while self._spool.pending:
            if self.refused is not None or self._stop.is_set():
                return False
            if deadline is not None and time.monotonic() > deadline:
                return False
            if self._thread is None:
                self.deliver_pending()
            else:
                self._stop.wait(0.02)
        return True

    def deliver_pending(self) -> None:
        """Send batches until none is left, the delivery is stopped, or the server refuses."""
        back_off = Backoff()
        away = False
        denied_since: float | None = None
        while not self._stop.is_set():
            self._spool.flush()
            batch = self._spool.next_batch()
            # What does not arrive is not sent again: the next one is newer.
            progress = self._spool.take_progress() if self._tells_progress else ()
            if not batch and not progress:
                return
            try:
                answer = self._send(batch, progress)
            except FINAL as error:
                self.refused = error
                return
            except (ServerFault, OSError) as error:
                if isinstance(error, NotAuthorised):
                    denied_since = denied_since or time.monotonic()
                    if time.monotonic() - denied_since > DENIED_LIMIT_S:
                        self.refused = error
                        return
                if not away:
                    away = True
                    self._on_away(error)
                self._nudge.clear()
                self._nudge.wait(back_off.next_delay_s())
                continue
            away = False
            denied_since = None
            back_off.reset()
            if batch:
                self._spool.accepted(batch[-1].seq)
            if answer is not None:
                self._on_answer(answer.run)

    def _send(
        self, batch: tuple[SequencedItem, ...], progress: tuple[ProgressItem, ...] = ()
    ) -> ReportAnswer | None:
        try:
            report = Report(token=self._token, items=batch, progress=progress)
            return self._api.report_run(self._run_id, report)
        except InvalidRequest:
            if progress:
                # A server from before progress was told: it is spared any more of it.
                self._tells_progress = False
                return self._send(batch) if batch else None
            if len(batch) == 1:
                # One item the server cannot read must not hold up the rest; it is ours, so never a state
                # of the user's making. Its number stays unused.
                return None
            answer = None
            for item in batch:
                answer = self._send((item,)) or answer
            return answer
