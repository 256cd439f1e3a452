"""How an argument of a mapped task is meant: item by item, whole, or with its nesting taken out. Pure.

Annotations of arguments, as Prefect 1 has them; they nest: ``flatten(unmapped(x))``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from jupyter_flows.errors import InvalidTask


class EdgeAnnotation:
    """An argument with how it is meant.

    Parameters
    ----------
    value : any
        A task, or a constant.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"


class unmapped(EdgeAnnotation):  # noqa: N801 - Prefect 1's name
    """Give the whole value to every child of a mapped task.

    Examples
    --------
    >>> from jupyter_flows import Flow, task
    >>> with Flow("scaled") as flow:
    ...     scaled = task(lambda x, by: x * by).map([1, 2, 3], unmapped(10))
    >>> flow.run().result[scaled].result
    [10, 20, 30]
    """


class mapped(EdgeAnnotation):  # noqa: N801 - Prefect 1's name
    """Map over this argument of an ordinary call.

    Examples
    --------
    >>> from jupyter_flows import Flow, task
    >>> with Flow("scaled") as flow:
    ...     scaled = task(lambda x, by: x * by)(mapped([1, 2, 3]), by=10)
    >>> flow.run().result[scaled].result
    [10, 20, 30]
    """


class flatten(EdgeAnnotation):  # noqa: N801 - Prefect 1's name
    """Take out one level of nesting before mapping over the argument, or before it is passed.

    Examples
    --------
    >>> from jupyter_flows import Flow, task
    >>> with Flow("flat") as flow:
    ...     doubled = task(lambda x: 2 * x).map(flatten([[1, 2], [3]]))
    >>> flow.run().result[doubled].result
    [2, 4, 6]
    """


class Meant(NamedTuple):
    """An argument without its annotations, and what they said."""

    value: Any
    mapped: bool
    flattened: bool


def meant(argument: Any, *, is_mapped: bool = False) -> Meant:
    """Take the annotations off an argument.

    Parameters
    ----------
    is_mapped : bool
        Whether the call maps over what is not annotated.

    Examples
    --------
    >>> meant(flatten(unmapped(5)), is_mapped=True)
    Meant(value=5, mapped=False, flattened=True)
    """
    flattened = False
    while isinstance(argument, EdgeAnnotation):
        if isinstance(argument, unmapped):
            is_mapped = False
        elif isinstance(argument, mapped):
            is_mapped = True
        else:
            flattened = True
        argument = argument.value
    return Meant(argument, is_mapped, flattened)


def check_items(value: Any, argument: str, task_name: str) -> None:
    """Refuse a constant that a task is mapped over and that has no items.

    Raises
    ------
    InvalidTask : it has none that can be taken by number.
    """
    if not hasattr(value, "__getitem__") or not hasattr(value, "__len__") or isinstance(value, dict):
        msg = (
            f"task {task_name!r} cannot be mapped over argument {argument!r}: it is of type "
            f"{type(value).__name__}, which has no items to take one by one; "
            "wrap it in unmapped(...) to give it to every child, or make it a list"
        )
        raise InvalidTask(msg)
