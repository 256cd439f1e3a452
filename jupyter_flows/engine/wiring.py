"""What a run needs to know of a graph: who waits for whom, by place. Pure, and the same in every run.

A place is a task's index in the order in which tasks run one by one.
"""

from __future__ import annotations

import msgspec

from jupyter_flows.core.edge import Edge
from jupyter_flows.core.graph import FlowGraph


class Into(msgspec.Struct, frozen=True, eq=False):
    """An edge into a task, as its run needs it.

    Parameters
    ----------
    edge : Edge
    up : int
        Place of the upstream.
    in_step : bool
        Both ends are mapped and child waits for child.
    judged : bool
        What the upstream ended in matters; if not, it is only waited for.
    """

    edge: Edge
    up: int
    in_step: bool = False
    judged: bool = True


class Wiring:
    """The edges of a graph by the places of their ends.

    Parameters
    ----------
    graph : FlowGraph

    Attributes
    ----------
    tasks : list of Task
        By place.
    into : list of list of Into
        By the place of the downstream.
    down : list of list of int
        Who waits for the end of a task, by its place.
    in_step : dict
        Mapped tasks whose children wait for the children of a mapped task, by its place; they themselves
        wait only until it is known how many those are. That is what makes maps go depth first.
    chains : dict
        The place of the first mapped task of the chain that a mapped task belongs to, by its place.

    Raises
    ------
    FlowCycle : the graph has one.
    """

    def __init__(self, graph: FlowGraph) -> None:
        self.tasks = graph.sorted_tasks()
        place = {task: index for index, task in enumerate(self.tasks)}
        self.into: list[list[Into]] = [[] for _ in self.tasks]
        self.down: list[list[int]] = [[] for _ in self.tasks]
        self.in_step: dict[int, list[int]] = {}
        self.chains: dict[int, int] = {}
        mapped = {place[edge.downstream_task] for edge in graph.edges if edge.mapped}
        for edge in graph.edges:
            up, down = place[edge.upstream_task], place[edge.downstream_task]
            in_step = edge.mapped and not edge.flattened and up in mapped
            self.into[down].append(Into(edge, up, in_step, edge.kind != "order"))
            if in_step:
                self.in_step.setdefault(up, []).append(down)
            else:
                self.down[up].append(down)
        for one in sorted(mapped):
            chain = [self.chains[into.up] for into in self.into[one] if into.in_step]
            self.chains[one] = min(chain, default=one)
