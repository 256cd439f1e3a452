"""The graph of a notebook as DOT text, for Graphviz. Text only; the ``dot`` program is not needed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from graphviz import Digraph, escape, nohtml

_FILL = {
    "setup": "#eceff1",
    "parameters": "#fff3e0",
    "task": "#e3f2fd",
    "plain": "#ffffff",
    "skip": "#fafafa",
}
_STYLE = {"data": "solid", "channel": "dashed", "declared": "bold", "order": "dotted"}


def to_dot(outlined: Mapping[str, Any], *, barriers: Collection[int] = ()) -> str:
    """Write one outlined notebook (see :func:`~jupyter_flows.notebook.outline.outline`) as DOT.

    Order edges are left out: they would draw over the flow of data. An edge that ``--not-after`` took away is
    dotted and has no head; cells in *barriers* have a second border.
    """
    graph = Digraph(
        name=nohtml(escape(str(outlined["path"]))),
        graph_attr={"rankdir": "TB", "fontname": "Helvetica"},
        node_attr={"shape": "box", "style": "rounded,filled", "fontname": "Helvetica", "fontsize": "11"},
        edge_attr={"fontname": "Helvetica", "fontsize": "9", "color": "#78909c"},
    )
    for cell in outlined["cells"]:
        marked = " ⚠" if cell["warnings"] else ""
        label = escape(f"{cell['index']}  {cell['name']}{marked}")
        tooltip = escape("\n".join(cell["warnings"]) or cell["role"])
        graph.node(
            str(cell["index"]),
            label=nohtml(label),
            tooltip=nohtml(tooltip),
            fillcolor=_FILL.get(cell["role"], "#ffffff"),
            peripheries="2" if cell["index"] in barriers else "1",
        )
    for edge in outlined["edges"]:
        if edge["kind"] == "order":
            continue
        names = ", ".join(edge["names"][:4]) + (" …" if len(edge["names"]) > 4 else "")
        graph.edge(
            str(edge["from"]),
            str(edge["to"]),
            label=nohtml(escape(names)),
            tooltip=nohtml(escape(edge["reason"])),
            style=_STYLE.get(edge["kind"], "solid"),
        )
    for edge in outlined.get("denied", ()):
        graph.edge(
            str(edge["from"]),
            str(edge["to"]),
            label=nohtml(escape("denied")),
            tooltip=nohtml(escape(f"denied by --not-after: {edge['reason']}")),
            style="dotted",
            arrowhead="none",
            constraint="false",
        )
    return str(graph.source)
