"""Why one cell waits for another, in words: the reasons of their edge, or of the way between them."""

from __future__ import annotations

import difflib
import itertools
from collections import deque
from collections.abc import Iterable, Iterator

from jupyter_flows.analysis import Analysis, CellEdge, CellInfo, analyse
from jupyter_flows.errors import InvalidOption
from jupyter_flows.notebook.read import NotebookCells


def reasons(
    analysis: Analysis, first: str, second: str, *, notebook: NotebookCells | None = None
) -> list[str]:
    """Return lines that say why cell *second* needs cell *first*, must not overtake it, or neither.

    Parameters
    ----------
    analysis : Analysis
    first, second : str
        Names of tasks, or numbers of cells.
    notebook : NotebookCells, optional
        What *analysis* is of: then cells go by the names, too, that they have where each is a task.

    Raises
    ------
    InvalidOption : no cell is called so; with the nearest name.

    Examples
    --------
    >>> from jupyter_flows.analysis import CellSource, analyse
    >>> sources = ["xs = [3, 1]", "xs.sort()", "print(xs)"]
    >>> cells = [CellSource(id=str(i), index=i, source=s) for i, s in enumerate(sources, 1)]
    >>> for line in reasons(analyse(cells), "2", "3"):
    ...     print(line)
    cell-2 → cell-3
      data: cell 3 reads `xs`, changed in cell 2, line 1: .sort()
    """
    ends = (_cell(analysis, wanted, notebook) for wanted in (first, second))
    upper, lower = sorted(ends, key=lambda cell: cell.index)
    if upper is lower:
        return [f"{upper.name} is one cell; name another one"]
    denied = [edge for edge in analysis.denied if _ends(edge) == (upper.index, lower.index)]
    lines = [f"  denied by --not-after: {edge.reason}" for edge in denied]
    direct = [edge for edge in analysis.edges if _ends(edge) == (upper.index, lower.index)]
    if direct:
        needs = any(edge.kind != "order" for edge in direct)
        head = f"{upper.name} → {lower.name}" if needs else f"{lower.name} must not overtake {upper.name}"
        return [head, *_said(direct), *lines]
    way = _way(analysis.dependencies, upper.index, lower.index)
    if way is None:
        kept = _way(analysis.edges, upper.index, lower.index)
        if kept is not None:
            names = " → ".join(analysis.cell(index).name for index in kept)
            head = f"{lower.name} must not overtake {upper.name}, for what stands between them: {names}"
            return [head, *lines, *_along(analysis, kept)]
        apart = (
            f"{lower.name} needs nothing of {upper.name}, directly or through others: either may run first"
        )
        return [apart, *lines]
    names = " → ".join(analysis.cell(index).name for index in way)
    return [f"{lower.name} needs {upper.name} through others: {names}", *lines, *_along(analysis, way)]


def _along(analysis: Analysis, way: list[int]) -> Iterator[str]:
    for source, target in itertools.pairwise(way):
        yield f"{analysis.cell(source).name} → {analysis.cell(target).name}"
        yield from _said([edge for edge in analysis.edges if _ends(edge) == (source, target)])


def _said(edges: list[CellEdge]) -> Iterator[str]:
    for edge in edges:
        note = " (only where cells share memory)" if edge.kind == "order" else ""
        yield f"  {edge.kind}: {reason_of(edge)}{note}"


def reason_of(edge: CellEdge) -> str:
    """Return an edge's reason, and whether a run showed the same."""
    return f"{edge.reason} (a run confirms it)" if edge.seen == "both" else edge.reason


def _ends(edge: CellEdge) -> tuple[int, int]:
    return edge.source_index, edge.target_index


def _cell(analysis: Analysis, wanted: str, notebook: NotebookCells | None) -> CellInfo:
    for cell in analysis.cells:
        if wanted in {cell.name, str(cell.index)}:
            return cell
    names = [cell.name for cell in analysis.cells]
    if notebook is not None and notebook.is_python:
        # As `infer` shows them, and `register --all-cells` calls them.
        inferred = [cell.name for cell in analyse(notebook.plain(), plain_as_tasks=True).cells]
        if wanted in inferred:
            return analysis.cell(inferred.index(wanted) + 1)
        names += [name for name in inferred if name not in names]
    near = difflib.get_close_matches(wanted, names, n=1)
    hint = (
        f"did you mean {near[0]}?"
        if near
        else f"name a task, or the number of a cell (1 to {len(analysis.cells)})"
    )
    raise InvalidOption(f"no cell is called {wanted!r}; {hint}")


def _way(edges: Iterable[CellEdge], start: int, end: int) -> list[int] | None:
    """Return the cells of a shortest way along *edges*."""
    following: dict[int, list[int]] = {}
    for edge in edges:
        following.setdefault(edge.source_index, []).append(edge.target_index)
    ways = deque([[start]])
    seen = {start}
    while ways:
        way = ways.popleft()
        if way[-1] == end:
            return way
        for step in following.get(way[-1], ()):
            if step not in seen:
                seen.add(step)
                ways.append([*way, step])
    return None
