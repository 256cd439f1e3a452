"""Which cells this kernel has run, and the flow they make. Knows the shell's events, not its magics.

A cell is known by its nbformat id, which front ends send with each execution; running it again, edited or
not, replaces what was known of it. Order is that of the file where the file is known, else that of running.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from jupyter_flows.errors import FlowsError, NotebookNotSaved
from jupyter_flows.schema.base import utc_now

if TYPE_CHECKING:
    # Reading brings the analysis with it, which %load_ext need not wait for.
    from jupyter_flows.notebook.cell_task import CellTask
    from jupyter_flows.notebook.read import CodeCell, NotebookCells


class RecordedCell(msgspec.Struct, kw_only=True):
    """A cell that was run here."""

    id: str
    source: str
    tags: tuple[str, ...] = ()
    state: str = "Pending"
    error: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    ran_source: str | None = None
    """What ran the last time; ``source`` may have been edited and saved since."""
    run_number: int = 0
    """Cells are counted as they begin: a greater number ran later, whatever the clock says."""
    run_since: int = 0
    """Number of the first of the runs in a row that had this source and went well."""
    has_failed: bool = False
    """Whether the last run ended with an error, which stays known when the source is edited."""
    got: dict[str, str] = {}
    """Names that it read when it ran the last time, and the id of the cell that had written each."""


class CellRecorder:
    """Remembers cells as they run, and tells whoever watches.

    Parameters
    ----------
    path : Path, optional
        The notebook's file; default: what the server that started this kernel says it is.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.cells: dict[str, RecordedCell] = {}
        self.watchers: list[Callable[[RecordedCell], None]] = []
        self._path = path
        self._running: list[tuple[object, RecordedCell]] = []
        self._count = 0
        self.version = 0
        """Grows with everything that is recorded."""
        self.ran_before: dict[str, int] = {}
        """Sources that ran before anything was recorded, with their numbers."""
        self._read: tuple[tuple[str, int, int], NotebookCells | None] | None = None
        self._previous: str | None = None
        self._after: dict[str, str | None] = {}
        self._unnamed = 0
        self._edits: dict[str, str] = {}
        """Texts in the front end's editor by id: newer than what ran, and than what is saved."""

    # -- the notebook's file ------------------------------------------------------------------

    @property
    def path(self) -> Path | None:
        """The notebook's file, as far as it is known."""
        if self._path is not None:
            return self._path
        named = os.environ.get("JPY_SESSION_NAME", "")
        return Path(named) if named.endswith(".ipynb") and Path(named).is_file() else None

    @path.setter
    def path(self, path: Path | None) -> None:
        self._path = path

    def on_disk(self) -> NotebookCells | None:
        """Return the notebook as it is saved, or None if it is not known or not readable.

        Read again only when the file has changed: this is asked for at every cell that runs.
        """
        from jupyter_flows.notebook.read import read_notebook

        path = self.path
        if path is None:
            return None
        try:
            status = path.stat()
            version = (str(path), status.st_mtime_ns, status.st_size)
            if self._read is None or self._read[0] != version:
                self._read = (version, None)
                self._read = (version, read_notebook(path))
        except (FlowsError, OSError):
            return None
        return self._read[1]

    def _saved_at(self) -> datetime:
        return datetime.fromtimestamp(self._read[0][1] / 1e9 if self._read is not None else 0, UTC)

    @property
    def last_id(self) -> str | None:
        """Id of the cell that began last."""
        return self._previous

    # -- events of the shell ------------------------------------------------------------------

    def begin(self, source: str, cell_id: str | None, *, execution: object = None) -> None:
        """A cell is about to run; *execution* tells its end from that of code which it runs itself."""
        cell_id = cell_id or self._id_by_source(source)
        cell = self.cells.get(cell_id)
        if cell is None:
            cell = self.cells[cell_id] = RecordedCell(id=cell_id, source=source)
            self._after[cell_id] = self._previous
        self._edits.pop(cell_id, None)
        cell.source = source
        cell.state, cell.error = "Running", ""
        cell.started_at, cell.ended_at = utc_now(), None
        self._count += 1
        if cell.ran_source != source or cell.has_failed:
            cell.run_since = self._count
        cell.ran_source, cell.run_number, cell.has_failed = source, self._count, False
        self._running.append((execution, cell))
        self._previous = cell_id
        self._tell(cell)

    def edited(self, sources: Mapping[str, str]) -> None:
        """Take it that these are the texts of cells now, by id, run and saved or not."""
        self._edits.update({cell_id: text for cell_id, text in sources.items() if isinstance(text, str)})
        known = next((self.cells[cell_id] for cell_id in sources if cell_id in self.cells), None)
        if known is not None:
            self._tell(known)

    def assume(self, sources: Iterable[str]) -> None:
        """Take it that these ran, in this order, before the extension was loaded."""
        for source in sources:
            self._count += 1
            self.ran_before[source] = self._count

    def running(self, execution: object) -> RecordedCell | None:
        """Return the cell that *execution* runs, if it is the innermost that runs."""
        return self._running[-1][1] if self._running and self._running[-1][0] is execution else None

    def _id_by_source(self, source: str) -> str:
        """Return the id of a cell whose front end sends none: of the recorded, else the saved one like it."""
        known = next((cell.id for cell in self.cells.values() if cell.source == source), None)
        if known is not None:
            return known
        disk = self.on_disk()
        for cell in disk.cells if disk is not None else ():
            if cell.source == source and cell.id not in self.cells:
                return cell.id
        self._unnamed += 1
        return f"run-{self._unnamed}"

    def running_task(self) -> CellTask | None:
        """Return the task of the cell that runs, as the notebook stands; None if it is none.

        Raises
        ------
        FlowsError : the cells make no flow.
        """
        from jupyter_flows.notebook.build import build_flow
        from jupyter_flows.notebook.cell_task import CellTask

        if not self._running:
            return None
        running = self._running[-1][1]
        tasks = build_flow(self.notebook()).tasks
        found = [task for task in tasks if isinstance(task, CellTask) and task.cell_id == running.id]
        return found[0] if found else None

    def end(self, error: BaseException | None, *, execution: object = None, skipped: bool = False) -> None:
        """The cell that ran has ended; *skipped*: its ``--when`` was false."""
        cell = self.running(execution)
        if cell is None:
            return
        self._running.pop()
        cell.ended_at, cell.has_failed = utc_now(), error is not None
        cell.state = "Failed" if error is not None else "Skipped" if skipped else "Success"
        cell.error = "" if error is None else type(error).__name__
        self._tell(cell)

    def _tell(self, cell: RecordedCell) -> None:
        self.version += 1
        for watcher in list(self.watchers):
            # A picture that cannot be drawn must not keep a cell from running.
            with contextlib.suppress(Exception):
                watcher(cell)

    # -- the notebook as it is now --------------------------------------------------------------

    def notebook(self) -> NotebookCells:
        """Return the cells in the notebook's order: as they are edited, else as they ran here or are saved.

        The notebook was saved whole: a cell that ran before that counts as it was saved, which may be as
        another text (it has not run as it is now) or not at all (it was deleted).
        """
        from jupyter_flows.notebook.read import NotebookCells

        disk = self.on_disk()
        path = str(self.path or "notebook.ipynb")
        if disk is None:
            cells = self._as_edited(_numbered(list(self.cells.values()), {}))
            return NotebookCells(path=path, cells=cells, kernel=None)
        disk = self._with_known_ids(disk)
        saved = {cell.id: cell for cell in disk.cells}
        for cell in list(self.cells.values()):
            if self._is_newer(cell):
                continue
            if cell.id not in saved:
                del self.cells[cell.id]
            elif cell.source != saved[cell.id].source:
                cell.source, cell.state, cell.error = saved[cell.id].source, "Pending", ""
        order = [cell.id for cell in disk.cells]
        for cell_id in self.cells:
            if cell_id not in saved:
                before = self._after.get(cell_id)
                order.insert(order.index(before) + 1 if before in order else len(order), cell_id)
        merged = [
            self.cells.get(cell_id) or RecordedCell(id=cell_id, source=saved[cell_id].source)
            for cell_id in order
        ]
        cells = self._as_edited(_numbered(merged, saved))
        return NotebookCells(path=path, cells=cells, kernel=disk.kernel, language=disk.language)

    def _as_edited(self, cells: tuple[CodeCell, ...]) -> tuple[CodeCell, ...]:
        return tuple(
            msgspec.structs.replace(cell, source=self._edits[cell.id])
            if self._edits.get(cell.id, cell.source) != cell.source
            else cell
            for cell in cells
        )

    def check_saved(self, path: Path, *, then: str = "register again") -> None:
        """Refuse a file that is not what was run here; *then* is what to do once it is saved.

        Raises
        ------
        NotebookNotSaved : which cells differ.
        """
        from jupyter_flows.notebook.read import read_notebook

        self.path = path
        found = self._with_known_ids(self.on_disk() or read_notebook(path))
        disk = {cell.id: cell for cell in found.cells}
        newer = [cell for cell in self.cells.values() if self._is_newer(cell) and _speaks(cell.source)]
        changed = [
            disk[cell.id].index for cell in newer if cell.id in disk and disk[cell.id].source != cell.source
        ]
        missing = [cell for cell in newer if cell.id not in disk and not cell.id.startswith("run-")]
        if changed or missing:
            differs = _differences(sorted(changed), len(missing), path.name)
            msg = f"{differs}; save the notebook (Ctrl+S) and {then}"
            raise NotebookNotSaved(msg)

    def _with_known_ids(self, disk: NotebookCells) -> NotebookCells:
        """Give saved cells that have no id of their own the ids under which they ran.

        Formats before 4.5 keep none in the file; front ends make them anew each time they open it.
        """
        there = {cell.id for cell in disk.cells}
        ran: dict[str, list[str]] = {}
        for known in self.cells.values():
            if known.id not in there:
                ran.setdefault(known.source, []).append(known.id)
        if not ran:
            return disk
        cells = [
            msgspec.structs.replace(cell, id=ran[cell.source].pop(0))
            if ran.get(cell.source) and _is_made_up(cell)
            else cell
            for cell in disk.cells
        ]
        return msgspec.structs.replace(disk, cells=tuple(cells))

    def _is_newer(self, cell: RecordedCell) -> bool:
        """Whether a cell ran after the notebook was saved; what was saved later is what its author wants."""
        return cell.started_at is not None and cell.started_at > self._saved_at()


def _differences(changed: list[int], missing: int, name: str) -> str:
    """Return what differs as a sentence, e.g. ``cells 3 and 5 differ from the saved a.ipynb``."""
    new = "a new cell is" if missing == 1 else f"{missing} new cells are"
    if not changed:
        return f"{new} not in the saved {name}"
    *most, last = map(str, changed)
    cells = f"cells {', '.join(most)} and {last} differ" if most else f"cell {last} differs"
    return f"{cells} from the saved {name}" + (f", and {new} not in it" if missing else "")


def _is_made_up(cell: CodeCell) -> bool:
    """Whether the reader made the cell's id from its text, because the file has none."""
    return cell.id.startswith(hashlib.sha256(cell.source.encode()).hexdigest()[:12])


def _speaks(source: str) -> bool:
    """Whether a cell is part of the notebook's flow, not one that only registers or looks."""
    from jupyter_flows.notebook.flow_line import declares, has_only_flow_lines

    return bool(source.strip()) and (not has_only_flow_lines(source) or declares(source))


def _numbered(cells: list[RecordedCell], saved: dict[str, CodeCell]) -> tuple[CodeCell, ...]:
    """Number the cells; a new one stands under the heading of the saved one above it."""
    from jupyter_flows.notebook.read import CodeCell

    made: list[CodeCell] = []
    heading, section = "", 0
    for number, cell in enumerate(cells, start=1):
        known = saved.get(cell.id)
        if known is not None:
            heading, section = known.heading, known.section
        made.append(
            CodeCell(
                id=cell.id,
                index=number,
                position=number - 1,
                source=cell.source,
                tags=cell.tags if known is None else known.tags,
                heading=heading,
                section=section,
            )
        )
    return tuple(made)
