"""The run's process speaks to its keeper: one JSON line an item, into an inherited pipe.

The pipe is all the run's process has: no token, no address. Everything that leaves passes
:mod:`~jupyter_flows.runtime.redact` here, at the source.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from jupyter_flows.runtime import redact
from jupyter_flows.schema.base import utc_now
from jupyter_flows.schema.refs import ResultRef
from jupyter_flows.schema.runs import (
    FinishItem,
    LogItem,
    PipeItem,
    ProgressItem,
    ResultItem,
    StateName,
    StateRecord,
    TaskProgress,
    TaskStateItem,
)

NAME_LIMIT = 200
PROGRESS_LIMIT = 200


class ReportPipe:
    """Writes report items; safe to use from several threads.

    Parameters
    ----------
    fd : int or None
        The write end; None: nobody listens, and nothing is written.

    Examples
    --------
    >>> ReportPipe(None).log("INFO", "nobody hears this")
    """

    def __init__(self, fd: int | None) -> None:
        self._fd = fd
        self._lock = threading.Lock()
        self.mask: Callable[[str], str] | None = None
        """What replaces the run's secrets in what people read."""

    def log(
        self, level: str, text: str, *, logger: str = "jupyter_flows.run", task: str | None = None
    ) -> None:
        """Report a line of the log."""
        self._send(
            LogItem(
                at=utc_now(),
                level=level[:100] or "INFO",
                logger=logger[:NAME_LIMIT] or "flow",
                message=redact.log_line(self._masked(text)),
                task=task[:NAME_LIMIT] if task else None,
            )
        )

    def task_state(
        self,
        slug: str,
        name: str,
        state: StateName,
        *,
        message: str = "",
        at: datetime | None = None,
        map_index: int = -1,
        attempt: int = 1,
    ) -> None:
        """Report the state of a task."""
        self._send(
            TaskStateItem(
                slug=slug[:NAME_LIMIT],
                name=name[:NAME_LIMIT],
                map_index=map_index,
                attempt=attempt,
                state=StateRecord(
                    type=state, message=redact.message(self._masked(message)), at=at or utc_now()
                ),
            )
        )

    def said_here(self, slug: str, class_name: str, said: str) -> None:
        """Hear what the exception of a failed task said; it quotes data, so it is for this machine alone."""

    def progress(self, slug: str, fraction: float | None, text: str = "", *, attempt: int = 1) -> None:
        """Report how far a running task is."""
        told = redact.cut(redact.mask(self._masked(text)), PROGRESS_LIMIT)
        self._send(
            ProgressItem(
                slug=slug[:NAME_LIMIT], attempt=attempt, progress=TaskProgress(fraction=fraction, text=told)
            )
        )

    def result(self, kind: str, location: str) -> None:
        """Report where something the run produced lies, on this host."""
        self._send(
            ResultItem(
                result=ResultRef(kind=kind, location=location[:1000], host=os.uname().nodename[:NAME_LIMIT])
            )
        )

    def finish(self, state: StateName, message: str) -> None:
        """Report the end of the run; nothing may follow."""
        self._send(
            FinishItem(
                state=StateRecord(type=state, message=redact.message(self._masked(message)), at=utc_now())
            )
        )

    def _masked(self, text: str) -> str:
        return text if self.mask is None else self.mask(text)

    def _send(self, item: PipeItem) -> None:
        if self._fd is None:
            return
        data: Any = msgspec.json.encode(item) + b"\n"
        with self._lock:
            try:
                while data:
                    data = data[os.write(self._fd, data) :]
            except BrokenPipeError:
                # The keeper is gone; the system ends this process too (die_with_parent).
                self._fd = None
