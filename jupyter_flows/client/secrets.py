"""Secrets by name: found where the code runs, never in what is sent to a server."""

from __future__ import annotations

import os
from typing import Any

from jupyter_flows.core.context import context
from jupyter_flows.core.current import current_flow
from jupyter_flows.errors import InvalidFlow
from jupyter_flows.settings import load_settings

PREFIX = "JUPYTER_FLOWS_SECRET_"


class Secret:
    """A secret of this machine, by its name.

    Looked for in this order: ``context.secrets`` of the run, the environment variable
    ``JUPYTER_FLOWS_SECRET_<NAME>``, the file ``secrets/<NAME>`` in the home directory of jupyter_flows
    (without the line end). Values are text as they stand; Prefect 1 made 42 of "42".

    Parameters
    ----------
    name : str

    Examples
    --------
    >>> with context(secrets={"API_KEY": "abc"}):
    ...     Secret("API_KEY").get()
    'abc'
    """

    def __init__(self, name: str) -> None:
        if not name or not name.replace("_", "").replace("-", "").isalnum():
            msg = f"secret {name!r}: a name has letters, digits, '_' and '-'"
            raise InvalidFlow(msg)
        self.name = name

    def exists(self) -> bool:
        """Whether it is found here."""
        return self._find() is not None

    def get(self) -> Any:
        """Return its value.

        Raises
        ------
        InvalidFlow : while a flow is being built, where it would become a constant of the flow.
        ValueError : it is nowhere; where it was looked for.
        """
        if current_flow.get() is not None:
            msg = (
                f"secret {self.name!r} is read while a flow is built; read it in a task, or use PrefectSecret"
            )
            raise InvalidFlow(msg)
        found = self._find()
        if found is None:
            msg = (
                f"secret {self.name} is not here; set {PREFIX}{self.name}, or write it to "
                f"{load_settings().home / 'secrets' / self.name}, where the flow runs"
            )
            raise ValueError(msg)
        return found

    def _find(self) -> Any:
        given = context.get("secrets") or {}
        if self.name in given:
            return given[self.name]
        if PREFIX + self.name in os.environ:
            return os.environ[PREFIX + self.name]
        try:
            return (load_settings().home / "secrets" / self.name).read_text("utf-8").rstrip("\r\n")
        except OSError:
            return None
