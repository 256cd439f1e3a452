"""The comparison that a branch of a flow hangs on."""

from __future__ import annotations

from typing import Any

from jupyter_flows.core.signals import SKIP
from jupyter_flows.core.task import Task

LONGEST_VALUE = 40
"""How much of a value is shown in a task's name."""


def shortened(value: Any) -> str:
    """Return a value as a task's name shows it."""
    text = str(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


class CompareValue(Task):
    """Skips, and so skips what waits for it, unless it is given *value*.

    Parameters
    ----------
    value : any
    kwargs : any
        Of :class:`~jupyter_flows.Task`.
    """

    auto_generated = True

    def __init__(self, value: Any, **kwargs: Any) -> None:
        self.value = value
        # As Prefect 1 names it: a branch is known by its value, which thereby goes to the server.
        kwargs.setdefault("name", f'CompareValue: "{shortened(value)}"')
        super().__init__(**kwargs)

    def run(self, value: Any) -> None:
        """Raise SKIP unless *value* is the one that is compared with."""
        if value != self.value:
            raise SKIP("the value is another one")
