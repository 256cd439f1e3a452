"""The flow that a notebook already is: its tasks, what can run at once, what comes last. Runs nothing.

The graph is the one that ``register --all-cells`` or ``register --by-heading`` would register, with the same
names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from jupyter_flows.analysis import CellEdge, analyse, validate
from jupyter_flows.notebook.flow_line import has_only_flow_lines
from jupyter_flows.notebook.headings import group_by_heading
from jupyter_flows.notebook.read import NotebookCells


class InferredTask(msgspec.Struct, frozen=True, kw_only=True):
    """A node of the graph."""

    index: int
    """Its number among the nodes, which edges use; without grouping that of its code cell."""
    name: str
    role: str
    cells: tuple[int, ...]
    """Numbers of its code cells, from 1."""
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    is_barrier: bool = False
    """It waits for everything above it, and everything below waits for it."""


class InferredEdge(msgspec.Struct, frozen=True, kw_only=True):
    """One node needs another."""

    source: int
    target: int
    names: tuple[str, ...]
    kind: str
    reason: str


class Inferred(msgspec.Struct, frozen=True, kw_only=True):
    """A notebook as a flow."""

    path: str
    by_heading: bool
    tasks: tuple[InferredTask, ...]
    edges: tuple[InferredEdge, ...]
    levels: tuple[tuple[int, ...], ...]
    """Tasks that could run at once, level by level; setup and parameters come before all."""
    is_declared: bool
    """Every task says ``%%task`` itself, so that nothing is inferred."""
    critical_path: tuple[int, ...]
    """The longest chain of nodes, each of which needs the one before."""
    order: tuple[InferredEdge, ...] = ()
    """Nodes that must not overtake another one where tasks share memory (``--parallel threads``)."""
    shared_levels: tuple[tuple[int, ...], ...] = ()
    """Levels where they do."""
    shared_critical_path: tuple[int, ...] = ()

    @property
    def widest(self) -> tuple[int, ...]:
        """The level with the most nodes, the first of them."""
        return max(self.levels, key=len, default=())

    @property
    def barriers(self) -> tuple[InferredTask, ...]:
        """Nodes that keep everything else waiting, with the reason in their warnings."""
        return tuple(task for task in self.tasks if task.is_barrier)

    def task(self, index: int) -> InferredTask:
        """Return the node of that number."""
        return next(task for task in self.tasks if task.index == index)


def infer(notebook: NotebookCells, *, by_heading: bool = False) -> Inferred:
    """Find the graph of a notebook in which every plain cell, or every heading, is a task.

    Raises
    ------
    InvalidOption, DuplicateTaskName, FlowCycle, InvalidFlow : its ``%%task`` lines make no flow.
    InvalidNotebook : it is written in another language.

    Examples
    --------
    >>> from jupyter_flows.notebook.read import CodeCell
    >>> sources = ["a = len('')", "b = a + 1", "c = a + 2", "print(b, c)"]
    >>> cells = [CodeCell(id=s, index=n, position=n, source=s) for n, s in enumerate(sources, 1)]
    >>> found = infer(NotebookCells(path="a.ipynb", cells=tuple(cells)))
    >>> found.levels, found.critical_path
    (((1,), (2, 3), (4,)), (1, 2, 4))
    """
    notebook.require_python()
    grouped = group_by_heading(notebook) if by_heading else notebook
    analysis = analyse(grouped.plain(), plain_as_tasks=True)
    validate(analysis)
    tasks = []
    for cell, info in zip(grouped.cells, analysis.cells, strict=True):
        if info.role == "skip" or not cell.source.strip() or has_only_flow_lines(cell.source):
            continue
        tasks.append(
            InferredTask(
                index=info.index,
                name=info.name,
                role=info.role,
                cells=tuple(member.index for member in cell.members or (cell,)),
                reads=info.reads,
                writes=info.writes,
                warnings=info.warnings,
                is_barrier=info.is_opaque,
            )
        )
    there = {task.index for task in tasks}
    edges = [
        edge for edge in analysis.dependencies if edge.source_index in there and edge.target_index in there
    ]
    counted = [task.index for task in tasks if task.role == "task"]
    order = [
        edge for edge in analysis.order_edges if edge.source_index in there and edge.target_index in there
    ]
    levels, chain = _levels(counted, edges)
    shared_levels, shared_chain = _levels(counted, [*edges, *order])
    return Inferred(
        path=notebook.path,
        by_heading=by_heading,
        tasks=tuple(tasks),
        edges=tuple(map(_inferred, edges)),
        levels=levels,
        is_declared=not any(
            len(cell.members) > 1 or (info.role == "task" and info.options is None)
            for cell, info in zip(grouped.cells, analysis.cells, strict=True)
            if not has_only_flow_lines(cell.source)
        ),
        critical_path=chain,
        order=tuple(map(_inferred, order)),
        shared_levels=shared_levels,
        shared_critical_path=shared_chain,
    )


def _inferred(edge: CellEdge) -> InferredEdge:
    return InferredEdge(
        source=edge.source_index,
        target=edge.target_index,
        names=edge.names,
        kind=edge.kind,
        reason=edge.reason,
    )


def _levels(
    nodes: Iterable[int], edges: Iterable[CellEdge]
) -> tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]:
    """Return the nodes level by level, and the longest chain."""
    depths, chain = _depths(nodes, edges)
    levels: dict[int, list[int]] = {}
    for index, depth in depths.items():
        levels.setdefault(depth, []).append(index)
    return tuple(tuple(levels[depth]) for depth in sorted(levels)), chain


def _depths(nodes: Iterable[int], edges: Iterable[CellEdge]) -> tuple[Mapping[int, int], tuple[int, ...]]:
    """Return how deep each node lies, and the longest chain; edges go from lower numbers to higher ones."""
    above: dict[int, list[int]] = {node: [] for node in nodes}
    for edge in edges:
        if edge.source_index in above and edge.target_index in above:
            above[edge.target_index].append(edge.source_index)
    depths: dict[int, int] = {}
    nearest: dict[int, int] = {}
    for node in sorted(above):
        deepest = min(above[node], key=lambda source: (-depths[source], source), default=None)
        depths[node] = 0 if deepest is None else depths[deepest] + 1
        if deepest is not None:
            nearest[node] = deepest
    chain: list[int] = []
    node = min(depths, key=lambda node: (-depths[node], node), default=0)
    while node:
        chain.append(node)
        node = nearest.get(node, 0)
    return depths, tuple(reversed(chain))
