"""A function as a task, by Prefect 1's import path."""

from jupyter_flows.core.task import FunctionTask

__all__ = ["FunctionTask"]
