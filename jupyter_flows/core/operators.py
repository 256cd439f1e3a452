"""Tasks that the library makes itself: operators on tasks, collections of tasks, constants. Pure."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from jupyter_flows.core.task import Task, _operators

_NO_DEFAULT: Any = object()


class _Generated(Task):
    auto_generated = True


class Constant(_Generated):
    """A value that is a task, where a plain value cannot stand."""

    def __init__(self, value: Any, name: str | None = None, **options: Any) -> None:
        self.value = value
        super().__init__(name or f"Constant[{type(value).__name__}]", **options)

    def run(self) -> Any:
        """Return the value."""
        return self.value


class List(_Generated):
    """The results of several tasks as a list.

    Examples
    --------
    >>> from jupyter_flows import Flow
    >>> with Flow("pair") as flow:
    ...     pair = List().bind(Constant(1), 2)
    >>> flow.run().result[pair].result
    [1, 2]
    """

    def bind(self, *args: Any, **options: Any) -> Task:
        """Bind the items, in order."""
        return super().bind(**{f"item_{place}": item for place, item in enumerate(args)}, **options)

    def run(self, **items: Any) -> Any:
        """Collect them in order."""
        return [items[key] for key in sorted(items, key=_place)]


class Tuple(List):
    """The results of several tasks as a tuple."""

    def run(self, **items: Any) -> Any:
        """Collect them in order."""
        return tuple(super().run(**items))


class Set(List):
    """The results of several tasks as a set."""

    def run(self, **items: Any) -> Any:
        """Collect them."""
        return set(super().run(**items))


class Dict(_Generated):
    """The results of several tasks as a dictionary.

    Made by hand it takes two lists: ``Dict().bind(keys=["a"], values=[task])``.
    """

    def __init__(self, keys: tuple[Any, ...] = (), **options: Any) -> None:
        self.keys = keys
        super().__init__(**options)

    def run(self, **items: Any) -> Any:
        """Collect them under their keys."""
        if "values" in items:
            return dict(zip(items["keys"], items["values"], strict=True))
        return {key: items[f"item_{place}"] for place, key in enumerate(self.keys)}


def _place(key: str) -> int:
    return int(key.removeprefix("item_"))


def _binary(name: str, function: Callable[[Any, Any], Any]) -> type[Task]:
    def run(self: Task, x: Any, y: Any) -> Any:
        del self
        return function(x, y)

    return type(
        name, (_Generated,), {"run": run, "__doc__": f"``{name}`` of two results.", "__module__": __name__}
    )


class Not(_Generated):
    """``not`` of a result."""

    def run(self, x: Any) -> Any:
        """Negate."""
        return not x


class GetItem(_Generated):
    """An item of a result.

    Parameters
    ----------
    default : any, optional
        What stands for a key that is missing; else that fails the task.
    options : any
        Of :class:`~jupyter_flows.Task`.
    """

    def __init__(self, default: Any = _NO_DEFAULT, **options: Any) -> None:
        if default is not _NO_DEFAULT:
            self.default = default
        super().__init__(**options)

    def run(self, task_result: Any, key: Any, default: Any = _NO_DEFAULT) -> Any:
        """Subscribe."""
        try:
            return task_result[key]
        except KeyError:
            default = self.__dict__.get("default", _NO_DEFAULT) if default is _NO_DEFAULT else default
            if default is _NO_DEFAULT:
                raise
            return default


Add = _binary("Add", operator.add)
Sub = _binary("Sub", operator.sub)
Mul = _binary("Mul", operator.mul)
Div = _binary("Div", operator.truediv)
FloorDiv = _binary("FloorDiv", operator.floordiv)
Mod = _binary("Mod", operator.mod)
Pow = _binary("Pow", operator.pow)
MatMul = _binary("MatMul", operator.matmul)
And = _binary("And", lambda left, right: left and right)
Or = _binary("Or", lambda left, right: left or right)
Equal = _binary("Equal", operator.eq)
NotEqual = _binary("NotEqual", operator.ne)
GreaterThan = _binary("GreaterThan", operator.gt)
GreaterThanOrEqual = _binary("GreaterThanOrEqual", operator.ge)
LessThan = _binary("LessThan", operator.lt)
LessThanOrEqual = _binary("LessThanOrEqual", operator.le)

_operators.update(
    {
        kind.__name__: kind
        for kind in (
            Add, Sub, Mul, Div, FloorDiv, Mod, Pow, MatMul, And, Or, Equal, NotEqual, GreaterThan,
            GreaterThanOrEqual, LessThan, LessThanOrEqual, Not, GetItem,
        )
    }
)  # fmt: skip


_COLLECTIONS: dict[type, type[Task]] = {list: List, tuple: Tuple, set: Set}


def holds_task(value: Any) -> bool:
    """Whether *value* is a task, or a collection with one inside."""
    if isinstance(value, Task):
        return True
    if type(value) is dict:
        return any(holds_task(item) for item in value.values())
    return type(value) in _COLLECTIONS and any(holds_task(item) for item in value)


def collection(value: Any) -> tuple[Task, dict[str, Any]]:
    """Return the task that makes a collection of tasks, and its arguments."""
    if type(value) is dict:
        return Dict(tuple(value)), {f"item_{place}": item for place, item in enumerate(value.values())}
    return _COLLECTIONS[type(value)](), {f"item_{place}": item for place, item in enumerate(value)}
