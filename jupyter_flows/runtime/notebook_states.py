"""Where the states of a notebook's cells go while it runs: into the notebook, to disk, to the keeper.

One object hears of each state once and writes it everywhere: our own and papermill's metadata of the
cell, the report pipe, and the executed notebook on disk, which is saved by time, not by cell (saving at
each cell makes the cost of a run grow with the square of its length).
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from papermill.engines import NotebookExecutionManager
from papermill.iorw import papermill_io

from jupyter_flows.notebook.write import NotebookFile, mark_cell
from jupyter_flows.runtime.cell_progress import Progress
from jupyter_flows.runtime.known_secrets import Redactor
from jupyter_flows.runtime.notebook_outputs import NotebookOutputs
from jupyter_flows.runtime.owned_directory import OwnedDirectory
from jupyter_flows.runtime.report_pipe import ReportPipe
from jupyter_flows.schema.base import utc_now
from jupyter_flows.schema.runs import StateName

SAVE_EVERY_S = 1.0
"""The notebook on disk is written this often while it changes, so that it is at most 2 s behind..."""
MOST_OF_TIME = 0.5
"""...unless writing it takes so long that saving would go on for more than this part of the run."""
REMOTE_SAVE_EVERY_S = 30.0
TICK_S = 0.25
PROGRESS_EVERY_S = 0.5
"""How often a task's progress is told at most..."""
PROGRESS_STEP = 0.005
SAME_PROGRESS_EVERY_S = 5.0
"""...and how often if it is less than this step from what was told: each time is a line on the server."""

ENDED: frozenset[str] = frozenset(
    {"Success", "Cached", "Mapped", "Skipped", "Failed", "TimedOut", "TriggerFailed", "Cancelled"}
)
FAILED: frozenset[str] = frozenset({"Failed", "TimedOut", "Cancelled"})


class TimedManager(NotebookExecutionManager):  # type: ignore[misc]
    """Papermill's manager of a notebook's metadata, which saves by time and never half a file.

    A thread of its own saves, so that no kernel's thread waits for a disk; what it writes are copies of cells
    that were taken under :attr:`lock`. A disk that is full or gone ends no run: :attr:`unsaved` says so.

    Attributes
    ----------
    lock : RLock
        Held by whoever writes into the notebook.
    outputs : NotebookOutputs
        The outputs of its cells, for those who run them.
    mask : Redactor or None
        What replaces secrets in all that is written.
    unsaved : str
        Why the last attempt to save failed; empty if it did not.
    on_tick : list of callables
        Called a few times a second while the notebook is open.
    say : callable
        Told, once for each reason, that saving failed.
    """

    def __init__(
        self,
        nb: Any,
        output_path: str | None = None,
        *,
        mask: Redactor | None = None,
        **options: Any,
    ) -> None:
        super().__init__(nb, output_path=output_path, **options)
        self.lock = threading.RLock()
        self.outputs = NotebookOutputs(nb, lock=self.lock, on_change=self.changed)
        self.mask = mask
        self.unsaved = ""
        self.on_tick: list[Callable[[], None]] = []
        self.say: Callable[[str], None] = lambda _text: None
        local = local_path(output_path)
        self._file = _file_for(local, output_path, mask) if output_path else None
        self._every_s = SAVE_EVERY_S if local is not None else REMOTE_SAVE_EVERY_S
        self._next_save_at = time.monotonic() + self._every_s
        self._dirty = True
        self._saving = threading.Lock()
        self._closing = threading.Event()
        self._saver: threading.Thread | None = None

    def changed(self, index: int | None = None) -> None:
        """Note that a cell (None: any cell) is not what was saved last."""
        self._dirty = True
        if self._file is not None:
            self._file.changed(index)
        if self._saver is None and not self._closing.is_set():
            self._begin_saving()

    def save(self, **_options: Any) -> None:
        """Papermill asks at each cell's start and end; the saver does it when it is due."""
        self._dirty = True

    def autosave_cell(self) -> None:
        """Papermill asks at each output; the saver does it when it is due."""

    def save_if_due(self) -> None:
        """Save if something changed and the last time is long enough ago."""
        if self._dirty and self._file is not None and time.monotonic() >= self._next_save_at:
            self.save_now()

    def save_now(self, *, final: bool = False) -> None:
        """Save; the last time, *final*, in the caller's thread and for good."""
        if final:
            self.close()
        if self._file is None:
            return
        with self._saving:
            began = time.monotonic()
            self._dirty = False
            try:
                self._file.save(self.nb, final=final, cell=self.outputs.still)
            except OSError as error:
                self._dirty = True
                self._tell_unsaved(not_saved(self._file.path, error))
            else:
                self.unsaved = ""
            ended = time.monotonic()
            self._next_save_at = max(began + self._every_s, ended + (ended - began) / MOST_OF_TIME)
            if final:
                self._file.close()

    def redact(self) -> None:
        """Replace what is secret in the notebook itself, which others write once more after us."""
        if self.mask is not None and self.mask.knows_any:
            with self.lock:
                self.mask.clean(self.nb)

    def close(self) -> None:
        """Stop saving by time."""
        self._closing.set()
        saver = self._saver
        if saver is not None and saver is not threading.current_thread():
            saver.join()

    def cell_start(self, cell: Any, cell_index: int | None = None, **kwargs: Any) -> None:
        """Papermill's metadata of a cell that begins."""
        with self.lock:
            super().cell_start(cell, cell_index, **kwargs)
            self.changed(cell_index)

    def cell_complete(self, cell: Any, cell_index: int | None = None, **kwargs: Any) -> None:
        """Papermill's metadata of a cell that ended."""
        with self.lock:
            super().cell_complete(cell, cell_index, **kwargs)
            self.changed(cell_index)

    def cell_exception(self, cell: Any, cell_index: int | None = None, **kwargs: Any) -> None:
        """Papermill's mark of a cell that failed."""
        with self.lock:
            super().cell_exception(cell, cell_index, **kwargs)
            self.changed(cell_index)

    def _begin_saving(self) -> None:
        with self.lock:
            if self._saver is None:
                self._saver = threading.Thread(target=self._save_by_time, name="notebook saver", daemon=True)
                self._saver.start()

    def _save_by_time(self) -> None:
        while not self._closing.wait(TICK_S):
            for tick in self.on_tick:
                tick()
            self.save_if_due()

    def _tell_unsaved(self, text: str) -> None:
        if not self.unsaved:
            self.say(text)
        self.unsaved = text


class _RemoteFile(NotebookFile):
    """An executed notebook that papermill's own handlers write, to wherever they reach."""

    def __init__(self, location: str, *, mask: Redactor | None) -> None:
        self._scratch = OwnedDirectory()
        super().__init__(self._scratch.path / "executed.ipynb", mask=mask)
        self._location = location

    def save(self, nb: Any, **options: Any) -> None:
        """Write here, then there."""
        super().save(nb, **options)
        papermill_io.write(self.path.read_text("utf-8"), self._location)

    def close(self) -> None:
        """Let go of the copy here."""
        super().close()
        self._scratch.remove()


def _file_for(local: Path | None, output_path: str, mask: Redactor | None) -> NotebookFile:
    return NotebookFile(local, mask=mask) if local is not None else _RemoteFile(output_path, mask=mask)


def not_saved(path: Path, error: OSError) -> str:
    """Say why a notebook could not be saved: where, what, and how much room there is."""
    try:
        disk = shutil.disk_usage(path.parent)
        room = f"; {_mb(disk.free)} of {_mb(disk.total)} free"
    except OSError:
        room = ""
    reason = (error.strerror or type(error).__name__).lower()
    return f"the executed notebook cannot be saved to {path}: {reason}{room}"


def _mb(size_bytes: int) -> str:
    return "0 B" if size_bytes == 0 else f"{size_bytes / 1_048_576:.3g} MB"


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
        self._slugs = {index: slug for slug, found in indices.items() for index in found}
        self._mapped: set[str] = set()
        self._newest: dict[str, Progress] = {}
        self._told: dict[str, tuple[float, Progress]] = {}
        self.last: dict[str, str] = {}
        manager.outputs.on_progress = self._note_progress
        manager.on_tick.append(self._tell_progress)

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
        with self._manager.lock:
            self._state(slug, name, state, message=message, attempt=attempt, map_index=map_index)

    def _state(
        self, slug: str, name: str, state: StateName, *, message: str, attempt: int | None, map_index: int
    ) -> None:
        now = utc_now()
        self.last[slug] = state
        self._newest.pop(slug, None)
        self._told.pop(slug, None)
        if map_index >= 0:
            self._mapped.add(slug)
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
                measured=self._manager.outputs.measured.get(index),
            )
            if begins:
                self._manager.cell_start(cell, index)
            elif ends:
                if index == failed:
                    self._manager.cell_exception(cell, cell_index=index)
                self._manager.cell_complete(cell, cell_index=index)
            else:
                self._manager.changed(index)

    def _note_progress(self, index: int, progress: Progress) -> None:
        # Called at each message of a loop: only the newest is kept, the tick tells it.
        slug = self._slugs.get(index)
        # Children of a mapped cell share the cell, so a bar does not say whose it is.
        if slug is not None and slug not in self._mapped and self.last.get(slug) == "Running":
            self._newest[slug] = progress

    def _tell_progress(self) -> None:
        if not self._newest:
            return
        with self._manager.lock:
            now = time.monotonic()
            for slug, progress in list(self._newest.items()):
                told = self._told.get(slug)
                if told is not None and now - told[0] < _pause_s(told[1], progress):
                    continue
                del self._newest[slug]
                self._told[slug] = (now, progress)
                attempt = max(1, self.attempts(slug))
                self._pipe.progress(slug, progress.fraction, progress.text, attempt=attempt)


def _pause_s(told: Progress, progress: Progress) -> float:
    """Return how long to wait after what was told before this is worth telling."""
    if told.fraction is None or progress.fraction is None:
        return SAME_PROGRESS_EVERY_S if told.fraction == progress.fraction else PROGRESS_EVERY_S
    is_same = abs(progress.fraction - told.fraction) < PROGRESS_STEP
    return SAME_PROGRESS_EVERY_S if is_same else PROGRESS_EVERY_S


def _failed_cell(nb: Any, indices: tuple[int, ...]) -> int | None:
    """Return which of a task's cells raised; the last one that ran if none shows it (a timeout, a death)."""
    for index in indices:
        if any(output["output_type"] == "error" for output in nb.cells[index].outputs):
            return index
    ran = [index for index in indices if nb.cells[index].get("execution_count")]
    return ran[-1] if ran else next(iter(indices), None)


def local_path(output_path: str | None) -> Path | None:
    """Return where papermill would write, if that is a file of this machine."""
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
