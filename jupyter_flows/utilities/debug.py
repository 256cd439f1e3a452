"""For debugging, by Prefect 1's import path."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from jupyter_flows.core.context import context

__all__ = ["raise_on_exception"]


def raise_on_exception() -> AbstractContextManager[Any]:
    """Let exceptions of tasks come out of ``flow.run()`` within a ``with`` block, where a debugger stops.

    Examples
    --------
    >>> from jupyter_flows import Flow, task
    >>> with Flow("broken") as flow:
    ...     broken = task(lambda: 1 / 0, name="broken")()
    >>> with raise_on_exception():
    ...     flow.run()
    Traceback (most recent call last):
        ...
    ZeroDivisionError: division by zero
    """
    return context(raise_on_exception=True)
