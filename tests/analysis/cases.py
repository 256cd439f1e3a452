"""Short cell sequences to graphs: what the tests of analysis share."""

from __future__ import annotations

from collections.abc import Sequence

from jupyter_flows.analysis import Analysis, CellSource, analyse
from jupyter_flows.notebook.transform import plain_python


def sources(cells: Sequence[str]) -> list[CellSource]:
    """The cells as the notebook reader hands them to analysis."""
    found = []
    for index, source in enumerate(cells, 1):
        plain = plain_python(source)
        found.append(
            CellSource(
                id=f"c{index}", index=index, source=plain.source, magic=plain.magic, marker=plain.marker
            )
        )
    return found


def graph(*cells: str) -> Analysis:
    return analyse(sources(cells))


def pairs(analysis: Analysis) -> set[tuple[int, int]]:
    return {(edge.source_index, edge.target_index) for edge in analysis.dependencies}


def named(analysis: Analysis) -> dict[tuple[int, int], set[str]]:
    """Names of each pair; a hidden channel counts only where no data edge says the same."""
    found: dict[tuple[int, int], set[str]] = {}
    by_data = {(edge.source_index, edge.target_index) for edge in analysis.edges if edge.kind == "data"}
    for edge in analysis.dependencies:
        pair = (edge.source_index, edge.target_index)
        if edge.kind == "data" or pair not in by_data:
            found.setdefault(pair, set()).update(edge.names)
    return found


def closure(direct: set[tuple[int, int]]) -> set[tuple[int, int]]:
    found = set(direct)
    while True:
        more = {(a, d) for a, b in found for c, d in found if b == c} - found
        if not more:
            return found
        found |= more
