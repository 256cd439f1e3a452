"""How a state handler ends a task there and then, by Prefect 1's import path."""

from jupyter_flows.core.signals import ENDRUN

__all__ = ["ENDRUN"]
