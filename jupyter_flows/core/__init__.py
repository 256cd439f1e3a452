"""The model: tasks, graphs, states, what may follow what. Pure: no clock, no thread, no file."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_WHERE = {"Edge": "edge", "Flow": "flow", "Parameter": "parameter", "Task": "task"}
"""What Prefect 1 has here, and in which module it is; found at first use, so that importing costs nothing."""


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
