"""What can be mapped over, how many items it has, and what flattening makes of it. Pure.

Rules are Prefect 1's, but for its faults: a dictionary is refused by name there and then, where Prefect 1's
whole run broke with a ``KeyError``; so are sets and generators, whose items have no place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from jupyter_flows.core.state import Skipped, State


class Item(msgspec.Struct, frozen=True, eq=False):
    """An item of what was flattened, and the place of the task that made it."""

    place: int
    value: Any


class Unmappable(TypeError):
    """Has no items that could be counted and taken by number; the text says what it is."""


def width_of(value: Any) -> int:
    """Return the number of items of *value*.

    Raises
    ------
    Unmappable : it has none that can be taken by number.

    Examples
    --------
    >>> width_of("abc"), width_of([1, 2])
    (3, 2)
    >>> width_of({"a": 1})
    Traceback (most recent call last):
        ...
    jupyter_flows.engine.mapping.Unmappable: a dict; map over list(it.items()) or list(it.values())
    """
    kind = type(value).__name__
    if isinstance(value, Mapping):
        raise Unmappable(f"a {kind}; map over list(it.items()) or list(it.values())")
    if hasattr(value, "keys") and hasattr(value, "iloc"):
        raise Unmappable(f"a {kind}; map over it.to_dict('records') or it.to_list()")
    if value is None:
        raise Unmappable("None")
    if not hasattr(value, "__getitem__") or not hasattr(value, "__len__"):
        hint = "; map over list(it)" if isinstance(value, Iterable) else ""
        raise Unmappable(f"of type {kind}, which has no items to take by number{hint}")
    return len(value)


def unnested(value: Any) -> Any:
    """Return the items of the items of *value*; what is no collection passes through.

    Examples
    --------
    >>> unnested([[1, 2], 3, (4,), "ab"])
    [1, 2, 3, 4, 'ab']
    """
    if not isinstance(value, list | tuple | set | frozenset) and not _is_array(value):
        return value
    return [item for nested in value for item in unnested_one(nested)]


def unnested_one(value: Any) -> list[Any]:
    """Return the items of *value* if it is a collection, else itself as the only one."""
    return list(value) if isinstance(value, list | tuple | set | frozenset) or _is_array(value) else [value]


def _is_array(value: Any) -> bool:
    return hasattr(value, "__array__") and hasattr(value, "__len__") and getattr(value, "ndim", 1) > 0


def can_be_mapped(state: State) -> bool:
    """Whether the result of a task in this state is there to be mapped over."""
    return state.is_successful() and not isinstance(state, Skipped)
