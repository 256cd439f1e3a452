"""A call on its way to another process: in parts, of which those that come again are sent once.

What is no mapping among the arguments (the function, the task, what calls it) is the same for all children
of a map: it is pickled once in a run and sent once to each process. So is an input that comes again, as
unmapped ones do, and the flow's parameters. Other inputs, and the context, go with each call.
"""

from __future__ import annotations

import copy
import inspect
import pickle
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType
from typing import Any, NamedTuple

import cloudpickle
from cloudpickle import cloudpickle as internals

from jupyter_flows.core.state import Failed
from jupyter_flows.core.task import Task
from jupyter_flows.executors.workers.carry import Origin, is_picklable, name_of, origin_of

MOST_KEPT = 32
"""Shared parts that a process keeps; a flow's tasks come in turn, so few are used at a time."""
SHORT = 100
"""Texts below this length are sent again and again: it costs less than to look for them."""
SCRIPT_MODULE = "__flow_script__"
"""What a script is called whose flow was loaded from it."""
_SMALL = frozenset({bool, int, float, complex, type(None)})
_TEXTS = frozenset({str, bytes})


class Part(NamedTuple):
    """An argument: bytes, or the number of a shared one that the process may have already."""

    number: int | None
    data: bytes


class Call(NamedTuple):
    """A function and its arguments, pickled.

    Parameters
    ----------
    parts : tuple of Part
        The function, the arguments, then values that belong into mappings among these.
    places : tuple
        For each of the latter: the mapping's place among *parts*, and its key there.
    origin : Origin
    """

    parts: tuple[Part, ...]
    places: tuple[tuple[int, str], ...]
    origin: Origin


class CannotSend(Exception):
    """Something of a call cannot be pickled; ``str`` is a sentence, ``failed`` the state it means."""

    @property
    def failed(self) -> Failed:
        """The state of the task whose call it was."""
        return Failed(str(self), self)


class Recent:
    """What was used last, by number; sender and receiver keep the same, because both see the same calls."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._kept: OrderedDict[int, Any] = OrderedDict()

    def get(self, number: int) -> Any:
        """Return what is kept under *number*, which is then the newest; None if nothing is."""
        if number not in self._kept:
            return None
        self._kept.move_to_end(number)
        return self._kept[number]

    def put(self, number: int, value: Any) -> None:
        """Keep *value*; the oldest goes if there are too many."""
        self._kept[number] = value
        self._kept.move_to_end(number)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)


class Sender:
    """Pickles the calls of one run."""

    def __init__(self) -> None:
        _send_scripts_by_value()
        self._shared: OrderedDict[int, tuple[Any, Part]] = OrderedDict()
        self._next = 0
        self._seen: dict[str, Any] = {}

    def call(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Call:
        """Return the call as it travels.

        Raises
        ------
        CannotSend : naming the argument and its type.
        """
        apart: list[tuple[int, str, Part]] = []
        try:
            parts = [self._part(function)]
            for place, found in enumerate(args, 1):
                if not isinstance(found, Mapping):
                    parts.append(self._part(found))
                    continue
                keys = ("parameters",) if "flow_run_id" in found else tuple(found)
                again = [key for key in keys if key in found and self._comes_again(key, found[key])]
                apart.extend((place, key, self._part(found[key])) for key in again)
                own = {key: value for key, value in found.items() if key not in again} if again else found
                parts.append(Part(None, cloudpickle.dumps(own)))
        except Exception as error:
            raise CannotSend(_sentence(args, error)) from error
        places = tuple((place, key) for place, key, _ in apart)
        return Call((*parts, *(part for _, _, part in apart)), places, origin_of(args))

    def _comes_again(self, key: str, value: Any) -> bool:
        """Whether an input was there in the call before, or is known from an earlier one, and is worth it."""
        if type(value) in _SMALL or (type(value) in _TEXTS and len(value) < SHORT):
            return False
        is_known = self._seen.get(key) is value or id(value) in self._shared
        self._seen[key] = value
        return is_known

    def _part(self, found: Any) -> Part:
        kept = self._shared.get(id(found))
        if kept is not None:  # it is the same object: as long as it is kept, its id is its own
            self._shared.move_to_end(id(found))
            return kept[1]
        part = Part(self._next, cloudpickle.dumps(_bare(found)))
        self._next += 1
        self._shared[id(found)] = found, part
        if len(self._shared) > MOST_KEPT:
            self._shared.popitem(last=False)
        return part


def loaded(call: Call, kept: Recent) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Return the function and the arguments; shared parts are loaded once."""
    found = []
    for number, data in call.parts:
        known = None if number is None else kept.get(number)
        if known is None:
            known = (pickle.loads(data),)  # noqa: S301 - from the process that started this one
            if number is not None:
                kept.put(number, known)
        found.append(known[0])
    return assembled(found, call.places)


def assembled(
    found: list[Any], places: tuple[tuple[int, str], ...]
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Put the values that came apart into their mappings; return the function and the arguments."""
    first = len(found) - len(places)
    for (place, key), value in zip(places, found[first:], strict=True):
        found[place][key] = value
    return found[0], tuple(found[1:first])


def _send_scripts_by_value() -> None:
    """Have functions and classes of a flow's script sent themselves: its module exists here only."""
    module = sys.modules.get(SCRIPT_MODULE)
    if module is not None and SCRIPT_MODULE not in cloudpickle.list_registry_pickle_by_value():
        cloudpickle.register_pickle_by_value(module)


def _bare(found: Any) -> Any:
    """Return a task without its state handlers, which are called by the run only; else what was given."""
    if isinstance(found, Task) and found.state_handlers:
        found = copy.copy(found)
        found.state_handlers = []
    return found


def _sentence(args: tuple[Any, ...], error: Exception) -> str:
    whose = name_of(args)
    for found in args:
        if isinstance(found, Mapping):
            where = "context" if "flow_run_id" in found else "argument"
            named: Iterator[tuple[str, Any]] = ((f"its {where} {key!r}", own) for key, own in found.items())
        elif isinstance(found, Task):
            named = ((f"{name!r}, which it uses,", value) for name, value in _used_by(_bare(found)))
        else:
            continue
        for what, value in named:
            if not is_picklable(value):
                kind = type(value)
                return (
                    f"{whose} cannot be sent to another process: {what} is of type "
                    f"{kind.__module__}.{kind.__qualname__}, which cannot be pickled; "
                    "make it inside the task, or use a LocalExecutor or ThreadExecutor"
                )
    return f"{whose} cannot be sent to another process: it cannot be pickled ({type(error).__name__})"


def _used_by(task: Task) -> Iterator[tuple[str, Any]]:
    """Yield what a task refers to: globals and closure of its function, and its own attributes."""
    function = inspect.unwrap(task.run)
    function = getattr(function, "__func__", function)
    if isinstance(function, FunctionType):
        for name in internals._extract_code_globals(function.__code__):  # noqa: SLF001
            if name in function.__globals__:
                yield name, function.__globals__[name]
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
            yield name, cell.cell_contents
    for name, value in vars(task).items():
        if name != "run":
            yield name, value
