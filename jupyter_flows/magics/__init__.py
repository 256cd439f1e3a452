"""``%%task`` and ``%flow``: the notebook's own way to write a flow.

``%load_ext jupyter_flows`` loads this; what a magic needs is imported when it is used.
"""

from __future__ import annotations

from typing import Any

from jupyter_flows.magics.cells import CellRecorder
from jupyter_flows.magics.front_end import register_from_front_end
from jupyter_flows.magics.loading import load_ipython_extension, unload_ipython_extension

__all__ = [
    "CellRecorder",
    "load_ipython_extension",
    "recorder",
    "register_from_front_end",
    "unload_ipython_extension",
]


def recorder() -> Any:
    """Return the recorder of the running shell, or None if the extension is not loaded."""
    from IPython import get_ipython

    shell = get_ipython()
    return getattr(shell, "jupyter_flows_recorder", None)
