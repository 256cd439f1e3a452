"""Tasks whose result is a secret. Their results are never written; they go to the tasks that need them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from jupyter_flows.client.secrets import Secret
from jupyter_flows.core.task import Task
from jupyter_flows.engine.results import SecretResult
from jupyter_flows.errors import InvalidTask

__all__ = ["EnvVarSecret", "PrefectSecret", "SecretBase"]


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


class EnvVarSecret(SecretBase):
    """A secret from an environment variable of the place where the flow runs.

    Parameters
    ----------
    name : str
        Of the variable.
    cast : callable, optional
        Makes something else of the text.
    raise_if_missing : bool
        Whether a missing one fails the task; else its result is None.
    kwargs : any
        Of :class:`~jupyter_flows.Task`.
    """

    def __init__(
        self,
        name: str | None = None,
        cast: Callable[[str], Any] | None = None,
        raise_if_missing: bool = False,  # noqa: FBT001, FBT002 - Prefect 1's signature
        **kwargs: Any,
    ) -> None:
        self.secret_name = name
        self.cast = cast
        self.raise_if_missing = raise_if_missing
        if name is not None:
            kwargs.setdefault("name", name)
        super().__init__(**kwargs)

    def run(self, name: str | None = None) -> Any:
        """Return the variable's value.

        Raises
        ------
        ValueError : it is not set, and must be.
        """
        wanted = name or self.secret_name
        if wanted is None:
            msg = "EnvVarSecret needs the name of a variable: EnvVarSecret('TOKEN')"
            raise ValueError(msg)
        value = os.environ.get(wanted)
        if value is None:
            if self.raise_if_missing:
                msg = f"Environment variable not set: {wanted}"
                raise ValueError(msg)
            return None
        return value if self.cast is None else self.cast(value)
