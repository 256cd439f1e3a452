"""What each cell of a notebook needs of the others when it has a process to itself. Pure.

A graph says which cell waits for which, and why. This reads from it what has to be carried: values by name,
the state of the process by channel, and which cells cannot do without one another's memory.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

import msgspec

from jupyter_flows.core.edge import Edge
from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.notebook.cell_task import CellTask

_BY_VALUE = ("rng:random", "rng:numpy", "rng:torch", "cwd", "env:")
_OF_THE_WORLD = ("file:", "pip", "store:")
_DRAWS = re.compile(r"\b(plt|pyplot|sns|seaborn|matplotlib)\b|\.(plot|hist|boxplot)\b")
_KEPT = (*_BY_VALUE, "sys.path", "warnings", "mpl:style", "option:pandas", "option:numpy")


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What one cell takes and gives.

    Slugs of tasks stand in the order of the notebook.
    """

    slug: str
    index: int
    names: Mapping[str, tuple[str, ...]]
    """The variables that it reads, and the tasks that may have given them; the last one that did counts."""
    channels: Mapping[str, tuple[str, ...]]
    """The same for the state of the process."""
    gives: tuple[str, ...]
    """The variables that others read."""
    state: tuple[str, ...]
    """The channels that others read."""
    changes: frozenset[str]
    """The channels that it changes, also where that is only known from who must not be overtaken."""
    writes: frozenset[str]
    defines: frozenset[str]
    shared: frozenset[str]
    """Names of objects that go under several names."""
    is_pinned: bool
    """It runs in the first kernel, in the order of the notebook: its objects cannot be passed as copies."""
    is_replayed: bool
    """A setup cell that needs none but others: every kernel runs it for itself."""


def needs_of(graph: FlowGraph) -> dict[str, Needs]:
    """Return what each cell of *graph* needs, by slug.

    Examples
    --------
    >>> from jupyter_flows.notebook.build import build_flow
    >>> from jupyter_flows.notebook.read import CodeCell, NotebookCells
    >>> sources = ["import math", "r = 2.0", "area = math.pi * r"]
    >>> cells = [CodeCell(id=str(i), index=i, position=i - 1, source=s) for i, s in enumerate(sources, 1)]
    >>> needs = needs_of(build_flow(NotebookCells(path="n.ipynb", cells=tuple(cells)), all_cells=True))
    >>> needs["area"].names
    {'math': ('cell-1',), 'r': ('cell-2',)}
    >>> needs["cell-1"].is_replayed
    True
    """
    tasks = [task for task in graph.slugs if isinstance(task, CellTask)]
    replayed = _replayed(graph, tasks)
    pinned = {graph.slugs[task] for task in tasks if task.shared is not None}
    for edge in graph.edges:
        if edge.kind == "channel" and graph.slugs[edge.upstream_task] not in replayed:
            for name in edge.names:
                if not name.startswith((*_BY_VALUE, *_OF_THE_WORLD)) or name == "env:*":
                    pinned |= {graph.slugs[edge.upstream_task], graph.slugs[edge.downstream_task]}
    return {
        graph.slugs[task]: Needs(
            slug=graph.slugs[task],
            index=task.index,
            names=_providers(graph, task, "data"),
            channels={
                name: found
                for name, found in _providers(graph, task, "channel").items()
                if name.startswith(_KEPT)
            },
            gives=_names(edge for edge in graph.edges_from(task) if edge.kind == "data"),
            state=_channels(edge for edge in graph.edges_from(task) if edge.kind == "channel"),
            changes=frozenset(
                _channels(
                    [
                        *(edge for edge in graph.edges_from(task) if edge.kind == "channel"),
                        *(edge for edge in graph.edges_to(task) if edge.kind == "order"),
                    ]
                )
            ),
            writes=task.writes,
            defines=task.defines,
            shared=task.shared or frozenset(),
            is_pinned=graph.slugs[task] in pinned,
            is_replayed=graph.slugs[task] in replayed,
        )
        for task in tasks
    }


def slugs_above(needs: Mapping[str, Needs], need: Needs) -> list[str]:
    """Return the tasks that stand above one in the notebook, the nearest first."""
    above = (other for other in needs.values() if other.index < need.index)
    return [other.slug for other in sorted(above, key=lambda one: -one.index)]


def apart(graph: FlowGraph, needs: Mapping[str, Needs]) -> FlowGraph:
    """Return the graph of the same cells where each has memory of its own.

    Whoever must not be overtaken in one memory may be here, but for what lies outside of all processes (a
    file that one cell reads and a later one writes), and but for the cells of the first kernel.
    """
    edges = [edge for edge in graph.edges if edge.kind != "order" or any(map(is_of_the_world, edge.names))]
    before = None
    for task, slug in graph.slugs.items():
        if slug in needs and needs[slug].is_pinned:
            if before is not None:
                edges.append(Edge(before, task, kind="order", reason="both need the memory of one kernel"))
            before = task
    return _with_edges(graph, edges)


def sharing(graph: FlowGraph) -> FlowGraph:
    """Return the graph of the same cells where several run at once in one memory.

    Two cells that bind one name, be it a scratch name, must not do so at the same time.
    """
    edges = graph.edges
    writers: dict[str, CellTask] = {}
    drawing: CellTask | None = None
    for task in graph.slugs:
        if not isinstance(task, CellTask):
            continue
        for name in sorted(task.writes):
            earlier = writers.get(name)
            if earlier is not None:
                edges.append(Edge(earlier, task, kind="order", names=(name,), reason=f"both bind `{name}`"))
            writers[name] = task
        if _DRAWS.search(task.source):
            if drawing is not None:
                reason = "both draw, and pyplot has one current figure"
                edges.append(Edge(drawing, task, kind="order", names=("mpl:figure",), reason=reason))
            drawing = task
    return _with_edges(graph, edges)


def past_what_stands(graph: FlowGraph, stands: Collection[str]) -> FlowGraph:
    """Return the graph where tasks that run wait for one another also across tasks that do not run again.

    Who must not be overtaken by a task must not be overtaken by those who read what that task left, either;
    a task that stands is no one to wait for.
    """
    standing = {task for task, slug in graph.slugs.items() if slug in stands}
    edges = graph.edges
    for task in graph.tasks:
        if task in standing:
            continue
        reached, work = set(), [edge for edge in graph.edges_from(task) if edge.downstream_task in standing]
        while work:
            edge = work.pop()
            for after in graph.edges_from(edge.downstream_task):
                if after.downstream_task in reached:
                    continue
                reached.add(after.downstream_task)
                if after.downstream_task in standing:
                    work.append(after)
                else:
                    reason = "what it needs was left by one that must not overtake"
                    edges.append(Edge(task, after.downstream_task, kind="order", reason=reason))
    return _with_edges(graph, edges)


def without(graph: FlowGraph, slugs: Collection[str]) -> FlowGraph:
    """Return the graph without some of its tasks; those that none of the others needs decide its end."""
    tasks = [task for task, slug in graph.slugs.items() if slug not in slugs]
    there = set(tasks)
    edges = [edge for edge in graph.edges if edge.upstream_task in there and edge.downstream_task in there]
    made = FlowGraph(graph.name, tasks=tasks, edges=edges, on_lost=graph.on_lost)
    made.parameter_specs = graph.parameter_specs
    return made


def _with_edges(graph: FlowGraph, edges: Iterable[Edge]) -> FlowGraph:
    made = FlowGraph(graph.name, tasks=graph.tasks, edges=edges, on_lost=graph.on_lost)
    made.parameter_specs = graph.parameter_specs
    made.set_reference_tasks(graph.reference_tasks())
    return made


def _replayed(graph: FlowGraph, tasks: Iterable[CellTask]) -> set[str]:
    found: set[str] = set()
    for task in tasks:
        above = {graph.slugs[edge.upstream_task] for edge in graph.edges_to(task) if edge.kind != "order"}
        if task.role == "setup" and above <= found and task.when is None and task.wrapping is None:
            found.add(graph.slugs[task])
    return found


def _providers(graph: FlowGraph, task: CellTask, kind: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[CellTask]] = {}
    for edge in graph.edges_to(task):
        if edge.kind == kind and isinstance(edge.upstream_task, CellTask):
            for name in edge.names:
                found.setdefault(name, []).append(edge.upstream_task)
    return {
        name: tuple(graph.slugs[one] for one in sorted(tasks, key=lambda each: each.index))
        for name, tasks in sorted(found.items())
    }


def _names(edges: Iterable[Edge]) -> tuple[str, ...]:
    return tuple(sorted({name for edge in edges for name in edge.names}))


def _channels(edges: Iterable[Edge]) -> tuple[str, ...]:
    return tuple(name for name in _names(edges) if name.startswith(_KEPT))


def is_of_the_world(channel: str) -> bool:
    """Whether a channel lies outside of all processes, as a file does."""
    return channel.startswith(_OF_THE_WORLD)


def is_kept(channel: str) -> bool:
    """Whether the state of a channel can be written down and brought back."""
    return channel.startswith(_KEPT)
