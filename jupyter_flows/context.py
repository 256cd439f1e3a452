"""What the code of a task may ask about its run, by Prefect 1's import path."""

from jupyter_flows.core.context import context

__all__ = ["context"]
