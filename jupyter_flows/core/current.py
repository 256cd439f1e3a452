"""The flow of the ``with Flow(...)`` block that the code stands in. Pure."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_flows.core.graph import FlowGraph

current_flow: ContextVar[FlowGraph | None] = ContextVar("jupyter_flows_current_flow", default=None)
