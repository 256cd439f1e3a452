"""What the code of a task may ask about its run (Prefect 1's ``context``). Pure: views a context variable.

Keys are attributes: ``context.flow_name``, ``context.task_name``, ``context.task_run_count``,
``context.parameters``, ``context.map_index``, ``context.date``, ``context.today`` ... A ``date`` that the run
was given, also as text, leads the other days. ``context.logger`` is the flow's logger; what is written to it
is sent to the server.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any

_EMPTY: Mapping[str, Any] = {}
_current: ContextVar[Mapping[str, Any]] = ContextVar("jupyter_flows_context", default=_EMPTY)

_DAYS = {"today": 0, "yesterday": -1, "tomorrow": 1}


class Context(Mapping[str, Any]):
    """Attribute access to the keys of the present run; a mapping of them.

    Examples
    --------
    >>> with context(parameters={"city": "Oslo"}):
    ...     context.parameters["city"]
    'Oslo'
    >>> with context(date="2030-01-31"):
    ...     "{yesterday}.csv".format(**context)
    '2030-01-30.csv'
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            there_is = ", ".join(sorted(_current.get())) or "nothing outside a run"
            msg = f"context has no {name!r}; it has {there_is}"
            raise AttributeError(msg) from None

    def __getitem__(self, name: str) -> Any:
        values = _current.get()
        if name == "date" and isinstance(values.get("date"), str):
            return _parsed(values["date"])
        if name in values:
            return values[name]
        if name == "logger":
            return logging.getLogger("jupyter_flows.flow")
        base, nodash, _ = name.partition("_nodash")
        if base in _DAYS and isinstance(date := self.get("date"), datetime):
            day = date + timedelta(days=_DAYS[base])
            return day.strftime("%Y%m%d" if nodash else "%Y-%m-%d")
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        values = _current.get()
        yield from values
        if "date" in values:
            yield from (key for day in _DAYS for key in (day, f"{day}_nodash"))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def to_dict(self) -> dict[str, Any]:
        """Return a copy of all keys."""
        return dict(_current.get())

    @contextlib.contextmanager
    def __call__(self, keys: Mapping[str, Any] | None = None, /, **values: Any) -> Iterator[Context]:
        """Lay *keys* and *values* over the present keys within a ``with`` block."""
        token = _current.set({**_current.get(), **(keys or {}), **values})
        try:
            yield self
        finally:
            _current.reset(token)


def _parsed(date: str) -> datetime | str:
    """Return the moment of a text such as ``2024-03-01``, in UTC unless it says otherwise; else the text."""
    try:
        moment = datetime.fromisoformat(date)
    except ValueError:
        return date
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


context = Context()


def enter(values: Mapping[str, Any]) -> Any:
    """Set all keys at once; return the token for :func:`leave`. The engine's way, without a copy."""
    return _current.set(values)


def leave(token: Any) -> None:
    """Restore the keys that :func:`enter` replaced."""
    _current.reset(token)
