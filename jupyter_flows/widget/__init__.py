"""The picture of a flow in a notebook: live, still, and as a widget."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.core.state import State
from jupyter_flows.errors import InvalidOption

if TYPE_CHECKING:
    from jupyter_flows.widget.widget import FlowDag as FlowDag

__all__ = ["FlowDag", "picture", "show"]


def __getattr__(name: str) -> Any:
    if name == "FlowDag":
        from jupyter_flows.widget.widget import FlowDag

        return FlowDag
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def show(flow: FlowGraph, flow_state: State | None = None) -> None:
    """Show the flow in the output of the present cell."""
    from jupyter_flows.widget.dag import states_of
    from jupyter_flows.widget.live import LiveDag

    LiveDag(flow, states=states_of(flow, flow_state)).show()


class Picture(str):
    """SVG text that a notebook shows as a picture."""

    __slots__ = ()

    def _repr_svg_(self) -> str:
        return str(self)


def picture(flow: FlowGraph, *, flow_state: State | None = None, filename: str | None = None) -> Picture:
    """Return the picture of a flow; with *filename* (``.svg``) write it there too.

    Raises
    ------
    InvalidOption : another ending than ``.svg``, or a file that cannot be written.
    """
    from jupyter_flows.widget.dag import bundle, graph_edges, graph_nodes, states_of

    made = bundle(graph_nodes(flow), graph_edges(flow), states_of(flow, flow_state), title=flow.name)
    if filename is not None:
        if not filename.endswith(".svg"):
            msg = (
                f"visualize writes .svg files, not {filename!r}; 'jupyter flows graph --dot FILE' writes DOT"
            )
            raise InvalidOption(msg)
        try:
            Path(filename).write_text(made["image/svg+xml"], encoding="utf-8")
        except OSError as error:
            msg = f"picture {filename} cannot be written: {error.strerror}"
            raise InvalidOption(msg) from error
    return Picture(made["image/svg+xml"])
