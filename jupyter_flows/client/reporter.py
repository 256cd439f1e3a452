"""Delivers a run's spool to the server: in order, each item once, for as long as it takes.

A server that is away, restarting or overloaded costs nothing but time: the batch waits on disk and is
sent again under the same sequence numbers. Only the server's clear no ends the delivery.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Protocol

from jupyter_flows.client.spool import Spool
from jupyter_flows.errors import InvalidRequest, NotAuthorised, NotFound, Refused, ServerFault
from jupyter_flows.schema.runs import Report, ReportAnswer, RunRecord, SequencedItem

FIRST_BACK_OFF_S = 0.25
LAST_BACK_OFF_S = 30.0
BETWEEN_BATCHES_S = 0.1
"""Shortest time between two batches: what happens meanwhile travels together."""

FINAL = (Refused, NotFound, NotAuthorised)
"""Answers that no repetition changes."""


class ReportsRuns(Protocol):
    """The one call of the API that delivery needs."""

    def report_run(self, run: str, request: Report) -> ReportAnswer:
        """Deliver a batch."""
        ...


class BackOff:
    """Waiting times that double up to a limit, with full jitter, so that many do not come back at once."""

    def __init__(self, *, first_s: float = FIRST_BACK_OFF_S, last_s: float = LAST_BACK_OFF_S) -> None:
        self._first_s = first_s
        self._last_s = last_s
        self._next_s = first_s

    def next_s(self) -> float:
        """Return how long to wait now."""
        limit = self._next_s
        self._next_s = min(self._last_s, limit * 2)
        return limit * (0.5 + random.random() / 2)  # noqa: S311 - jitter, not a secret

    def reset(self) -> None:
        """Begin again: something went well."""
        self._next_s = self._first_s


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
        back_off = BackOff()
        away = False
        while not self._stop.is_set():
            self._spool.flush()
            batch = self._spool.next_batch()
            if not batch:
                return
            try:
                answer = self._send(batch)
            except FINAL as error:
                self.refused = error
                return
            except (ServerFault, OSError) as error:
                if not away:
                    away = True
                    self._on_away(error)
                self._nudge.clear()
                self._nudge.wait(back_off.next_s())
                continue
            away = False
            back_off.reset()
            self._spool.accepted(batch[-1].seq)
            if answer is not None:
                self._on_answer(answer.run)

    def _send(self, batch: tuple[SequencedItem, ...]) -> ReportAnswer | None:
        try:
            return self._api.report_run(self._run_id, Report(token=self._token, items=batch))
        except InvalidRequest:
            if len(batch) == 1:
                # One item the server cannot read must not hold up the rest; it is ours, so never a state
                # of the user's making. Its number stays unused.
                return None
            answer = None
            for item in batch:
                answer = self._send((item,)) or answer
            return answer
