"""A named input of a flow. Pure."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from jupyter_flows.core.context import context
from jupyter_flows.core.signals import FAIL
from jupyter_flows.core.task import Task
from jupyter_flows.errors import InvalidParameters

_NO_DEFAULT: Any = object()


def read_values(pairs: Iterable[str], *, defaults: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read what a person typed as ``NAME=VALUE``: JSON where it reads as JSON, else text.

    Parameters
    ----------
    pairs : iterable of str
    defaults : mapping, optional
        Values that the parameters have by themselves: where that is text, so is what was typed, as it
        stands; where it is a number, true or false, what was typed must be one too.

    Raises
    ------
    InvalidParameters : a pair without a name or ``=``, or a value of another kind than its default.

    Examples
    --------
    >>> read_values(["year=2014", "city=Seattle", "zip=0012"], defaults={"zip": ""})
    {'year': 2014, 'city': 'Seattle', 'zip': '0012'}
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, raw = pair.partition("=")
        if not equals or not name:
            msg = f"parameter {pair!r} is not NAME=VALUE"
            raise InvalidParameters(msg)
        default = (defaults or {}).get(name)
        values[name] = raw
        if not isinstance(default, str):
            with contextlib.suppress(json.JSONDecodeError):
                values[name] = json.loads(raw)
        if isinstance(default, bool) and not isinstance(values[name], bool | None):
            msg = f"parameter {name!r} is true or false (default {str(default).lower()}), not {raw!r}"
            raise InvalidParameters(msg)
        if isinstance(default, int | float) and isinstance(values[name], str):
            msg = f"parameter {name!r} is a number (default {default}), not {raw!r}"
            raise InvalidParameters(msg)
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
        self,
        name: str,
        default: Any = _NO_DEFAULT,
        required: bool | None = None,  # noqa: FBT001 - Prefect 1's signature
        tags: Iterable[str] | None = None,
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

    def copy(self, name: str | None = None, **task_args: Any) -> Parameter:
        """Return a parameter of another name; a flow has one of each name.

        Examples
        --------
        >>> Parameter("city", default="Oslo").copy("town")
        <Parameter: town>
        """
        made = super().copy(**task_args)
        assert isinstance(made, Parameter)
        made.name = made.slug = name or self.name
        return made

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
        self,
        name: str,
        default: Any = _NO_DEFAULT,
        required: bool | None = None,  # noqa: FBT001 - Prefect 1's signature
        tags: Iterable[str] | None = None,
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
