"""Proves the graph of a notebook: runs its cells by the graph, and names those that then differ.

The reference is the notebook run from top to bottom, twice, in two kernels. Then each cell is run with
exactly the cells before it that the graph says it needs, in orders that the graph allows, and all cells are
run with each one left out in turn. Whatever differs is run once more, from nothing, before it is told.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from jupyter_flows.analysis import Analysis, validate
from jupyter_flows.check.findings import Findings, difference
from jupyter_flows.check.judge import (
    Change,
    Missing,
    Reference,
    missing_pairs,
    reached,
    unstable_facets,
    unused_edges,
)
from jupyter_flows.check.kernel import Cell, ProbeKernel, Seen
from jupyter_flows.check.plan import (
    Forest,
    Order,
    affordable,
    isolated,
    legal_order,
    view_of,
    without,
)
from jupyter_flows.check.report import (
    Difference,
    FailedCell,
    Report,
    difference_sentence,
)
from jupyter_flows.check.workspace import make_workspace
from jupyter_flows.errors import InvalidNotebook
from jupyter_flows.notebook.build import map_wrapping
from jupyter_flows.notebook.flow_line import has_only_flow_lines
from jupyter_flows.notebook.outline import analyse_notebook
from jupyter_flows.notebook.read import NotebookCells, read_notebook
from jupyter_flows.notebook.transform import body_of
from jupyter_flows.runtime.kernels import require_kernel
from jupyter_flows.runtime.owned_directory import OwnedDirectory

DEFAULT_KERNEL = "python3"
_MAX_CANDIDATES = 30
"""How many cells are tried as the cause of one difference."""


def check_notebook(
    path: str | Path,
    *,
    runs: int = 2,
    seed: int = 0,
    all_cells: bool = False,
    budget_s: float = 60.0,
    cell_limit_s: float = 600.0,
    kernel_name: str | None = None,
    on_step: Callable[[str], None] = lambda _text: None,
) -> Report:
    """Prove the graph of a notebook, or name the cells that need more than the graph says.

    Cells are executed for real, many times, in a copy of the notebook's directory: what they do elsewhere
    (a database, a mail) they do each time. The notebook's file is only read.

    Parameters
    ----------
    path : an ``.ipynb`` file, or a ``.py`` file in percent format.
    runs : in how many shuffled orders each cell's needed cells are run.
    seed : of the shuffling.
    all_cells : check cells marked to be skipped, too.
    budget_s : how long leaving out each cell in turn may take, in seconds; the cheap ones come first.
    cell_limit_s : a cell that takes longer, in seconds, fails: one that never ends must not be waited for.
    kernel_name : default: the notebook's own.
    on_step : told in a few words what begins.

    Raises
    ------
    InvalidNotebook, InvalidOption, InvalidFlow : the notebook cannot be read as a flow.
    KernelNotFound, KernelDidNotStart, KernelDied : nothing could be run.
    KeyboardInterrupt : no process and no directory is left.
    """
    began = time.monotonic()
    place = Path(path).absolute()
    notebook = read_notebook(path)
    if not notebook.is_python:
        msg = f"{path}: its language is {notebook.language}; only graphs of Python notebooks can be proved"
        raise InvalidNotebook(msg)
    analysis = analyse_notebook(notebook, all_cells=all_cells)
    validate(analysis)
    cells = _cells(notebook, analysis)
    name = kernel_name or notebook.kernel or DEFAULT_KERNEL
    require_kernel(name)
    with OwnedDirectory(prefix="check-") as top:
        root = make_workspace(place.parent, top)
        with _kernels(name, root=root, top=top, cells=cells, cell_limit_s=cell_limit_s) as kernels:
            check = _Check(
                analysis,
                kernels,
                setup=_setup_cells(notebook, analysis, all_cells=all_cells),
                cells=cells,
                runs=runs,
                seed=seed,
                on_step=on_step,
            )
            report = check.report(str(path), budget_s=budget_s)
    return msgspec.structs.replace(report, duration_s=round(time.monotonic() - began, 2))


@contextmanager
def _kernels(
    name: str, *, root: Path, top: Path, cells: Mapping[int, Cell], cell_limit_s: float
) -> Iterator[tuple[ProbeKernel, ProbeKernel]]:
    """Start two kernels; whatever happens, nothing of them stays."""
    started: list[ProbeKernel] = []
    try:
        for number in (1, 2):
            directory = top / f"kernel-{number}"
            directory.mkdir()
            started.append(
                ProbeKernel(name, root=root, directory=directory, cells=cells, cell_limit_s=cell_limit_s)
            )
        yield started[0], started[1]
    finally:
        for kernel in started:
            kernel.stop()


def _cells(notebook: NotebookCells, analysis: Analysis) -> dict[int, Cell]:
    """Return what is run of each cell that is part of the flow."""
    found = {}
    passed: dict[int, set[str]] = {}
    for edge in analysis.edges:
        stays = edge.source_index in analysis.together and edge.target_index in analysis.together
        if edge.kind == "data" and not stays:
            passed.setdefault(edge.source_index, set()).update(edge.names)
    for cell, info in zip(notebook.cells, analysis.cells, strict=True):
        if info.role == "skip" or not cell.source.strip() or has_only_flow_lines(cell.source):
            continue
        code = body_of(cell.source)
        found[info.index] = Cell(
            code=code.lstrip() if code.lstrip().startswith("%%") else code,
            names=info.writes,
            when=info.options.when if info.options else None,
            wrapping=map_wrapping(info.options),
            may_raise="raises-exception" in cell.tags,
            passed=tuple(sorted(passed.get(info.index, ()))),
        )
    return found


def _setup_cells(notebook: NotebookCells, analysis: Analysis, *, all_cells: bool) -> set[int]:
    roles = analyse_notebook(notebook) if all_cells else analysis
    return {info.index for info in roles.cells if info.role == "setup"}


class _Check:
    """One check: what was run so far, and what is to be run next because of it."""

    def __init__(
        self,
        analysis: Analysis,
        kernels: tuple[ProbeKernel, ProbeKernel],
        *,
        setup: set[int],
        cells: Mapping[int, Cell],
        runs: int,
        seed: int,
        on_step: Callable[[str], None],
    ) -> None:
        self._analysis = analysis
        self._first, self._second = kernels
        self._runs = runs
        self._seed = seed
        self._say = on_step
        self._view = view_of(analysis, cells, setup=setup)
        self._writes = {index: frozenset(cell.names) for index, cell in cells.items()}
        self._seconds: dict[int, float] = {}
        self._kernel = self._first
        self._findings = Findings(analysis, self._view)

    def report(self, path: str, *, budget_s: float) -> Report:
        """Run everything; return what was found."""
        view = self._view
        reference = self._reference()
        judged = self._judged(reference)
        orders = [legal_order(view, random.Random(self._seed * 1_000 + n)) for n in range(self._runs)]  # noqa: S311 - a shuffle, no secret
        alone = self._isolated(orders, judged, reference)
        changes, left_out, candidates = self._left_out(judged, reference, budget_s=budget_s)
        changes, alone = self._confirmed(changes, alone, reference)
        if changes or alone:
            # What a third run gives otherwise is no difference of the graph's.
            reference = self._widened(reference)
            changes, alone = self._confirmed(changes, alone, reference, is_known=True)
        missing = missing_pairs(view, changes, judged=judged)
        differences = [self._findings.missing(item) for item in missing]
        differences += self._others(alone, missing, left_out, reference)
        edges = [
            (edge.source_index, edge.target_index)
            for edge in self._analysis.dependencies
            if edge.target_index in judged
            and edge.source_index not in view.replayed
            and self._findings.can_be_unused((edge.source_index, edge.target_index))
        ]
        unused = unused_edges(edges, changes, left_out=left_out, reference=reference)
        return Report(
            path=path,
            cells=len(view.cells),
            runs=self._runs,
            seed=self._seed,
            left_out=len(left_out),
            could_be_left_out=candidates,
            differences=tuple(sorted(differences, key=lambda item: item.cell.index)),
            failed=tuple(
                FailedCell(cell=self._findings.ref(cell), raised=raised)
                for cell, raised in reference.failed.items()
            ),
            unstable=self._findings.unstable(reference),
            unused=tuple(self._findings.unused(pair) for pair in unused),
            not_compared=tuple(self._findings.not_compared(reference, judged)),
            lost=tuple(self._findings.lost(reference)),
            notes=tuple(self._findings.notes(reference, len(left_out), candidates)),
        )

    # -- runs --------------------------------------------------------------------------------------

    def _reference(self) -> Reference:
        self._say("from top to bottom, twice")
        self._first.wait_until_ready()
        plain = self._view.cells
        first = self._run([plain], known=False)[plain]
        self._seconds = {cell: first[cell].seconds for cell in first}
        self._second.wait_until_ready()
        self._kernel = self._second
        # What ended its process would do so again, or take as long again as it may; nothing below is judged.
        again = tuple(cell for cell in plain if cell in first and not first[cell].has_died)
        second = self._run([again], known=False)[again] if again else {}
        self._kernel = self._first
        self._second.stop()
        blank = Seen(facets={"error": "not run"}, error="was not run, since a cell above ended the process")
        seen = {cell: first.get(cell, blank) for cell in plain}
        return Reference(
            seen=seen,
            unstable={
                cell: unstable_facets(seen[cell], second.get(cell, blank), writes=self._writes[cell])
                for cell in plain
            },
            failed={cell: seen[cell].error for cell in plain if seen[cell].error},
            writes=self._writes,
        )

    def _widened(self, reference: Reference) -> Reference:
        plain = self._view.cells
        third = self._run([plain])[plain]
        unstable = {
            cell: reference.unstable[cell]
            | unstable_facets(reference.seen[cell], third[cell], writes=self._writes[cell])
            for cell in plain
            if cell in third
        }
        return msgspec.structs.replace(reference, unstable={**reference.unstable, **unstable})

    def _judged(self, reference: Reference) -> set[int]:
        failed = set(reference.failed)
        return {cell for cell in self._view.cells if not (self._view.ancestors[cell] | {cell}) & failed}

    def _isolated(self, orders: list[Order], judged: set[int], reference: Reference) -> dict[Order, Change]:
        """Run each cell with what it needs; return by sequence what its last cell gives otherwise."""
        self._say(f"each cell with what it needs, in {len(orders)} shuffled orders")
        paths = [isolated(self._view, cell, order) for order in orders for cell in sorted(judged)]
        return self._changed(paths, reference)

    def _changed(
        self, paths: list[Order], reference: Reference, *, shared: bool = True
    ) -> dict[Order, Change]:
        """Run sequences; return those whose last cell differs from the reference, and how."""
        found = {}
        for path, seen in self._run(paths, shared=shared).items():
            last = path[-1]
            change = reference.change(last, seen[last]) if last in seen else None
            if change is not None:
                found[path] = change
        return found

    def _left_out(
        self, judged: set[int], reference: Reference, *, budget_s: float
    ) -> tuple[dict[tuple[int, int], Change], set[int], int]:
        """Leave out cell after cell; return what changed below, by pair, and which were left out."""
        view = self._view
        candidates = [
            cell
            for cell in view.cells
            if cell not in view.replayed and cell not in reference.failed and any(j > cell for j in judged)
        ]
        chosen = affordable(view, candidates, self._seconds, budget_s=budget_s)
        if not chosen:
            return {}, set(), len(candidates)
        self._say(f"each of {len(chosen)} cells left out in turn")
        paths = {without(view, cell): cell for cell in chosen}
        done: set[int] = set()
        changes: dict[tuple[int, int], Change] = {}
        for path, seen in self._run(list(paths), deadline_s=2 * budget_s).items():
            left_out = paths[path]
            later = [cell for cell in path if cell > left_out]
            if later[0] not in seen:
                continue
            done.add(left_out)
            changes.update(self._changes_below(left_out, seen, judged, reference))
        return changes, done, len(candidates)

    def _changes_below(
        self, left_out: int, seen: Mapping[int, Seen], judged: set[int], reference: Reference
    ) -> dict[tuple[int, int], Change]:
        found = {}
        for cell in self._view.cells:
            if cell > left_out and cell in judged and cell in seen:
                change = reference.change(cell, seen[cell])
                if change is not None:
                    found[left_out, cell] = change
        return found

    def _confirmed(
        self,
        changes: dict[tuple[int, int], Change],
        alone: dict[Order, Change],
        reference: Reference,
        *,
        is_known: bool = False,
    ) -> tuple[dict[tuple[int, int], Change], dict[Order, Change]]:
        """Keep what is found again from nothing, in processes that share no beginning.

        Processes that fork share what they have open: a file that is half read, a connection.
        """
        if is_known:
            return (
                {pair: c for pair, c in changes.items() if _still(c, reference.unstable.get(pair[1], ()))},
                {path: c for path, c in alone.items() if _still(c, reference.unstable.get(path[-1], ()))},
            )
        suspects = sorted({s for s, t in changes if not self._view.is_needed(s, t)})
        if not suspects and not alone:
            return changes, alone
        self._say("what differs, once more from nothing")
        again: dict[tuple[int, int], Change] = {}
        paths = {without(self._view, cell): cell for cell in suspects}
        judged = {target for _, target in changes}
        for path, seen in self._run(list(paths), shared=False).items():
            again.update(self._changes_below(paths[path], seen, judged, reference))
        kept = {
            pair: again.get(pair, change)
            for pair, change in changes.items()
            if self._view.is_needed(*pair) or pair in again
        }
        return kept, self._changed(list(alone), reference, shared=False)

    def _run(
        self,
        paths: list[Order],
        *,
        shared: bool = True,
        known: bool = True,
        deadline_s: float | None = None,
    ) -> dict[Order, dict[int, Seen]]:
        """Run sequences; return by sequence and cell what was seen."""
        forest = Forest(paths, shared=shared)
        seen = self._kernel.run(forest, seconds=self._seconds if known else None, deadline_s=deadline_s)
        return {
            path: {
                cell: seen[forest.key(path, at)]
                for at, cell in enumerate(path)
                if forest.key(path, at) in seen
            }
            for path in paths
        }

    # -- causes ------------------------------------------------------------------------------------

    def _others(
        self,
        alone: Mapping[Order, Change],
        missing: list[Missing],
        left_out: set[int],
        reference: Reference,
    ) -> list[Difference]:
        """Explain what differs though no cell that was left out made it so."""
        lacking: dict[int, set[int]] = {}
        for item in missing:
            lacking.setdefault(item.target, set()).add(item.source)
        found: list[Difference] = []
        told: set[int] = set(lacking)
        for path, change in sorted(alone.items(), key=lambda item: item[0][-1]):
            cell = path[-1]
            if cell in told or reached(self._view, cell, {}) & told:
                continue
            told.add(cell)
            in_order = isolated(self._view, cell, self._view.cells)
            if path != in_order and not self._changed([in_order], reference, shared=False):
                made = difference(change, self._findings.ref(cell), kind="order")
            else:
                source = self._cause(cell, left_out, reference)
                kind = "unexplained" if source is None else "missing edge"
                made = difference(
                    change,
                    self._findings.ref(cell),
                    source=None if source is None else self._findings.ref(source),
                    kind=kind,
                )
            advice = "" if made.source is None else self._findings.advice(made.source.index, cell)
            sentence = difference_sentence(made, advice=advice, order=path)
            found.append(msgspec.structs.replace(made, sentence=sentence))
        return found

    def _cause(self, cell: int, left_out: set[int], reference: Reference) -> int | None:
        """Return the nearest cell above that, run too, makes *cell* what it is from top to bottom."""
        view = self._view
        needed = view.needed(cell)
        above = [other for other in view.cells if other < cell and other not in needed]
        # Those that were left out already made no difference by themselves.
        likely = [other for other in reversed(above) if other not in left_out]
        paths = {}
        for other in [*likely, *(o for o in reversed(above) if o in left_out)][:_MAX_CANDIDATES]:
            wanted = needed | view.needed(other)
            paths[tuple(o for o in view.cells if o in wanted and o <= cell)] = other
        differing = self._changed(list(paths), reference)
        return next((other for path, other in paths.items() if path not in differing), None)


def _still(change: Change, unstable: Any) -> bool:
    """Whether something of a change is left when what is not stable is taken away."""
    if change.raised:
        return True
    stable_names = [name for name in change.names if f"name:{name}" not in unstable]
    outputs = any(not facet.startswith("name:") for facet in unstable)
    return bool(stable_names) or (change.has_other_output and not outputs)
