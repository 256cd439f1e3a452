"""How task attempts are called: one by one, or in threads."""

from jupyter_flows.executors.local import LocalExecutor
from jupyter_flows.executors.threads import ThreadExecutor

__all__ = ["LocalExecutor", "ThreadExecutor"]
