"""What the code of a task may ask about its run: ``jupyter_flows.context``.

A module that behaves as the :class:`~jupyter_flows.core.context.Context` in it, so that
``from jupyter_flows import context`` and ``from jupyter_flows.context import context`` give the same.

Examples
--------
>>> from jupyter_flows import context
>>> with context(flow_name="etl"):
...     context.flow_name, context.get("task_name"), "flow_name" in context
('etl', None, True)
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from importlib import import_module
from types import ModuleType
from typing import Any

from jupyter_flows.core.context import Context, context

__all__ = ["context"]


class _ContextModule(ModuleType):
    """The module, with what the context can do."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            msg = f"module {self.__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        return getattr(context, name)

    def __getitem__(self, name: str) -> Any:
        return context[name]

    def __contains__(self, name: object) -> bool:
        return name in context

    def __iter__(self) -> Iterator[str]:
        return iter(context)

    def __len__(self) -> int:
        return len(context)

    def __call__(
        self, keys: Mapping[str, Any] | None = None, /, **values: Any
    ) -> AbstractContextManager[Context]:
        return context(keys, **values)

    def __reduce__(self) -> tuple[Any, ...]:
        # A task that uses it is pickled with it: by name, as any module.
        return import_module, (self.__name__,)


sys.modules[__name__].__class__ = _ContextModule
