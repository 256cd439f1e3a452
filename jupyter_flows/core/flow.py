"""``Flow`` by Prefect 1's import path.

It stands on the floors above, so it is only looked up when somebody asks for it here.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    if name == "Flow":
        return import_module("jupyter_flows.flow").Flow
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
