"""A picture in a notebook that follows states: shown once, updated where it stands.

Updates go out as ``update_display_data`` (Jupyter messaging, section *update_display_data*): they reach the
front end while the kernel is busy, survive in the saved notebook with the last colours, and need no
widget model that could be missing when the notebook is opened again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.core.state import State
from jupyter_flows.engine.reporter import NullReporter
from jupyter_flows.widget.dag import bundle, graph_edges, graph_nodes, state_data

SMALLEST_GAP_S = 0.1
"""At most ten updates a second: more cannot be seen, and would flood the channel."""


class LiveDag:
    """The picture of one graph in the notebook.

    Parameters
    ----------
    graph : FlowGraph
    states : mapping, optional
        State data by slug.
    run : mapping, optional
        ``{id, name, state, message}`` of the run that is shown.
    """

    def __init__(
        self,
        graph: FlowGraph,
        *,
        states: dict[str, dict[str, Any]] | None = None,
        run: dict[str, Any] | None = None,
    ) -> None:
        self._lock = threading.Lock()
        self._handle: Any = None
        self._timer: threading.Timer | None = None
        self._sent_at = 0.0
        self.states: dict[str, dict[str, Any]] = dict(states or {})
        self.run: dict[str, Any] = dict(run or {})
        self.set_graph(graph)

    def set_graph(self, graph: FlowGraph) -> None:
        """Show another graph (a cell was edited)."""
        self.title = graph.name
        self._nodes = graph_nodes(graph)
        self._edges = graph_edges(graph)
        known = {node["id"] for node in self._nodes}
        self.states = {slug: state for slug, state in self.states.items() if slug in known}

    def bundle(self) -> dict[str, Any]:
        """Return what is shown now."""
        return bundle(self._nodes, self._edges, self.states, title=self.title, run=self.run)

    def show(self) -> None:
        """Put the picture into the output of the present cell."""
        from IPython.display import display

        self._handle = display(self.bundle(), raw=True, display_id=True)

    def set_state(self, slug: str, state: dict[str, Any]) -> None:
        """Colour a task."""
        before = self.states.get(slug, {})
        self.states[slug] = {**before, **state}
        self.refresh()

    def refresh(self, *, now: bool = False) -> None:
        """Send the picture again: at once if the last time is long enough ago, else soon."""
        if self._handle is None:
            return
        import time

        with self._lock:
            wait = self._sent_at + SMALLEST_GAP_S - time.monotonic()
            if now or wait <= 0:
                self._cancel_timer()
                self._sent_at = time.monotonic()
                self._handle.update(self.bundle(), raw=True)
            elif self._timer is None:
                self._timer = threading.Timer(wait, self._fire)
                self._timer.daemon = True
                self._timer.start()

    def _fire(self) -> None:
        self._timer = None
        self.refresh()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class LiveReporter(NullReporter):
    """Tells a picture what happens in a run; ``also`` hears of each task state too."""

    def __init__(self, live: LiveDag, *, also: Callable[[str, State], None] | None = None) -> None:
        self._live = live
        self._also = also
        self._started: dict[str, datetime] = {}

    def flow_run_state(self, state: State) -> None:
        """Show the run's state."""
        self._live.run = {**self._live.run, "state": type(state).__name__, "message": state.message or ""}
        self._live.refresh(now=state.is_finished())

    def task_run_state(self, *, slug: str, name: str, map_index: int, state: State, attempt: int) -> None:
        """Colour the task."""
        del name, map_index
        more: dict[str, Any] = {"attempt": attempt}
        if state.is_running():
            self._started[slug] = state.at
            more["started_at"] = state.at.isoformat()
        elif slug in self._started:
            more["ended_at"] = state.at.isoformat()
            more["duration_s"] = (state.at - self._started[slug]).total_seconds()
        self._live.set_state(slug, state_data(state, **more))
        if self._also is not None:
            self._also(slug, state)
