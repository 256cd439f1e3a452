"""Which sequences of cells prove a graph. Pure: cells and edges in, sequences out; nothing is run.

Three kinds: the cells that a task needs by the graph and then the task (in an order that the graph allows),
all cells but one, and, once something was found, the cells that show whose fault it is.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from jupyter_flows.analysis import Analysis

Order = tuple[int, ...]
"""Cells in the order in which they run, by their numbers."""


class GraphView(msgspec.Struct, frozen=True, kw_only=True):
    """A notebook's graph, as far as proving needs it.

    Cells are known by their numbers, which count code cells from 1.
    """

    cells: tuple[int, ...]
    """Those that run, in document order."""
    ancestors: Mapping[int, frozenset[int]]
    """All cells that each cell needs, directly or not."""
    before: Mapping[int, frozenset[int]]
    """Cells that each cell must not overtake where all share one namespace."""
    replayed: frozenset[int]
    """Setup cells that need nothing but other setup cells: every task gets what they make."""

    def needed(self, cell: int) -> frozenset[int]:
        """Return what is run before *cell* when it is run by the graph, itself included."""
        return self.ancestors[cell] | {cell} | {setup for setup in self.replayed if setup < cell}

    def is_needed(self, source: int, target: int) -> bool:
        """Whether the graph knows that *target* needs *source*."""
        return source in self.ancestors[target] or source in self.replayed


def view_of(
    analysis: Analysis, cells: Iterable[int], *, setup: Iterable[int], also: Iterable[tuple[int, int]] = ()
) -> GraphView:
    """Read the graph of *analysis*.

    Parameters
    ----------
    cells : numbers of the cells that run.
    setup : numbers of the setup cells.
    also : further edges, as (source, target).
    """
    numbers = tuple(sorted(cells))
    there = set(numbers)
    parents: dict[int, set[int]] = {number: set() for number in numbers}
    before: dict[int, set[int]] = {number: set() for number in numbers}
    for edge in analysis.edges:
        if edge.source_index in there and edge.target_index in there:
            if edge.kind != "order":
                parents[edge.target_index].add(edge.source_index)
            before[edge.target_index].add(edge.source_index)
    for source, target in also:
        parents[target].add(source)
        before[target].add(source)
    writers: dict[str, list[int]] = {}
    for number in numbers:
        info = analysis.cell(number)
        for name in {*info.writes, *info.deletes}:
            # Two tasks may use one scratch name; in the one namespace here the later one has the last word.
            before[number].update(writers.get(name, ()))
            writers.setdefault(name, []).append(number)
    ancestors: dict[int, frozenset[int]] = {}
    for number in numbers:
        above = parents[number]
        ancestors[number] = frozenset(above.union(*(ancestors[up] for up in above if up in ancestors)))
    settings = set(setup) & there
    return GraphView(
        cells=numbers,
        ancestors=ancestors,
        before={number: frozenset(found) for number, found in before.items()},
        replayed=frozenset(cell for cell in settings if ancestors[cell] <= settings),
    )


def legal_order(view: GraphView, chance: random.Random | None) -> Order:
    """Return all cells in an order that the graph allows; without *chance* that of the document.

    Setup cells come as early as they may.
    """
    if chance is None:
        return view.cells
    waiting = {cell: set(view.before[cell] & set(view.cells)) for cell in view.cells}
    order: list[int] = []
    while waiting:
        ready = [cell for cell, needs in waiting.items() if not needs]
        setup = [cell for cell in ready if cell in view.replayed]
        # A circle is refused when a flow is built; here it must not be an endless loop.
        chosen = setup[0] if setup else chance.choice(ready) if ready else min(waiting)
        order.append(chosen)
        del waiting[chosen]
        for needs in waiting.values():
            needs.discard(chosen)
    return tuple(order)


def isolated(view: GraphView, cell: int, order: Order) -> Order:
    """Return the cells that the graph says *cell* needs, in *order*, and then *cell*."""
    needed = view.needed(cell)
    return (*(other for other in order if other in needed and other != cell), cell)


def without(view: GraphView, cell: int) -> Order:
    """Return all cells but one, in document order."""
    return tuple(other for other in view.cells if other != cell)


def affordable(
    view: GraphView, candidates: Iterable[int], seconds: Mapping[int, float], *, budget_s: float
) -> list[int]:
    """Return which cells can be left out in turn within *budget_s*, the cheapest first."""
    costs = []
    for cell in candidates:
        later = [other for other in view.cells if other > cell]
        if later:
            costs.append((sum(seconds.get(other, 0.0) + 0.01 for other in later), cell))
    chosen: list[int] = []
    for cost, cell in sorted(costs):
        budget_s -= cost
        if budget_s < 0:
            break
        chosen.append(cell)
    return sorted(chosen)


class Forest:
    """Sequences laid over one another: what they begin with alike is run once.

    Examples
    --------
    >>> forest = Forest([(1, 2, 3), (1, 3)])
    >>> forest.key((1, 2, 3), 0) == forest.key((1, 3), 0)
    True
    >>> forest.count
    4
    """

    def __init__(self, paths: Iterable[Order], *, shared: bool = True) -> None:
        self._nodes: list[dict[str, Any]] = []
        self._roots: list[int] = []
        self._keys: dict[Order, list[int]] = {}
        for path in paths:
            if path and path not in self._keys:
                self._add(path, shared=shared)

    @property
    def count(self) -> int:
        """How many cells are run in all."""
        return len(self._nodes)

    def _add(self, path: Order, *, shared: bool) -> None:
        following = self._roots
        keys = []
        for cell in path:
            found = (key for key in following if self._nodes[key]["cell"] == cell) if shared else iter(())
            key = next(found, None)
            if key is None:
                key = len(self._nodes)
                self._nodes.append({"key": key, "cell": cell, "then": []})
                following.append(key)
            keys.append(key)
            following = self._nodes[key]["then"]
        self._keys[path] = keys

    def key(self, path: Order, at: int) -> int:
        """Return the key of the observation of the cell at place *at* of *path*."""
        return self._keys[path][at]

    def request(self, seconds: Mapping[int, float], *, slack: float = 10.0) -> dict[str, Any]:
        """Return the forest for the kernel, each node with the time that all from it on may take.

        Parameters
        ----------
        seconds : what each cell took.
        slack : how often that may pass.
        """
        spent = [0.0] * len(self._nodes)
        # Children have higher keys than their parents.
        for node in reversed(self._nodes):
            # The longest way last: the process goes on into that one, and forks for the others.
            node["then"].sort(key=lambda key: spent[key])
            spent[node["key"]] = seconds.get(node["cell"], 0.0) + 0.02 + sum(spent[k] for k in node["then"])
            node["limit_s"] = slack * (spent[node["key"]] + 2)
        return {"nodes": self._nodes, "roots": self._roots}


def last_of(paths: Sequence[Order]) -> dict[int, list[Order]]:
    """Return the sequences by the cell that they end with."""
    found: dict[int, list[Order]] = {}
    for path in paths:
        found.setdefault(path[-1], []).append(path)
    return found
