"""The flow of the ``with Flow(...)`` block that the code stands in, and its ``tags``. Pure.

Holds the flow without knowing its class: tasks and graphs both stand on this.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from jupyter_flows.errors import InvalidTask

current_flow: ContextVar[Any] = ContextVar("jupyter_flows_current_flow", default=None)
current_tags: ContextVar[frozenset[str]] = ContextVar("jupyter_flows_current_tags", default=frozenset())
current_case: ContextVar[Any] = ContextVar("jupyter_flows_current_case", default=None)
current_resource: ContextVar[Any] = ContextVar("jupyter_flows_current_resource", default=None)
"""The innermost ``with case(...)`` and ``with`` block of a resource; they hear of tasks that are added."""
current_unused: ContextVar[dict[Any, None] | None] = ContextVar("jupyter_flows_current_unused", default=None)
"""Tasks that were made in the ``with`` block of a flow and are not in it yet; None outside of one."""


@contextlib.contextmanager
def tags(*words: str) -> Iterator[None]:
    """Give *words* as tags to every task that is made, or called, within a ``with`` block.

    Examples
    --------
    >>> from jupyter_flows import Task
    >>> with tags("nightly"):
    ...     load = Task(name="load")
    >>> sorted(load.tags)
    ['nightly']
    """
    for word in words:
        if not isinstance(word, str) or not word:
            msg = f"tags takes words, not {type(word).__name__}; write tags('nightly', 'slow')"
            raise InvalidTask(msg)
    token = current_tags.set(current_tags.get() | set(words))
    try:
        yield
    finally:
        current_tags.reset(token)
