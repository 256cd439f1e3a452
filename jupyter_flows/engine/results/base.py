"""A value with where and how it is kept."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, Self
from uuid import uuid4

from jupyter_flows.core.context import context
from jupyter_flows.engine.serializers import PickleSerializer, Serializer
from jupyter_flows.errors import InvalidTask

Location = str | Callable[..., str]
_KEEPS_NOTHING = "a plain Result keeps nothing; give one of jupyter_flows.engine.results, such as LocalResult"


class Names(dict[str, Any]):
    """What templates may name: what is given, else what the context of the run knows (``{today}``)."""

    def __missing__(self, name: str) -> Any:
        return context[name]


def filled(template: Location, names: Mapping[str, Any]) -> str:
    """Return a template with its names filled in; a function is called with them.

    Examples
    --------
    >>> filled("{flow_name}/{n:03}", {"flow_name": "etl", "n": 7})
    'etl/007'
    """
    if not isinstance(template, str):
        return str(template(**names))
    return template.format_map(Names(names))


class Result:
    """A value, its location as a template, and the serializer that writes it.

    Parameters
    ----------
    value : any
    location : str or callable, optional
        Template of the context, the run's parameters and the task's arguments: ``"{flow_name}/{today}.pkl"``.
    serializer : Serializer, optional
        Default: :class:`~jupyter_flows.engine.serializers.PickleSerializer`.
    """

    def __init__(
        self, value: Any = None, location: Location | None = None, serializer: Serializer | None = None
    ) -> None:
        self.value = value
        self.location = location
        if isinstance(serializer, type) or not hasattr(serializer or Serializer, "serialize"):
            name = type(self).__name__
            msg = f"{name}: serializer is {serializer!r}; give one of jupyter_flows.engine.serializers"
            raise InvalidTask(msg)
        self.serializer = serializer or PickleSerializer()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.location!r}>"

    @property
    def default_location(self) -> str:
        """Where a value goes that has no location: a new place each time."""
        return f"{uuid4().hex}.result"

    def copy(self) -> Self:
        """Return a copy."""
        return copy.copy(self)

    def from_value(self, value: Any) -> Self:
        """Return a copy with another value."""
        made = self.copy()
        made.value = value
        return made

    def format(self, **names: Any) -> Self:
        """Return a copy whose location is filled in.

        Raises
        ------
        KeyError : the template names what is not known.
        """
        made = self.copy()
        made.location = self.default_location if self.location is None else filled(self.location, names)
        return made

    def read(self, location: str) -> Self:
        """Return a copy with the value that is kept at *location*.

        Raises
        ------
        Exception : it is not there, or cannot be read.
        """
        made = self.from_value(self.serializer.deserialize(self.read_bytes(location)))
        made.location = location
        return made

    def write(self, value: Any, /, **names: Any) -> Self:
        """Keep a value; return a copy with it and its location."""
        made = self.format(**names).from_value(value)
        self.write_bytes(str(made.location), self.serializer.serialize(value))
        return made

    def exists(self, location: str, **names: Any) -> bool:
        """Whether a value is kept at *location*, a template of *names*."""
        return self.has_bytes(filled(location, names))

    # -- what each kind does ----------------------------------------------------------------------

    def read_bytes(self, location: str) -> bytes:
        """Return what is at *location*."""
        raise NotImplementedError(_KEEPS_NOTHING)

    def write_bytes(self, location: str, data: bytes) -> None:
        """Put *data* at *location*, whole or not at all."""
        raise NotImplementedError(_KEEPS_NOTHING)

    def has_bytes(self, location: str) -> bool:
        """Whether something is at *location*."""
        raise NotImplementedError(_KEEPS_NOTHING)
