"""What comes back from another process: a value, or why there is none, and what was logged meanwhile.

Whatever a body returns or raises, something that can be loaded here comes back: what cannot be pickled
becomes a ``Failed`` with a sentence. Nothing of an exception's own text is put into that sentence.
"""

from __future__ import annotations

import logging
import os
import pickle
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from uuid import uuid4

import cloudpickle

from jupyter_flows.core import context as contexts
from jupyter_flows.core.state import Failed, State
from jupyter_flows.core.task import Task

MOST_LINES = 10_000
"""Most lines of log that come back with one value."""

_token = uuid4().hex


class Origin(NamedTuple):
    """The process that asks, and how much of the log it wants."""

    process: str
    level: int


class Line(NamedTuple):
    """A line of the log, on its way to the process that asked."""

    logger: str
    level: int
    message: str
    created: float


class Carried(NamedTuple):
    """What a call gave, as bytes.

    Parameters
    ----------
    data : bytes, optional
        The value, or the exception; None if the call was interrupted.
    is_error : bool
        Whether it is to be raised.
    trace : str, optional
        The traceback of the exception inside, as text: frames do not travel.
    lines : tuple of Line
        What was logged, if it was not sent while the call ran.
    """

    data: bytes | None
    is_error: bool = False
    trace: str | None = None
    lines: tuple[Line, ...] = ()


class RemoteTraceback(Exception):
    """Stands as the cause of an exception that came from another process; its text is the traceback."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"\n{self.text}"


class LostException(Exception):
    """Stands for an exception that could not be pickled; tells its class."""


def this_process() -> str:
    """Return a word for this process that no other has, on whatever machine."""
    return f"{_token}-{os.getpid()}"


def origin_of(args: tuple[Any, ...]) -> Origin:
    """Return who asks for a call with *args*, and the level of the log that its flow writes."""
    logger = context_in(args).get("logger")
    level = logger.getEffectiveLevel() if isinstance(logger, logging.Logger) else logging.INFO
    return Origin(this_process(), level)


def context_in(args: tuple[Any, ...]) -> Mapping[str, Any]:
    """Return the context of a task's run among the arguments of a call."""
    for found in reversed(args):
        if isinstance(found, Mapping) and "flow_run_id" in found:
            return found
    return {}


def name_of(args: tuple[Any, ...]) -> str:
    """Return what messages call a call with *args*.

    Examples
    --------
    >>> name_of((Task(name="load"), {}))
    'task load'
    """
    full_name = context_in(args).get("task_full_name")
    if full_name is None:
        full_name = next((found.name for found in args if isinstance(found, Task)), None)
    return "a call" if full_name is None else f"task {full_name}"


def carry(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    *,
    origin: Origin,
    tell: Callable[[Line], None] | None = None,
) -> Carried:
    """Call *function* in this process for another one.

    Parameters
    ----------
    function : callable
    args : tuple
    origin : Origin
    tell : callable, optional
        Takes lines of the log as they are written; without it they come back with the value.
    """
    lines: list[Line] = []

    def keep(line: Line) -> None:
        if len(lines) < MOST_LINES:
            lines.append(line)

    is_error = False
    with _heard(context_in(args), origin, tell or keep):
        try:
            value = function(*args)
        except KeyboardInterrupt:
            return Carried(None, lines=tuple(lines))
        except BaseException as error:  # noqa: BLE001 - raised again in the process that asked
            value, is_error = error, True
    return packed(value, name_of(args), is_error=is_error)._replace(lines=tuple(lines))


def packed(value: Any, whose: str, *, is_error: bool = False) -> Carried:
    """Return *value* as bytes that can be loaded, or a ``Failed`` that says why it cannot be."""
    trace = None
    error = value if is_error else value.result if isinstance(value, State) else None
    if isinstance(error, BaseException):
        trace = _text_of(error)
        if not _travels(error):
            lost = LostException(f"a {_kind(error)}, which cannot be sent to another process")
            if is_error:
                value = lost
            else:
                value.result = lost
    try:
        return Carried(cloudpickle.dumps(value), is_error, trace)
    except Exception as problem:  # noqa: BLE001 - whatever pickling says, it is about the value
        return Carried(cloudpickle.dumps(_not_sendable(value, whose, problem)))


def unpacked(carried: Carried, whose: str) -> Any:
    """Return the value that was carried here.

    Raises
    ------
    KeyboardInterrupt : the call was interrupted.
    BaseException : what the call raised.
    """
    if carried.data is None:
        raise KeyboardInterrupt
    try:
        value = pickle.loads(carried.data)  # noqa: S301 - from a process of this run
    except Exception as problem:  # noqa: BLE001 - a value's own code runs while it is loaded
        return Failed(
            f"{whose}: its result came back from its process but cannot be loaded here "
            f"({type(problem).__name__})",
            problem,
        )
    error = value if carried.is_error else value.result if isinstance(value, State) else None
    # Where Dask is installed, exceptions bring their traceback along by themselves (tblib).
    if carried.trace is not None and isinstance(error, BaseException) and error.__traceback__ is None:
        error.__cause__ = RemoteTraceback(carried.trace)
    if carried.is_error:
        raise value
    return value


def repeat(line: Line, context: Mapping[str, Any]) -> None:
    """Write a line that was logged elsewhere to the log here, within its task's *context*."""
    record = logging.makeLogRecord(
        {
            "name": line.logger,
            "levelno": line.level,
            "levelname": logging.getLevelName(line.level),
            "msg": line.message,
            "created": line.created,
            "msecs": int(line.created % 1 * 1000),
        }
    )
    token = contexts.enter(context)
    try:
        logging.getLogger(line.logger).handle(record)
    finally:
        contexts.leave(token)


class _Ear(logging.Handler):
    """Hears what one call logs."""

    def __init__(self, task_run_id: Any, tell: Callable[[Line], None]) -> None:
        super().__init__()
        self._task_run_id = task_run_id
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Pass the line on. A thread that a task started has no context: its lines are its task's."""
        if contexts.context.get("task_run_id", self._task_run_id) != self._task_run_id:
            return
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - arguments that do not fit the text, as logging itself forgives
            message = str(record.msg)
        self._tell(Line(record.name, record.levelno, message, record.created))


@contextmanager
def _heard(context: Mapping[str, Any], origin: Origin, tell: Callable[[Line], None]) -> Iterator[None]:
    """Hear what the flow's logger is told; in the process that asked it is heard already."""
    logger = context.get("logger")
    if not isinstance(logger, logging.Logger) or origin.process == this_process():
        yield
        return
    ear = _Ear(context.get("task_run_id"), tell)
    logger.addHandler(ear)
    if logger.getEffectiveLevel() != origin.level:
        logger.setLevel(origin.level)
    try:
        yield
    finally:
        logger.removeHandler(ear)


def _travels(error: BaseException) -> bool:
    """Whether an exception can be pickled and loaded: many cannot be made again from their ``args``."""
    try:
        again = pickle.loads(cloudpickle.dumps(error))  # noqa: S301 - what was pickled in this line
    except Exception:  # noqa: BLE001 - whatever it is, the exception cannot travel
        return False
    return type(again) is type(error)


def _text_of(error: BaseException) -> str | None:
    if error.__traceback__ is None and error.__cause__ is None:
        return None
    return "".join(traceback.format_exception(error))


def _not_sendable(value: Any, whose: str, problem: Exception) -> Failed:
    what = value.result if isinstance(value, State) else value
    return Failed(
        f"{whose} returned {_kind(what, article=True)}{_inside(what)}, which cannot be brought back from the "
        "process it ran in; return plain data, or use a LocalExecutor or ThreadExecutor",
        LostException(f"the result cannot be pickled ({type(problem).__name__})"),
    )


def _inside(value: Any) -> str:
    """Say what part of a container cannot be pickled, if it is a part."""
    parts: Any = ()
    if isinstance(value, Mapping):
        parts = value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        parts = value
    for part in parts:
        if not is_picklable(part):
            return f" that holds {_kind(part, article=True)}"
    return ""


def is_picklable(value: Any) -> bool:
    """Whether *value* can be sent to another process."""
    try:
        cloudpickle.dumps(value)
    except Exception:  # noqa: BLE001 - whatever it is, it cannot be pickled
        return False
    return True


def _kind(value: Any, *, article: bool = False) -> str:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}" if article else name
