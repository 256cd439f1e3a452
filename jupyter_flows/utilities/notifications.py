"""State handlers made of a function and a condition, by Prefect 1's import path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["callback_factory"]


def callback_factory(
    fn: Callable[[Any, Any], Any], check: Callable[[Any], bool]
) -> Callable[[Any, Any, Any], Any]:
    """Return a state handler that calls *fn* with its subject and the new state if *check* of that is true.

    Parameters
    ----------
    fn : callable
        ``(task or flow, state)``.
    check : callable
        Of the new state.

    Examples
    --------
    >>> from jupyter_flows.engine.state import Failed, Running
    >>> told = callback_factory(lambda task, state: print(task, state.message), Failed.is_failed)
    >>> told("load", Running(), Failed("no rows")).message
    load no rows
    'no rows'
    """

    def handler(subject: Any, _old: Any, new: Any) -> Any:
        if check(new):
            fn(subject, new)
        return new

    return handler
