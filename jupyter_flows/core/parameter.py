"""A named input of a flow. Pure."""

from __future__ import annotations

from typing import Any

from jupyter_flows.core.context import context
from jupyter_flows.core.signals import FAIL
from jupyter_flows.core.task import Task

_NO_DEFAULT: Any = object()


class Parameter(Task):
    """A named input; two parameters of one name cannot be in one flow.

    Parameters
    ----------
    name : str
    default : JSON value, optional
        Without one the parameter is required.
    required : bool, optional
        Default: whether there is no default.

    Examples
    --------
    >>> Parameter("city", default="Oslo").required
    False
    """

    def __init__(
        self, name: str, default: Any = _NO_DEFAULT, *, required: bool | None = None, tags: Any = ()
    ) -> None:
        self.required = (default is _NO_DEFAULT) if required is None else required
        self.default = None if default is _NO_DEFAULT else default
        super().__init__(name, slug=name, tags=tags)

    def run(self) -> Any:
        """Return the value that the run was given, else the default."""
        values = context.get("parameters") or {}
        if self.name in values:
            return values[self.name]
        if self.required:
            msg = f"parameter {self.name!r} is required and was not given"
            raise FAIL(msg)
        return self.default

    def __call__(self, *args: Any, flow: Any = None, **kwargs: Any) -> Parameter:
        """Put this parameter (not a copy) into the flow; return it."""
        del args, kwargs
        self._flow(flow).add_task(self)
        return self

    def __repr__(self) -> str:
        return f"<Parameter: {self.name}>"
