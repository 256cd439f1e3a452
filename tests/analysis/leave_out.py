"""The truth about whole notebooks: each cell left out in turn in a real kernel, and runs by the graph.

What ``jupyter flows check`` does, with every pair that was found instead of the differences only.
"""

from __future__ import annotations

import ast
import os
import random
import tempfile
from collections.abc import Collection
from pathlib import Path

import msgspec

from jupyter_flows.analysis import Analysis, analyse
from jupyter_flows.check.judge import Change, Reference, unstable_facets
from jupyter_flows.check.kernel import Cell, ProbeKernel, Seen
from jupyter_flows.check.plan import Forest, GraphView, Order, isolated, legal_order, view_of, without
from jupyter_flows.notebook.read import read_notebook
from jupyter_flows.notebook.transform import plain_python

NOTEBOOKS = tuple(sorted((Path(__file__).parent / "notebooks").glob("*.ipynb")))

Pair = tuple[int, int]


def closure(direct: Collection[Pair]) -> set[Pair]:
    """All pairs along paths of *direct*; every edge goes from a lower number to a higher one."""
    above: dict[int, set[int]] = {}
    for source, target in sorted(direct, key=lambda pair: (pair[1], pair[0])):
        above.setdefault(target, set()).update({source}, above.get(source, ()))
    return {(source, target) for target, sources in above.items() for source in sources}


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What running a notebook with each cell left out in turn, and by its graph, showed."""

    name: str
    analysis: Analysis
    sources: tuple[str, ...]
    """Of the code cells, as they stand in the notebook."""
    failed: dict[int, str]
    unstable: dict[int, frozenset[str]]
    true: frozenset[Pair]
    """(i, j): cell j did something else when cell i was left out."""
    moved: tuple[tuple[Order, int, Change], ...]
    """Sequences by the graph in which a cell did something else, the cell, and what."""
    sequences: int
    """How many such sequences were run."""

    @property
    def importing(self) -> frozenset[int]:
        """Cells that do nothing but import and configure: every peer's graph has them, or leaves them out."""
        return frozenset(
            number
            for number, source in enumerate(self.sources, 1)
            if _only_imports(plain_python(source).source)
        )

    def counted(self, pairs: Collection[Pair]) -> set[Pair]:
        """Those of *pairs* that do not begin in a cell that only imports."""
        return {pair for pair in pairs if pair[0] not in self.importing}

    def missing(self, graph: Collection[Pair]) -> set[Pair]:
        """True pairs that a graph's closure has not."""
        return self.counted(self.true) - closure(graph)

    def extra(self, graph: Collection[Pair]) -> set[Pair]:
        """Pairs of a graph's closure that are not true."""
        return self.counted(closure(graph)) - closure(self.true)

    @property
    def edges(self) -> set[Pair]:
        """Pairs of our graph."""
        return {(edge.source_index, edge.target_index) for edge in self.analysis.dependencies}

    @property
    def warned(self) -> set[int]:
        """Cells that say that something of them cannot be seen."""
        return {
            cell.index
            for cell in self.analysis.cells
            if any("no cell above" not in warning for warning in cell.warnings)
        }


def prove(path: Path, *, orders: int = 3, seed: int = 0) -> Proof:
    """Run a notebook in every way that shows something.

    Twice from top to bottom in two kernels; without each cell; in *orders* shuffled orders that the graph
    allows, all cells in one namespace; and each cell alone with what the graph says it needs.
    """
    notebook = read_notebook(path)
    analysis = analyse(notebook.plain())
    cells = {
        cell.index: Cell(code=cell.source, names=info.writes)
        for cell, info in zip(notebook.cells, analysis.cells, strict=True)
    }
    view = view_of(analysis, cells, setup=[info.index for info in analysis.cells if info.role == "setup"])
    shuffled = [legal_order(view, random.Random(seed + number)) for number in range(orders)]
    # In the document's order, so that much of what is run before one cell is run for the next one too.
    alone = [isolated(view, cell, view.cells) for cell in view.cells]
    with tempfile.TemporaryDirectory() as name:
        first, second = (_kernel(Path(name), str(number), cells) for number in (1, 2))
        try:
            reference, seconds = _reference(view, first, second, cells)
            second.stop()
            lacking = [without(view, cell) for cell in view.cells[:-1]]
            seen = _run(first, [*lacking, *alone], seconds)
            # Orders of their own begin apart: a shared beginning would share what is open, too.
            seen |= _run(first, shuffled, seconds, shared=False)
        finally:
            first.stop()
            second.stop()
    judged = set(view.cells) - set(reference.failed)
    true = {
        (left_out, cell)
        for left_out, path_without in zip(view.cells, lacking, strict=False)
        for cell in view.cells
        if cell > left_out and cell in judged and _change(reference, cell, seen[path_without]) is not None
    }
    moved = []
    for order in shuffled:
        moved += [
            (order, cell, change) for cell in order if (change := _change(reference, cell, seen[order]))
        ]
    for order in alone:
        if (change := _change(reference, order[-1], seen[order])) is not None:
            moved.append((order, order[-1], change))
    return Proof(
        name=path.stem,
        analysis=analysis,
        sources=tuple(cell.source for cell in notebook.cells),
        failed=dict(reference.failed),
        unstable={cell: facets for cell, facets in reference.unstable.items() if facets},
        true=frozenset(true),
        moved=tuple(moved),
        sequences=len(shuffled) + len(alone),
    )


def _kernel(top: Path, name: str, cells: dict[int, Cell]) -> ProbeKernel:
    # Threads of libraries do not survive a fork, and sums of theirs come in no fixed order.
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    directory = top / name
    (directory / "work").mkdir(parents=True)
    return ProbeKernel(
        "python3", root=directory / "work", directory=directory, cells=cells, cell_limit_s=600.0
    )


def _reference(
    view: GraphView, first: ProbeKernel, second: ProbeKernel, cells: dict[int, Cell]
) -> tuple[Reference, dict[int, float]]:
    seen = []
    for kernel in (first, second):
        kernel.wait_until_ready()
        seen.append(_run(kernel, [view.cells], None)[view.cells])
    one, two = seen
    writes = {number: frozenset(cell.names) for number, cell in cells.items()}
    reference = Reference(
        seen=one,
        unstable={cell: unstable_facets(one[cell], two[cell], writes=writes[cell]) for cell in view.cells},
        failed={cell: one[cell].error for cell in view.cells if one[cell].error},
        writes=writes,
    )
    return reference, {cell: one[cell].seconds for cell in view.cells}


def _run(
    kernel: ProbeKernel, paths: list[Order], seconds: dict[int, float] | None, *, shared: bool = True
) -> dict[Order, dict[int, Seen]]:
    forest = Forest(paths, shared=shared)
    seen = kernel.run(forest, seconds=seconds)
    return {
        path: {
            cell: seen[forest.key(path, at)] for at, cell in enumerate(path) if forest.key(path, at) in seen
        }
        for path in paths
    }


def _change(reference: Reference, cell: int, seen: dict[int, Seen]) -> Change | None:
    return reference.change(cell, seen[cell]) if cell in seen else Change(raised="did not run")


def _only_imports(source: str) -> bool:
    body = ast.parse(source).body
    has_import = any(isinstance(statement, (ast.Import, ast.ImportFrom)) for statement in body)
    return has_import and all(
        isinstance(statement, (ast.Import, ast.ImportFrom))
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, (ast.Call, ast.Constant)))
        for statement in body
    )
