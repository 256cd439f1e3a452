"""A graph with its states as data for a front end, as a still picture, and as text. Runs nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.core.state import Mapped, State
from jupyter_flows.core.task import Task
from jupyter_flows.widget.svg import Link, Node, draw_svg

DAG_TYPE = "application/vnd.jupyter-flows.dag+json"
HIDDEN_ROLES = frozenset({"setup", "parameters"})


def graph_nodes(graph: FlowGraph) -> list[dict[str, Any]]:
    """Return the tasks as plain data; ``id`` is the slug."""
    nodes: list[dict[str, Any]] = []
    mapped = {edge.downstream_task for edge in graph.edges if edge.mapped}
    for task in graph.tasks:
        node: dict[str, Any] = {
            "id": graph.slugs[task],
            "name": task.name,
            "role": task.role,
            "type": type(task).__name__,
            "trigger": getattr(task.trigger, "__name__", ""),
        }
        more = {
            "cell_id": getattr(task, "cell_id", None),
            "retries": task.max_retries or None,
            "timeout_s": None if task.timeout is None else task.timeout.total_seconds(),
            "reads": sorted(getattr(task, "reads", ())) or None,
            "writes": sorted(getattr(task, "writes", ())) or None,
            "warnings": list(getattr(task, "warnings", ())) or None,
            "barrier": getattr(task, "is_barrier", False) or None,
            "mapped": task in mapped or bool((getattr(task, "wrapping", None) or {}).get("map")) or None,
        }
        node.update({key: value for key, value in more.items() if value is not None})
        nodes.append(node)
    return nodes


def graph_edges(graph: FlowGraph) -> list[dict[str, Any]]:
    """Return the edges as plain data; several between two tasks become one with all their names.

    Edges of kind ``order`` say only what shared memory forbids; they would clutter the picture. Edges of
    kind ``denied`` are none: ``--not-after`` took them away.
    """
    merged: dict[tuple[str, str], dict[str, Any]] = {}
    for edge in graph.edges:
        if edge.kind == "order":
            continue
        ends = (graph.slugs[edge.upstream_task], graph.slugs[edge.downstream_task])
        found = merged.get(ends)
        names = list(edge.names) or ([edge.key] if edge.key else [])
        if found is None:
            merged[ends] = {
                "from": ends[0],
                "to": ends[1],
                "names": names,
                "kind": edge.kind,
                "reason": edge.reason,
            }
        else:
            found["names"] = list(dict.fromkeys([*found["names"], *names]))
            found["reason"] = "; ".join(filter(None, dict.fromkeys([found["reason"], edge.reason])))
    return [*merged.values(), *_denied_edges(graph)]


def _denied_edges(graph: FlowGraph) -> list[dict[str, Any]]:
    """Return what the author said is no edge: nobody waits for it, but it is shown."""
    return [
        {
            "from": graph.slugs[edge.upstream_task],
            "to": graph.slugs[edge.downstream_task],
            "names": list(edge.names),
            "kind": "denied",
            "reason": f"denied by --not-after: {edge.reason}",
        }
        for edge in getattr(graph, "denied", ())
        if edge.upstream_task in graph.slugs and edge.downstream_task in graph.slugs
    ]


def state_data(state: State, **more: Any) -> dict[str, Any]:
    """Return a state as plain data; that of a mapped task with how many of its children are in which."""
    if isinstance(state, Mapped) and state.map_states:
        more["counts"] = dict(Counter(type(child).__name__ for child in state.map_states))
    return {"state": type(state).__name__, "message": state.message or "", **more}


def bundle(
    nodes: Iterable[Mapping[str, Any]],
    edges: Iterable[Mapping[str, Any]],
    states: Mapping[str, Mapping[str, Any]],
    *,
    title: str,
    run: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the MIME bundle: live data for our renderer, a picture and a sentence for all others."""
    nodes, edges = list(nodes), list(edges)
    return {
        DAG_TYPE: {
            "nodes": nodes,
            "edges": edges,
            "states": dict(states),
            "title": title,
            "run": dict(run or {}),
        },
        "image/svg+xml": still(nodes, edges, states, title=title),
        "text/plain": sentence(nodes, states, title=title),
    }


def still(
    nodes: list[Mapping[str, Any]],
    edges: list[Mapping[str, Any]],
    states: Mapping[str, Mapping[str, Any]],
    *,
    title: str,
) -> str:
    """Return the picture as SVG, without the setup cells."""
    shown = [node for node in nodes if node["role"] not in HIDDEN_ROLES]
    keys = {node["id"] for node in shown}
    return draw_svg(
        [
            Node(
                node["id"],
                _label(node, states.get(node["id"], {})),
                _colour(states.get(node["id"], {})),
                ", ".join([states.get(node["id"], {}).get("stale", ""), *node.get("warnings", ())]).strip(
                    ", "
                ),
                is_barrier=bool(node.get("barrier")),
            )
            for node in shown
        ],
        [
            Link(
                edge["from"],
                edge["to"],
                edge["reason"] or ", ".join(edge["names"]),
                is_dashed=edge["kind"] != "data",
                is_denied=edge["kind"] == "denied",
            )
            for edge in edges
            if edge["from"] in keys and edge["to"] in keys
        ],
        title=title,
    )


def _label(node: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    """Return what stands in a task's box; of a mapped one, Prefect 1's mark and how many children it has."""
    if not node.get("mapped"):
        return str(node["name"])
    count = sum(state.get("counts", {}).values())
    return f"{node['name']} <map>" + (f" {count}" if count else "")


def _colour(state: Mapping[str, Any]) -> str | None:
    """Return the state that colours a box; a stale one that failed stays red."""
    name: str | None = state.get("state")
    return "Stale" if state.get("stale") and name != "Failed" else name


def sentence(
    nodes: Sequence[Mapping[str, Any]], states: Mapping[str, Mapping[str, Any]], *, title: str
) -> str:
    """Return what viewers without pictures see, e.g. ``Flow etl: 5 tasks, 3 Success, 1 Failed``."""
    shown = [node["id"] for node in nodes if node["role"] not in HIDDEN_ROLES]
    counts = Counter(states[key]["state"] for key in shown if key in states)
    parts = [
        f"{len(shown)} task{'' if len(shown) == 1 else 's'}",
        *(f"{n} {name}" for name, n in counts.items()),
    ]
    stale = sum(1 for key in shown if states.get(key, {}).get("stale"))
    if stale:
        parts.append(f"{stale} stale")
    return f"Flow {title}: {', '.join(parts)}"


def states_of(graph: FlowGraph, flow_state: State | None) -> dict[str, dict[str, Any]]:
    """Return the states of the tasks of a finished run as plain data."""
    results: Mapping[Task, State] = (
        flow_state.result if flow_state and isinstance(flow_state.result, dict) else {}
    )
    return {graph.slugs[task]: state_data(state) for task, state in results.items() if task in graph.slugs}
