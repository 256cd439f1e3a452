"""Collections of tasks, by Prefect 1's import path."""

from jupyter_flows.core.operators import Dict, List, Set, Tuple

__all__ = ["Dict", "List", "Set", "Tuple"]
