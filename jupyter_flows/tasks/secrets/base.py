"""Tasks whose result is a secret. Their results are never written; they go to the tasks that need them."""

from __future__ import annotations

from typing import Any

from jupyter_flows.client.secrets import Secret
from jupyter_flows.core.task import Task
from jupyter_flows.engine.results import SecretResult
from jupyter_flows.errors import InvalidTask

__all__ = ["PrefectSecret", "SecretBase"]


class SecretBase(Task):
    """A task that gets a secret; its result is never written."""

    def __init__(self, **kwargs: Any) -> None:
        if kwargs.get("checkpoint"):
            name = kwargs.get("name", type(self).__name__)
            msg = f"task {name!r}: a secret cannot be written as a checkpoint"
            raise InvalidTask(msg)
        kwargs["checkpoint"] = False
        super().__init__(**kwargs)
        self.result = SecretResult(self)


class PrefectSecret(SecretBase):
    """A secret by its name, found where the flow runs: :class:`~jupyter_flows.client.Secret`.

    Parameters
    ----------
    name : str, optional
        Else it is an argument of the task.
    kwargs : any
        Of :class:`~jupyter_flows.Task`.
    """

    def __init__(self, name: str | None = None, **kwargs: Any) -> None:
        self.secret_name = name
        if name is not None:
            kwargs.setdefault("name", name)
        super().__init__(**kwargs)

    def run(self, name: str | None = None) -> Any:
        """Return the secret.

        Raises
        ------
        ValueError : no name, or it is not here.
        """
        wanted = name or self.secret_name
        if wanted is None:
            msg = "PrefectSecret needs a name: PrefectSecret('API_KEY')"
            raise ValueError(msg)
        return Secret(wanted).get()
