"""Each row of the endpoint table and the function that answers it. A row without one does not load."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from jupyter_flows.errors import Bug
from jupyter_flows.schema.endpoints import ENDPOINTS, Endpoint
from jupyter_flows.server.api import agents, flows, holders, runs, tokens

_MODULES: tuple[ModuleType, ...] = (agents, flows, holders, runs, tokens)


def _function(row: Endpoint) -> Callable[..., Any]:
    found = [
        getattr(module, row.name)
        for module in _MODULES
        if getattr(getattr(module, row.name, None), "__module__", None) == module.__name__
    ]
    if len(found) != 1:
        raise Bug(f"endpoint {row.name} has {len(found)} functions")
    if not row.scope:
        raise Bug(f"endpoint {row.name} names no scope")
    function: Callable[..., Any] = found[0]
    return function


FUNCTIONS: dict[str, Callable[..., Any]] = {row.name: _function(row) for row in ENDPOINTS}
READS: frozenset[str] = frozenset(row.name for row in ENDPOINTS if row.method == "GET")
