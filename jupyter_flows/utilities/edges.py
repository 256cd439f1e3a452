"""How a task takes its arguments, by Prefect 1's import path."""

from jupyter_flows.core.mapping import EdgeAnnotation, flatten, mapped, unmapped

__all__ = ["EdgeAnnotation", "flatten", "mapped", "unmapped"]
