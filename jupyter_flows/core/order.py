"""In which order tasks can run one by one, in time that grows with the graph. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from jupyter_flows.core.edge import Edge
from jupyter_flows.core.task import Task
from jupyter_flows.errors import FlowCycle


def in_order(name: str, tasks: Sequence[Task], edges: Sequence[Edge]) -> list[Task]:
    """Return *tasks* so that each comes after those it waits for, else as they stand.

    Parameters
    ----------
    name : str
        Of the flow.
    tasks : sequence of Task
    edges : sequence of Edge
        Between these tasks.

    Raises
    ------
    FlowCycle : the edges go round in a circle; its tasks are named.
    """
    place = {task: index for index, task in enumerate(tasks)}
    ends = [(place[edge.upstream_task], place[edge.downstream_task]) for edge in edges]
    if all(up < down for up, down in ends):
        return list(tasks)  # tasks that are called in a "with" block always stand like this
    open_edges = [0] * len(tasks)
    downs: list[list[int]] = [[] for _ in tasks]
    for up, down in ends:
        open_edges[down] += 1
        downs[up].append(down)
    ready = [index for index, count in enumerate(open_edges) if count == 0]
    heapq.heapify(ready)
    order = []
    while ready:
        index = heapq.heappop(ready)
        order.append(tasks[index])
        for down in downs[index]:
            open_edges[down] -= 1
            if open_edges[down] == 0:
                heapq.heappush(ready, down)
    if len(order) < len(tasks):
        waits_for = {down: up for up, down in ends if open_edges[down] and open_edges[up]}
        circle = _circle(waits_for)
        names = " -> ".join(tasks[index].name for index in [*circle, circle[0]])
        msg = f"flow {name!r} has a cycle: {names}; remove one of these dependencies"
        raise FlowCycle(msg)
    return order


def _circle(waits_for: dict[int, int]) -> list[int]:
    """Return places that wait for each other in turn, found by going up from one that is never free."""
    index = min(waits_for)
    seen: dict[int, int] = {}
    path: list[int] = []
    while index not in seen:
        seen[index] = len(path)
        path.append(index)
        index = waits_for[index]
    return path[seen[index] :][::-1]
