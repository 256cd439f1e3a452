"""How the cells stand, for the badges that a front end puts on them; over a comm. Draws nothing.

The kernel opens the comm when there is something to show, sends what changed at each cell that begins or
ends, and everything when asked (a page that was loaded again). The front end in turn says how the texts of
cells were edited, so that an edit makes stale what it makes stale before anything is saved or run.

Messages to the front end: ``{kind: "all" | "changed", cells: {cell id: badge or null}}``; from it:
``{kind: "ask"}`` and ``{kind: "edited", sources: {cell id: text}}``. Cf. Jupyter messaging, *Custom
Messages*.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jupyter_flows.magics.cells import RecordedCell

if TYPE_CHECKING:
    # Each of these brings the analysis with it, which %load_ext need not wait for.
    from jupyter_flows.analysis import CellInfo
    from jupyter_flows.magics.desk import Desk

TARGET = "jupyter_flows.cells"


def badges(desk: Desk) -> dict[str, dict[str, Any]]:
    """Return the badge of each cell that has one: of tasks, and of cells that a warning is about.

    Returns
    -------
    dict : by cell id ``{name, role, state, message, duration_s, stale, warnings, barrier}``, without what
        does not apply; empty if the notebook has no task.
    """
    notebook = desk.recorder.notebook()
    if not desk.is_flow(notebook):
        return {}
    # As the source is: that the trace had no time to look at something is no news for every cell.
    analysis = desk.read(notebook)
    if not any(info.role == "task" for info in analysis.cells):
        return {}
    standings = desk.standings(notebook)
    found: dict[str, dict[str, Any]] = {}
    for cell, info in zip(notebook.cells, analysis.cells, strict=True):
        standing = standings.get(cell.id)
        if standing is None or not (info.role == "task" or info.warnings or info.is_opaque):
            continue
        stale = standing.reason if standing.status == "stale" else ""
        found[cell.id] = _badge(info, desk.recorder.cells.get(cell.id), stale)
    return found


def _badge(info: CellInfo, cell: RecordedCell | None, stale: str) -> dict[str, Any]:
    badge: dict[str, Any] = {
        "name": info.name,
        "role": info.role,
        "state": "Pending" if cell is None else cell.state,
    }
    if cell is not None and cell.error:
        badge["message"] = f"{cell.error} in this cell"
    if cell is not None and cell.started_at is not None and cell.ended_at is not None:
        badge["duration_s"] = (cell.ended_at - cell.started_at).total_seconds()
    if stale and badge["state"] != "Running":
        badge["stale"] = stale
    if info.warnings or info.option_error:
        badge["warnings"] = [*info.warnings, *filter(None, (info.option_error,))]
    if info.is_opaque:
        badge["barrier"] = True
    return badge


class CellBadges:
    """Tells front ends how the cells stand, as it changes.

    Parameters
    ----------
    desk : Desk
    open_comm : callable
        Opens a comm of this target with data; what it returns has ``send``, ``on_msg``, ``on_close`` and
        ``close`` (:class:`comm.base_comm.BaseComm`).
    """

    def __init__(self, desk: Desk, open_comm: Callable[[str, dict[str, Any]], Any]) -> None:
        self._desk = desk
        self._open = open_comm
        self._comm: Any = None
        self._is_refused = False
        self._told: dict[str, dict[str, Any]] = {}

    def __call__(self, cell: RecordedCell) -> None:
        """Tell what changed; *cell* began, ended or was edited."""
        if self._is_refused:
            return
        known = self._told.get(cell.id)
        if cell.state == "Running" and known is not None and self._comm is not None:
            # That it runs changes no other badge before it ends.
            kept = {key: known[key] for key in known.keys() - {"message", "stale", "duration_s"}}
            self._told = {**self._told, cell.id: {**kept, "state": "Running"}}
            self._comm.send({"kind": "changed", "cells": {cell.id: self._told[cell.id]}})
            return
        now = badges(self._desk)
        changed: dict[str, Any] = {key: badge for key, badge in now.items() if self._told.get(key) != badge}
        changed |= dict.fromkeys(self._told.keys() - now.keys())
        if not changed:
            return
        self._told = now
        if self._comm is None:
            self._comm = self._open(TARGET, {"kind": "all", "cells": now})
            self._comm.on_msg(self._hear)
            self._comm.on_close(self._refused)
        else:
            self._comm.send({"kind": "changed", "cells": changed})

    def stop(self) -> None:
        """Take the badges away; nothing comes later."""
        self._is_refused = True
        if self._comm is not None:
            self._comm.close()
            self._comm = None

    def _refused(self, _message: Any) -> None:
        """No front end here knows what to do with it: never ask again."""
        self._is_refused, self._comm = True, None

    def _hear(self, message: dict[str, Any]) -> None:
        # What is not understood is a newer front end's; it must not fill this kernel's log.
        with contextlib.suppress(Exception):
            asked = message["content"]["data"]
            if asked["kind"] == "ask":
                self._told = badges(self._desk)
                self._comm.send({"kind": "all", "cells": self._told})
            elif asked["kind"] == "edited":
                self._desk.recorder.edited(asked["sources"])


def open_comm(target: str, data: dict[str, Any]) -> Any:
    """Open a comm to whatever front ends this kernel has."""
    from comm import create_comm

    return create_comm(target_name=target, data=data)
