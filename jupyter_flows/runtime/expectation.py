"""How long a notebook will take, from how long its cells took the last time. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.core.task import Task
from jupyter_flows.runtime.passing import apart, needs_of

WORTH_SAYING_S = 2.0


def expectation(graph: FlowGraph, seconds: Mapping[str, float], kernels: int, parallel: str = "off") -> str:
    """Return a sentence on what running cells at once brings; empty if that is not known or not worth it.

    Parameters
    ----------
    graph : FlowGraph
    seconds : mapping
        How long each task took, by its name.
    kernels : int
        Most cells at once.
    parallel : {"off", "threads", "processes"}
        How they will run.
    """
    total = sum(seconds.values())
    if total < WORTH_SAYING_S:
        return ""
    graph = apart(graph, needs_of(graph))
    chain = longest_chain_s(graph, seconds)
    together = scheduled_s(graph, seconds, kernels)
    said = f"last time its cells took {_told(total)}, the longest chain of them {_told(chain)}"
    if parallel != "off":
        return f"{said}: expect about {_told(together)} with {kernels} kernels instead of {_told(total)}"
    if together < 0.8 * total:
        return f"{said}: --parallel processes would take about {_told(together)}"
    return ""


def longest_chain_s(graph: FlowGraph, seconds: Mapping[str, float]) -> float:
    """Return the length of the longest chain of tasks that wait for one another."""
    ends: dict[Task, float] = {}
    for task in graph.sorted_tasks():
        above = [ends[edge.upstream_task] for edge in graph.edges_to(task)]
        ends[task] = max(above, default=0.0) + seconds.get(task.name, 0.0)
    return max(ends.values(), default=0.0)


def scheduled_s(graph: FlowGraph, seconds: Mapping[str, float], kernels: int) -> float:
    """Return how long the tasks take, so many at once, each as soon as there is room.

    Examples
    --------
    >>> from jupyter_flows import Flow, task
    >>> with Flow("three") as flow:
    ...     made = [task(lambda: 1, name=name)() for name in "abc"]
    >>> scheduled_s(flow, {"a": 2.0, "b": 2.0, "c": 1.0}, 2)
    3.0
    """
    order = graph.sorted_tasks()
    open_edges = {task: len(graph.edges_to(task)) for task in order}
    ready = [place for place, task in enumerate(order) if open_edges[task] == 0]
    heapq.heapify(ready)
    places = {task: place for place, task in enumerate(order)}
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < max(1, kernels):
            place = heapq.heappop(ready)
            heapq.heappush(running, (now + seconds.get(order[place].name, 0.0), place))
        now, place = heapq.heappop(running)
        for edge in graph.edges_from(order[place]):
            open_edges[edge.downstream_task] -= 1
            if open_edges[edge.downstream_task] == 0:
                heapq.heappush(ready, places[edge.downstream_task])
    return now


def _told(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds >= 90 else f"{seconds:.1f} s"
