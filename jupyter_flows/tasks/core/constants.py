"""A value as a task, by Prefect 1's import path."""

from jupyter_flows.core.operators import Constant

__all__ = ["Constant"]
