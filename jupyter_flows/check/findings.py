"""From what was seen to what is told: findings with their cells' names and sentences. Runs nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import msgspec

from jupyter_flows.analysis import Analysis
from jupyter_flows.check.judge import Change, Missing, Reference
from jupyter_flows.check.plan import GraphView
from jupyter_flows.check.report import (
    CellRef,
    Difference,
    LostInPassing,
    NotCompared,
    Unstable,
    UnusedEdge,
    difference_sentence,
)


class Findings:
    """Words for what a check of one notebook found."""

    def __init__(self, analysis: Analysis, view: GraphView) -> None:
        self._analysis = analysis
        self._view = view

    def ref(self, cell: int) -> CellRef:
        """Return the cell with its name."""
        return CellRef(index=cell, name=self._analysis.cell(cell).name)

    def missing(self, missing: Missing) -> Difference:
        """Tell of a pair that the graph lacks."""
        found = difference(missing.change, self.ref(missing.target), source=self.ref(missing.source))
        return msgspec.structs.replace(
            found, sentence=difference_sentence(found, advice=self.advice(missing.source, missing.target))
        )

    def advice(self, source: int, target: int) -> str:
        """Return what to do about a pair that the graph lacks."""
        after = f"--after {self._analysis.cell(source).name}"
        if self._analysis.cell(target).options is not None:
            return f"add {after}"
        return f"begin cell {target} with %%task NAME {after}"

    def unstable(self, reference: Reference) -> tuple[Unstable, ...]:
        """Tell of cells that are not the same each time."""
        found = []
        names: dict[int, frozenset[str]] = {}
        for cell in self._view.cells:
            facets = reference.unstable.get(cell, frozenset())
            if not facets or cell in reference.failed:
                continue
            names[cell] = facets
            roots = sorted(set(names) & self._view.ancestors[cell])
            found.append(
                Unstable(
                    cell=self.ref(cell),
                    names=tuple(sorted(facet[5:] for facet in facets if facet.startswith("name:"))),
                    has_other_output=any(not facet.startswith("name:") for facet in facets),
                    because_of=tuple(roots),
                )
            )
        return tuple(found)

    def not_compared(self, reference: Reference, judged: Collection[int]) -> Iterator[NotCompared]:
        """Tell of cells of which nothing was compared."""
        for cell in self._view.cells:
            if cell in reference.failed:
                why = "failed"
            elif cell not in judged:
                why = "a cell that it needs failed"
            elif not reference.seen[cell].facets:
                why = "gives nothing that could differ"
            elif not reference.can_tell(cell):
                why = "not deterministic"
            else:
                continue
            yield NotCompared(cell=self.ref(cell), why=why)

    def lost(self, reference: Reference) -> Iterator[LostInPassing]:
        """Tell of values that tasks in processes of their own would get changed, each name once."""
        told: set[tuple[str, tuple[str, ...]]] = set()
        for cell in self._view.cells:
            for name, attributes in reference.seen[cell].lost.items():
                if (name, attributes) not in told:
                    told.add((name, attributes))
                    yield LostInPassing(cell=self.ref(cell), name=name, attributes=attributes)

    def can_be_unused(self, pair: tuple[int, int]) -> bool:
        """Whether comparing would have shown that an edge matters.

        Not of what both cells change: of axes, clients and the like only the class and the text are compared.
        """
        shared = set(self._analysis.shared)
        changed = {*self._analysis.cell(pair[0]).mutates, *self._analysis.cell(pair[1]).mutates}
        names = {
            name
            for edge in self._analysis.dependencies
            if (edge.source_index, edge.target_index) == pair
            for name in edge.names
        }
        return names.isdisjoint(shared | changed) and not any(name.startswith("mpl:") for name in names)

    def unused(self, pair: tuple[int, int]) -> UnusedEdge:
        """Tell of an edge that made no difference."""
        edges = [
            edge for edge in self._analysis.dependencies if (edge.source_index, edge.target_index) == pair
        ]
        return UnusedEdge(
            source=self.ref(pair[0]),
            target=self.ref(pair[1]),
            names=tuple(sorted({name for edge in edges for name in edge.names})),
            kind="declared" if any(edge.kind == "declared" for edge in edges) else edges[0].kind,
        )

    def notes(self, reference: Reference, left_out: int, candidates: int) -> Iterator[str]:
        """Yield what else one should know."""
        if left_out < candidates:
            yield (
                f"Only {left_out} of {candidates} cells were left out in turn: the others would take longer "
                "than the budget (--budget)"
            )
        for cell in self._view.cells:
            places = [Path(item[4:]) for item in reference.seen[cell].outside]
            temporary = Path(tempfile.gettempdir()).resolve()
            lasting = sorted({str(path) for path in places if not path.is_relative_to(temporary)})
            if lasting:
                yield (
                    f"{str(self.ref(cell)).capitalize()} writes {lasting[0]}, outside of the notebook's "
                    "directory: what other cells read of it cannot be put back between runs"
                )


def difference(change: Change, cell: CellRef, **others: Any) -> Difference:
    """Make a record of a change; *others* are fields of the record."""
    return Difference(
        cell=cell,
        names=change.names,
        has_other_output=change.has_other_output,
        raised=change.raised,
        **others,
    )
