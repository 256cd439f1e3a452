"""What a task or flow is given, as it is kept: checked, and of one kind. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from jupyter_flows.errors import InvalidTask


def as_delay(value: timedelta | float | None, name: str, what: str) -> timedelta | None:
    """Return a duration; a number is seconds.

    Raises
    ------
    InvalidTask : it is none.
    """
    if value is None or (isinstance(value, timedelta) and value >= timedelta(0)):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return timedelta(seconds=value)
    msg = f"task {name!r}: {what} is {value!r}; give a timedelta or seconds"
    raise InvalidTask(msg)


class Duration:
    """A duration that may be set as seconds, also on a task that is there already."""

    # Without __get__ at run time, so that reading is a plain look-up in the task.
    if TYPE_CHECKING:

        def __get__(self, task: object, kind: type | None = None) -> timedelta | None: ...

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __set__(self, task: Any, value: timedelta | float | None) -> None:
        task.__dict__[self._name] = as_delay(value, task.name, self._name)


def as_count(value: int | None, name: str, what: str) -> int | None:
    """Return a number of things.

    Raises
    ------
    InvalidTask : it is no whole number, or a negative one.
    """
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        msg = f"task {name!r}: {what} is {value!r}; give a whole number"
        raise InvalidTask(msg)
    if value is not None and value < 0:
        msg = f"task {name!r}: {what} is {value}; it cannot be negative"
        raise InvalidTask(msg)
    return value


def as_tags(value: Iterable[str] | None, name: str) -> frozenset[str]:
    """Return words as a set.

    Raises
    ------
    InvalidTask : it is one text.
    """
    if isinstance(value, str):
        msg = f"task {name!r}: tags is the text {value!r}; give a list of words"
        raise InvalidTask(msg)
    return frozenset(value or ())


def as_exceptions(value: Any, name: str) -> tuple[type[BaseException], ...]:
    """Return classes of exceptions, one or several, as a tuple.

    Raises
    ------
    InvalidTask : something else is among them.
    """
    if value is None:
        return ()
    kinds = tuple(value) if isinstance(value, list | tuple | set | frozenset) else (value,)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            msg = f"task {name!r}: retry_on has {kind!r}; give classes of exceptions, such as OSError"
            raise InvalidTask(msg)
    return kinds


def results_of(run: Callable[..., Any]) -> int | None:
    """Return how many results a function says that it returns: ``-> tuple[A, B]`` is two."""
    if "return" not in getattr(run, "__annotations__", ()):
        return None
    hint = hints_of(run).get("return")
    kinds = get_args(hint)
    if get_origin(hint) is not tuple or not kinds or kinds[-1] is Ellipsis:
        return None
    return len(kinds)


def hints_of(run: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of a function, none if they cannot be looked up."""
    try:
        return get_type_hints(run)
    except Exception:  # noqa: BLE001 - an annotation may name what cannot be looked up; it is a hint only
        return {}


def as_handlers(
    handlers: Iterable[Callable[..., Any]] | None, on_failure: Callable[..., Any] | None, whose: str
) -> list[Callable[..., Any]]:
    """Return state handlers as a list, what is to be called on a failure among them.

    Raises
    ------
    InvalidTask : they are no list of functions.
    """
    if handlers is not None and (callable(handlers) or not isinstance(handlers, Iterable)):
        msg = f"{whose}: state_handlers is {handlers!r}; give a list of functions (task or flow, old, new)"
        raise InvalidTask(msg)
    found = [*(handlers or ())]
    for handler in found:
        if not callable(handler):
            msg = f"{whose}: state_handlers has {handler!r}; give functions (task or flow, old, new)"
            raise InvalidTask(msg)
    if on_failure is not None and not callable(on_failure):
        msg = f"{whose}: on_failure is {on_failure!r}; give a function (task or flow, state)"
        raise InvalidTask(msg)
    if on_failure is not None:
        found.append(_on_failure(on_failure))
    return found


def _on_failure(handler: Callable[..., Any]) -> Callable[..., None]:
    def on_state(subject: Any, _old: Any, new: Any) -> None:
        if new.is_failed():
            handler(subject, new)

    return on_state


def as_option(attribute: str, value: Any, task: Any) -> Any:
    """Return a value of ``task_args`` as the attribute keeps it; tags are added to those of *task*.

    Raises
    ------
    InvalidTask : it is none for this attribute.
    """
    match attribute:
        case "tags":
            return task.tags | as_tags(value, task.name)
        case "max_retries":
            return as_count(value, task.name, attribute) or 0
        case "retry_on":
            return as_exceptions(value, task.name)
        case "state_handlers":
            return as_handlers(value, None, f"task {task.name!r}")
    return value
