"""Where the states of a notebook's cells go while it runs: into the notebook, to disk, to the keeper.

One object hears of each state once and writes it everywhere: our own and papermill's metadata of the
cell, the report pipe, and the executed notebook on disk, which is saved by time, not by cell (saving at
each cell makes the cost of a run grow with the square of its length).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from papermill.engines import NotebookExecutionManager
from papermill.iorw import papermill_io, write_ipynb

from jupyter_flows.notebook.write import NotebookFile, mark_cell
from jupyter_flows.runtime.report_pipe import ReportPipe
from jupyter_flows.schema.base import utc_now
from jupyter_flows.schema.runs import StateName

SAVE_EVERY_S = 2.0
"""The notebook on disk is never further behind than this..."""
MOST_OF_TIME = 0.1
"""...unless writing it takes so long that saving would eat more than this part of the run."""
REMOTE_SAVE_EVERY_S = 30.0

ENDED: frozenset[str] = frozenset(
    {"Success", "Cached", "Mapped", "Skipped", "Failed", "TimedOut", "TriggerFailed", "Cancelled"}
)
FAILED: frozenset[str] = frozenset({"Failed", "TimedOut", "Cancelled"})


class TimedManager(NotebookExecutionManager):  # type: ignore[misc]
    """Papermill's manager of a notebook's metadata, which saves by time and never half a file."""

    def __init__(self, nb: Any, output_path: str | None = None, **options: Any) -> None:
        super().__init__(nb, output_path=output_path, **options)
        local = _local_path(output_path)
        self._file = NotebookFile(local) if local is not None else None
        self._every_s = SAVE_EVERY_S if local is not None else REMOTE_SAVE_EVERY_S
        self._next_save_at = time.monotonic() + self._every_s
        self._dirty = True

    def changed(self, index: int | None = None) -> None:
        """Note that a cell (None: any cell) is not what was saved last."""
        self._dirty = True
        if self._file is not None:
            self._file.changed(index)

    def changed_now(self, index: int | None) -> None:
        """Note a change, and save if it is time."""
        self.changed(index)
        self.save_if_due()

    def save(self, **_options: Any) -> None:
        """Papermill asks at each cell's start and end; it is done when it is due."""
        self.save_if_due()

    def autosave_cell(self) -> None:
        """Papermill asks at each output."""
        self.save_if_due()

    def save_if_due(self) -> None:
        """Save if something changed and the last time is long enough ago."""
        if self._dirty and self.output_path and time.monotonic() >= self._next_save_at:
            self.save_now()

    def save_now(self, *, final: bool = False) -> None:
        """Save."""
        if not self.output_path:
            return
        began = time.monotonic()
        if self._file is not None:
            self._file.save(self.nb, final=final)
        else:
            write_ipynb(self.nb, self.output_path)
        self._dirty = False
        ended = time.monotonic()
        self._next_save_at = ended + max(self._every_s, (ended - began) / MOST_OF_TIME)

    def cell_start(self, cell: Any, cell_index: int | None = None, **kwargs: Any) -> None:
        """Papermill's metadata of a cell that begins."""
        self.changed(cell_index)
        super().cell_start(cell, cell_index, **kwargs)

    def cell_complete(self, cell: Any, cell_index: int | None = None, **kwargs: Any) -> None:
        """Papermill's metadata of a cell that ended."""
        self.changed(cell_index)
        super().cell_complete(cell, cell_index, **kwargs)


class NotebookStates:
    """Hears each state of each cell's task once.

    Parameters
    ----------
    manager : TimedManager
        The notebook.
    pipe : ReportPipe
        The keeper's ear.
    indices : mapping
        Slug of a task -> indexes of its cells in the notebook.
    """

    def __init__(
        self, manager: TimedManager, pipe: ReportPipe, indices: Mapping[str, tuple[int, ...]]
    ) -> None:
        self._manager = manager
        self._pipe = pipe
        self._indices = indices
        self._started: dict[str, datetime] = {}
        self._attempts: dict[str, int] = {}
        self._begun: set[str] = set()
        self.last: dict[str, str] = {}

    def attempts(self, slug: str) -> int:
        """How often the task was tried so far."""
        return self._attempts.get(slug, 0)

    def state(
        self,
        slug: str,
        name: str,
        state: StateName,
        *,
        message: str = "",
        attempt: int | None = None,
        map_index: int = -1,
    ) -> None:
        """Write a state everywhere."""
        now = utc_now()
        self.last[slug] = state
        if state == "Running":
            self._attempts[slug] = attempt or self._attempts.get(slug, 0) + 1
            self._started.setdefault(slug, now)
        self._pipe.task_state(
            slug,
            name,
            state,
            message=message,
            at=now,
            map_index=map_index,
            attempt=attempt or max(1, self.attempts(slug)),
        )
        begins = state == "Running" and slug not in self._begun
        ends = state in ENDED and slug in self._begun
        if begins:
            self._begun.add(slug)
        if ends:
            self._begun.discard(slug)
        failed = _failed_cell(self._manager.nb, self._indices.get(slug, ())) if state in FAILED else None
        for index in self._indices.get(slug, ()):
            cell = self._manager.nb.cells[index]
            mark_cell(
                cell,
                state=state,
                task=name,
                message=message,
                started_at=self._started.get(slug),
                ended_at=now if state in ENDED else None,
                attempts=self.attempts(slug),
            )
            if begins:
                self._manager.cell_start(cell, index)
            elif ends:
                if index == failed:
                    self._manager.cell_exception(cell, cell_index=index)
                self._manager.cell_complete(cell, cell_index=index)
            else:
                self._manager.changed(index)
                self._manager.save_if_due()


def _failed_cell(nb: Any, indices: tuple[int, ...]) -> int | None:
    """Return which of a task's cells raised; the last one that ran if none shows it (a timeout, a death)."""
    for index in indices:
        if any(output["output_type"] == "error" for output in nb.cells[index].outputs):
            return index
    ran = [index for index in indices if nb.cells[index].get("execution_count")]
    return ran[-1] if ran else next(iter(indices), None)


def _local_path(output_path: str | None) -> Path | None:
    """Where papermill would write, if that is a file of this machine."""
    if not output_path or "://" in output_path or output_path == "-":
        return None
    handler = papermill_io.get_handler(output_path)
    swap = getattr(handler, "cwd", None)
    if swap is None:
        return None
    # The engine runs in the notebook's working directory; papermill reads and writes in its caller's.
    base = swap(None)
    swap(base)
    return Path(base or ".").absolute() / output_path
