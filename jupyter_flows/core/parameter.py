"""A named input of a flow. Pure."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any

from jupyter_flows.core.context import context
from jupyter_flows.core.signals import FAIL
from jupyter_flows.core.task import Task
from jupyter_flows.errors import InvalidParameters

_NO_DEFAULT: Any = object()


def read_values(pairs: Iterable[str], *, text_names: Collection[str] = ()) -> dict[str, Any]:
    """Read what a person typed as ``NAME=VALUE``: JSON where it reads as JSON, else text.

    Parameters
    ----------
    pairs : iterable of str
    text_names : collection of str
        Parameters whose default is text: their values are text as they stand.

    Raises
    ------
    InvalidParameters : a pair without a name or ``=``.

    Examples
    --------
    >>> read_values(["year=2014", "city=Seattle", "zip=0012"], text_names=["zip"])
    {'year': 2014, 'city': 'Seattle', 'zip': '0012'}
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, raw = pair.partition("=")
        if not equals or not name:
            msg = f"parameter {pair!r} is not NAME=VALUE"
            raise InvalidParameters(msg)
        values[name] = raw
        if name not in text_names:
            with contextlib.suppress(json.JSONDecodeError):
                values[name] = json.loads(raw)
    return values


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


class DateTimeParameter(Parameter):
    """A named input that is a time: text in ISO 8601 form becomes a ``datetime``; None stays None.

    With a default it is not required (in Prefect 1 it was, default or not).

    Parameters
    ----------
    name : str
    default : str or datetime, optional
    required : bool, optional
        Default: whether there is no default.

    Examples
    --------
    >>> from jupyter_flows import Flow
    >>> with Flow("at") as flow:
    ...     at = DateTimeParameter("at")()
    >>> flow.run(at="2030-01-31T06:00+01:00").result[at].result.isoformat()
    '2030-01-31T06:00:00+01:00'
    """

    def __init__(
        self, name: str, default: Any = _NO_DEFAULT, *, required: bool | None = None, tags: Any = ()
    ) -> None:
        if isinstance(default, datetime):
            default = default.isoformat()  # it is sent to the server
        super().__init__(name, default, required=required, tags=tags)

    def run(self) -> datetime | None:
        """Return the time that the run was given, else the default; without a zone it is UTC.

        Raises
        ------
        FAIL : it is no time.
        """
        value = super().run()
        if value is None:
            return None
        try:
            found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        except ValueError:
            msg = f"parameter {self.name!r} is a time such as 2030-01-31T06:00+01:00, not {value!r}"
            raise FAIL(msg) from None
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
