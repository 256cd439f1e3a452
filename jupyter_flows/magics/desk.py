"""The notebook as it stands at this desk: what it says, what its runs showed, what is out of date.

Puts together the recorder (what ran), the tracer (what that did) and the analysis (what needs what), and
reads the notebook again only where a source has changed: all of this is asked for at every cell.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_flows.errors import InvalidOption
from jupyter_flows.magics.cells import CellRecorder, RecordedCell

if TYPE_CHECKING:
    # Each of these brings the analysis with it, which %load_ext need not wait for.
    from jupyter_flows.analysis import Analysis, CellInfo
    from jupyter_flows.analysis.observed import Observed
    from jupyter_flows.analysis.reader import Reader
    from jupyter_flows.magics.staleness import LastRun, Standing, Step
    from jupyter_flows.magics.trace import Tracer
    from jupyter_flows.notebook.read import CodeCell, NotebookCells


class _Expected(NamedTuple):
    """What a run of a cell showed beside its source."""

    facts: Observed
    info: CellInfo
    restless_count: int
    counted: Observed
    """The facts without what other threads did."""
    goes_beyond: bool
    """Whether it did something that the source does not say."""
    is_telling: bool
    """Whether it did not do just what the source says."""


def _told(info: CellInfo, facts: Observed) -> tuple[Observed, bool, bool]:
    in_source, written = {*info.reads, *info.mutates, *info.deletes}, {*info.writes, *info.deletes}
    goes_beyond = not (facts.reads <= in_source and facts.writes <= written)
    return facts, goes_beyond, goes_beyond or not facts.writes >= written


class Desk:
    """What is known of the notebook that one kernel serves.

    Parameters
    ----------
    recorder : CellRecorder
    namespace : dict
        The user's.
    hidden : dict
        Names in it that are the shell's.
    is_tracing : bool
        Whether to look at the namespace around each cell.
    """

    def __init__(
        self,
        recorder: CellRecorder,
        *,
        namespace: dict[str, Any],
        hidden: dict[str, Any],
        is_tracing: bool,
    ) -> None:
        self.recorder = recorder
        self._namespace = namespace
        self._hidden = hidden
        self._is_tracing = is_tracing
        self._tracer: Tracer | None = None
        self._observed: dict[str, tuple[str, Observed]] = {}
        self._reader: Reader | None = None
        self._read: tuple[tuple[CodeCell, ...], Analysis] | None = None
        self._merged: tuple[Analysis, dict[str, Observed], Analysis] | None = None
        self.is_catching_up = False
        """Whether the cells that run now run because they are out of date."""
        self._parts: dict[str, bool] = {}
        self._expected: dict[str, _Expected] = {}
        self._told: tuple[Analysis, dict[str, Observed], Analysis] | None = None
        self._version = 0
        self._stands: tuple[tuple[Any, ...], dict[str, Standing]] | None = None
        self._wrote: dict[str, str] = {}
        """Names, and the id of the cell that wrote each last, as far as cells ran here."""

    # -- events of the shell ----------------------------------------------------------------------

    def begin(self, source: str, cell_id: str | None, *, execution: object = None) -> None:
        """A cell is about to run."""
        self.recorder.begin(source, cell_id, execution=execution)
        # Two tasks of one name, a broken file: a cell runs all the same, and %flow says what is wrong.
        with contextlib.suppress(Exception):
            self._note_inputs(self.recorder.running(execution))
        if self._is_tracing:
            if self._tracer is None:
                from jupyter_flows.magics.trace import Tracer

                self._tracer = Tracer(self._namespace, self._hidden)
            self._tracer.begin(source)

    def end(self, error: BaseException | None, *, execution: object = None, skipped: bool = False) -> None:
        """The cell that ran has ended."""
        cell = self.recorder.running(execution)
        observed = self._tracer.end() if self._tracer is not None and cell is not None else None
        if observed is not None and cell is not None:
            self._keep(cell, observed)
        if cell is not None:
            with contextlib.suppress(Exception):
                self._note_writes(cell)
        self.recorder.end(error, execution=execution, skipped=skipped)

    def _keep(self, cell: RecordedCell, observed: Observed) -> None:
        """Remember what a cell did; what several runs of one source showed adds up."""
        source, earlier = self._observed.get(cell.id, ("", None))
        if earlier is not None and source == cell.source:
            observed = earlier.joined(observed)
        self._observed[cell.id] = (cell.source, observed)
        self._version += 1

    # -- the graph ----------------------------------------------------------------------------------

    def observed(self, notebook: NotebookCells) -> dict[str, Observed]:
        """Return what the cells did when they ran here, by id; of those that are still what ran."""
        sources = {cell.id: cell.source for cell in notebook.cells}
        restless = self._tracer.restless if self._tracer is not None else ()
        return {
            cell_id: facts.without_changes(restless)
            for cell_id, (source, facts) in self._observed.items()
            if sources.get(cell_id) == source
        }

    def analysis(self, notebook: NotebookCells | None = None) -> Analysis:
        """Return the analysis of the notebook, with the edges that its runs showed."""
        from jupyter_flows.analysis.observed import with_observed

        notebook = notebook or self.recorder.notebook()
        read = self.read(notebook)
        observed = self.observed(notebook)
        if self._merged is None or self._merged[0] is not read or self._merged[1] != observed:
            self._merged = (read, observed, with_observed(read, observed))
        return self._merged[2]

    def graph(self, notebook: NotebookCells) -> Analysis:
        """Return an analysis whose edges join the same cells as those of :meth:`analysis`, in less time.

        As long as runs did only what the source says, the source says it all.
        """
        from jupyter_flows.analysis.observed import with_observed

        read = self.read(notebook)
        ran = {cell.id: cell.source for cell in notebook.cells if cell.id in self._observed}
        restless = self._tracer.restless if self._tracer is not None else ()
        telling: dict[str, Observed] = {}
        goes_beyond = False
        for info in read.cells:
            source, facts = self._observed.get(info.id, (None, None))
            if facts is None or source != ran.get(info.id):
                continue
            known = self._expected.get(info.id)
            if known is None or known[0] is not facts or known[1] is not info or known[2] != len(restless):
                known = self._expected[info.id] = _Expected(
                    facts, info, len(restless), *_told(info, facts.without_changes(restless))
                )
            if known.is_telling:
                telling[info.id] = known.counted
                goes_beyond |= known.goes_beyond
        if not goes_beyond:
            return read
        # A run that did just what the source says changes nothing here: the next cell need not begin anew.
        if self._told is None or self._told[0] is not read or self._told[1] != telling:
            self._told = (read, telling, with_observed(read, telling))
        return self._told[2]

    def read(self, notebook: NotebookCells) -> Analysis:
        """Return what the sources of the cells say, without what their runs showed."""
        from jupyter_flows.analysis.reader import Reader
        from jupyter_flows.notebook.flow_line import declaration

        if self._read is None or self._read[0] != notebook.cells:
            all_cells = False
            # What is wrong with a declaration is said by whoever shows or registers the flow.
            with contextlib.suppress(InvalidOption):
                declared = declaration(cell.source for cell in notebook.cells)
                all_cells = declared.all_cells or declared.by_heading
            if self._reader is None or self._reader.plain_as_tasks != all_cells:
                self._reader = Reader(plain_as_tasks=all_cells)
            self._read = (notebook.cells, self._reader.analyse(notebook.plain()))
        return self._read[1]

    # -- what is out of date ---------------------------------------------------------------------------

    def standings(self, notebook: NotebookCells | None = None) -> dict[str, Standing]:
        """Return how each cell of the flow stands, by id."""
        from jupyter_flows.magics.staleness import standings

        notebook = notebook or self.recorder.notebook()
        state = (self.recorder.version, self._version, notebook.cells)
        if self._stands is None or self._stands[0] != state:
            analysis = self.graph(notebook)
            found = standings(
                analysis,
                self._sources(notebook),
                self._runs(notebook, analysis),
                writes={cell.id: self._writes_of(cell) for cell in analysis.cells},
                wrote=self._wrote,
            )
            self._stands = (state, found)
        return self._stands[1]

    def plan(self) -> list[Step]:
        """Return the cells to run so that nothing is out of date."""
        from jupyter_flows.magics.staleness import plan

        notebook = self.recorder.notebook()
        analysis = self.analysis(notebook)
        writes = {cell.id: self._writes_of(cell) for cell in analysis.cells}
        return plan(analysis, self.standings(notebook), self._runs(notebook, analysis), writes=writes)

    def is_flow(self, notebook: NotebookCells) -> bool:
        """Whether any cell may be a task; without one there is no graph to keep."""
        return any(
            "%%task" in cell.source or "%flow" in cell.source or "task" in cell.tags
            for cell in notebook.cells
        )

    def _note_inputs(self, cell: RecordedCell | None) -> None:
        """Keep whose names the cell gets that begins now, and say so if they are old or another cell's."""
        from jupyter_flows.magics.staleness import remark

        notebook = self.recorder.notebook()
        if cell is None or not self.is_flow(notebook):
            return
        analysis = self.graph(notebook)
        info = next((info for info in analysis.cells if info.id == cell.id), None)
        if info is None or not any(other.role == "task" for other in analysis.cells):
            return
        standing = self.standings(notebook)
        needs = (*info.reads, *info.mutates, *info.deletes)
        cell.got = {name: self._wrote[name] for name in needs if name in self._wrote}
        self._version += 1
        if self.is_catching_up or info.id not in self._sources(notebook):
            return
        said = remark(info, analysis, standing, cell.got)
        if said:
            print(said, file=sys.stderr)  # noqa: T201 - before the cell's own output, and apart from it

    def _note_writes(self, cell: RecordedCell) -> None:
        """Keep which names are this cell's from now on."""
        notebook = self.recorder.notebook()
        if self.is_flow(notebook):
            for info in self.read(notebook).cells:
                if info.id == cell.id:
                    self._wrote.update(dict.fromkeys(self._writes_of(info), cell.id))
                    self._version += 1

    def _writes_of(self, info: CellInfo) -> frozenset[str]:
        """Return all names that a cell binds, changes or deletes, by its source or when it ran."""
        _, facts = self._observed.get(info.id, ("", None))
        return frozenset((*info.writes, *info.deletes)) | (facts.writes if facts is not None else frozenset())

    def _sources(self, notebook: NotebookCells) -> dict[str, str]:
        """Return the sources of the cells that are part of the flow."""
        from jupyter_flows.notebook.flow_line import has_only_flow_lines

        found = {}
        for cell in notebook.cells:
            if cell.source not in self._parts:
                self._parts[cell.source] = bool(cell.source.strip()) and not has_only_flow_lines(cell.source)
            if self._parts[cell.source]:
                found[cell.id] = cell.source
        return found

    def _runs(self, notebook: NotebookCells, analysis: Analysis) -> dict[str, LastRun]:
        from jupyter_flows.magics.staleness import LastRun

        found = {}
        for cell, info in zip(notebook.cells, analysis.cells, strict=True):
            recorded = self.recorder.cells.get(cell.id)
            if recorded is not None and recorded.ran_source is not None:
                found[cell.id] = LastRun(
                    number=recorded.run_number,
                    since=recorded.run_since,
                    source=recorded.ran_source,
                    has_failed=recorded.has_failed,
                    got=recorded.got,
                )
            elif cell.source in self.recorder.ran_before and all(
                name in self._namespace for name in info.writes
            ):
                number = self.recorder.ran_before[cell.source]
                # The same text ran before the extension was loaded, and its names are still there.
                found[cell.id] = LastRun(number=number, since=number, source=cell.source)
        return found
