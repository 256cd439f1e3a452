"""A task whose result is a secret of an environment variable."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from jupyter_flows.tasks.secrets.base import SecretBase

__all__ = ["EnvVarSecret"]


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
