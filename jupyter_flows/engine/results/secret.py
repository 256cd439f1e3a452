"""The result of a task that gets a secret: never written, got again when it is needed."""

from __future__ import annotations

from typing import Any, Self

from jupyter_flows.engine.results.base import Result


class SecretResult(Result):
    """A secret's value; reading it runs the task that gets it.

    Parameters
    ----------
    secret_task : Task
    """

    def __init__(self, secret_task: Any) -> None:
        super().__init__()
        self.secret_task = secret_task

    def read(self, location: str) -> Self:
        """Run the task again."""
        del location
        return self.from_value(self.secret_task.run())

    def write(self, value: Any, /, **names: Any) -> Self:
        """Keep nothing."""
        del names
        return self.from_value(value)

    def exists(self, location: str, **names: Any) -> bool:
        """It can be got."""
        del location, names
        return True
