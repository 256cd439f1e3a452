"""The graph as an ipywidget, for layouts of one's own; imported when one is made."""

from __future__ import annotations

import re
from typing import Any

import ipywidgets
from traitlets import Dict, List, Unicode

from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.core.state import State
from jupyter_flows.engine.reporter import NullReporter
from jupyter_flows.settings import package_version
from jupyter_flows.widget.dag import bundle, graph_edges, graph_nodes, state_data, states_of

MODULE = "jupyter-flows"


def npm_range(version: str) -> str:
    """Return the versions of the front end's module that fit this one, as npm writes them.

    Examples
    --------
    >>> npm_range("0.1.0"), npm_range("0.2.0rc1"), npm_range("0+checkout")
    ('^0.1.0', '^0.2.0-rc.1', '*')
    """
    found = re.match(r"(\d+\.\d+\.\d+)(?:(a|b|rc)(\d+))?", version)
    if found is None:
        return "*"
    stage = {"a": "alpha", "b": "beta", "rc": "rc"}.get(found[2] or "")
    return f"^{found[1]}-{stage}.{found[3]}" if stage else f"^{found[1]}"


_FITTING = npm_range(package_version())


class FlowDag(ipywidgets.DOMWidget):  # type: ignore[misc]
    """The picture of a flow as a widget: put it into boxes and tabs, observe ``selected``.

    Parameters
    ----------
    flow : Flow
    flow_state : State, optional
        Of a finished run, for its colours.

    Examples
    --------
    >>> from jupyter_flows import Flow, task
    >>> with Flow("one") as flow:
    ...     _ = task(lambda: 1, name="one")()
    >>> FlowDag(flow).nodes[0]["name"]
    'one'
    """

    _model_name = Unicode("FlowDagModel").tag(sync=True)
    _model_module = Unicode(MODULE).tag(sync=True)
    _model_module_version = Unicode(_FITTING).tag(sync=True)
    _view_name = Unicode("FlowDagView").tag(sync=True)
    _view_module = Unicode(MODULE).tag(sync=True)
    _view_module_version = Unicode(_FITTING).tag(sync=True)
    nodes: Any = List().tag(sync=True)
    edges: Any = List().tag(sync=True)
    states = Dict().tag(sync=True)
    title = Unicode("").tag(sync=True)
    selected = Unicode("").tag(sync=True)
    run = Dict().tag(sync=True)

    def __init__(self, flow: FlowGraph, flow_state: State | None = None, **options: Any) -> None:
        super().__init__(
            nodes=graph_nodes(flow),
            edges=graph_edges(flow),
            states=states_of(flow, flow_state),
            title=flow.name,
            **options,
        )

    def reporter(self) -> WidgetReporter:
        """Return a reporter that colours this widget: ``flow.run(reporter=dag.reporter())``."""
        return WidgetReporter(self)

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        still = bundle(self.nodes, self.edges, self.states, title=self.title)
        made: dict[str, Any] = super()._repr_mimebundle_(**options) or {}
        return {**made, "image/svg+xml": still["image/svg+xml"], "text/plain": still["text/plain"]}


class WidgetReporter(NullReporter):
    """Colours a widget by small messages, and sets the whole trait when the run has ended."""

    def __init__(self, widget: FlowDag) -> None:
        self._widget = widget
        self._states: dict[str, Any] = dict(widget.states)

    def task_run_state(self, *, slug: str, name: str, map_index: int, state: State, attempt: int) -> None:
        """Send the difference."""
        del name, map_index
        self._states[slug] = state_data(state, attempt=attempt)
        self._widget.send({"kind": "states", "states": {slug: self._states[slug]}})

    def flow_run_state(self, state: State) -> None:
        """Set everything when it is over, so that a second view is right."""
        if state.is_finished():
            self._widget.states = dict(self._states)
            self._widget.run = {"state": type(state).__name__, "message": state.message or ""}
