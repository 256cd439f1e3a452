"""What of a task's result is kept, and when a kept one stands for a call: targets, caches, checkpoints.

Rules are Prefect 1's, but for its faults: None is a value, a target brings a place to write to, and caches
of two flows meet only if they ask to by ``cache_key``.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from jupyter_flows.core import context as contexts
from jupyter_flows.core import state as states
from jupyter_flows.core.operators import Constant
from jupyter_flows.core.parameter import Parameter
from jupyter_flows.core.state import Cached, State
from jupyter_flows.core.task import Task
from jupyter_flows.engine.cache_validators import duration_only, hashed
from jupyter_flows.engine.results import LocalResult, Result
from jupyter_flows.engine.results.base import filled
from jupyter_flows.errors import EnvironmentFault
from jupyter_flows.notebook.cell_task import CellTask
from jupyter_flows.schema.base import utc_now

MOST_KEPT = 100
"""How many results of one key are kept."""

_kept: dict[str, list[Cached]] = {}
_lock = threading.Lock()


def needs_look_up(task: Task) -> bool:
    """Whether the task's result may be there before it is called."""
    return task.target is not None or task.cache_for is not None


def keeps(task: Task, context: Mapping[str, Any]) -> bool:
    """Whether there is anything to keep of what the task returns."""
    if task.cache_for is not None:
        return True
    return bool(context.get("checkpointing")) and _result(task, context) is not None


def look_up(task: Task, inputs: Mapping[str, Any], context: Mapping[str, Any]) -> State | None:
    """Return the state of a task whose result is there already, or None.

    Raises nothing: a result that cannot be read is a Failed state that says so.
    """
    token = contexts.enter(context)
    try:
        if task.target is not None:
            found = _at_target(task, inputs, context)
            if found is not None:
                return found
        return None if task.cache_for is None else _cached(task, inputs, context)
    finally:
        contexts.leave(token)


def keep(task: Task, inputs: Mapping[str, Any], context: Mapping[str, Any], value: Any) -> State:
    """Write what the task returned where it is to be written; return the state that the task is in then."""
    result = _result(task, context) if context.get("checkpointing") else None
    message = "Task run succeeded."
    location = None
    if result is not None:
        try:
            location = str(result.write(value, **_names(inputs, context)).location)
        except EnvironmentFault as error:
            return states.Failed(str(error), error)
        except NotImplementedError:
            location = None  # the base of results keeps nothing; by Prefect 1's rule that is no failure
        except KeyError as error:
            return states.Failed(_unfilled(f"the result of task {task.name}", result.location, error), error)
        except Exception as error:  # noqa: BLE001 - a place or a serializer of the user's
            sentence = f"the result of task {task.name}, a {type(value).__name__}, cannot be written"
            return states.Failed(f"{sentence}: {type(error).__name__}", error)
    if task.cache_for is None:
        return states.Success(message, value)
    cached = Cached(
        message,
        value,
        hashed_inputs={name: hashed(item) for name, item in inputs.items()},
        cached_parameters=dict(context.get("parameters") or {}),
        cached_result_expiration=utc_now() + task.cache_for,
    )
    if location is not None and result is not None:
        _write_down(task, context, cached, result, location)
    return cached


def remember(task: Task, state: State, context: Mapping[str, Any]) -> None:
    """Keep a state for later runs in this process."""
    if not isinstance(state, Cached) or task.cache_for is None:
        return
    with _lock:
        kept = _kept.setdefault(_key(task, context), [])
        if state not in kept:
            kept.insert(0, state)
            del kept[MOST_KEPT:]


def run_name(task: Task, inputs: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    """Return the name of a run of the task; the task's own if its template cannot be filled in."""
    assert task.task_run_name is not None
    try:
        return filled(task.task_run_name, _names(inputs, context))
    except Exception as error:  # noqa: BLE001 - a name is no reason to fail
        logger = context.get("logger")
        if logger is not None:
            logger.warning("task_run_name of %s cannot be filled in: %s", task.name, type(error).__name__)
        return str(context.get("task_full_name", task.name))


def _names(inputs: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
    """Return what templates and functions may name, also what follows from the date (``{today}``)."""
    token = contexts.enter(context)
    try:
        return {**(context.get("parameters") or {}), **contexts.context, **inputs}
    finally:
        contexts.leave(token)


def _result(task: Task, context: Mapping[str, Any]) -> Result | None:
    """Return where the task's result is written: its own place, else its flow's, else the default one."""
    if task.checkpoint is False or isinstance(task, Parameter | Constant | CellTask):
        return None
    found: Result | None = task.result if task.result is not None else context.get("flow_result")
    if found is None and needs_look_up(task):
        found = LocalResult()
    if found is not None and task.target is not None:
        found = found.copy()
        found.location = task.target
    return found


def _at_target(task: Task, inputs: Mapping[str, Any], context: Mapping[str, Any]) -> State | None:
    result = _result(task, context) or LocalResult()
    assert task.target is not None
    names = _names(inputs, context)
    try:
        location = filled(task.target, names)
    except Exception as error:  # noqa: BLE001 - a function of the user's, or a template with any name
        return states.Failed(_unfilled(f"the target of task {task.name}", task.target, error), error)
    try:
        if not _is_there(result, location, names):
            return None
        value = result.read(location).value
    except EnvironmentFault as error:
        return states.Failed(str(error), error)
    except Exception as error:  # noqa: BLE001 - whatever stands there was perhaps written by others
        return states.Failed(f"the target of task {task.name} cannot be read: {type(error).__name__}", error)
    return Cached(f"Result found at task target {location}", value)


def _unfilled(what: str, template: Any, error: Exception) -> str:
    """Return why a template gives no location: which of its names is not known."""
    if isinstance(error, KeyError) and isinstance(template, str):
        name = str(error.args[0])
        return f"{what} cannot be filled in: neither context, parameters nor arguments have {name!r}"
    return f"{what} cannot be filled in: {type(error).__name__}"


def _is_there(result: Result, location: str, names: Mapping[str, Any]) -> bool:
    if type(result).exists is Result.exists:
        return result.has_bytes(location)
    # A kind of the user's own, written for Prefect 1: it is asked as there, with the names.
    return result.exists(location, **{name: value for name, value in names.items() if name != "location"})


def _cached(task: Task, inputs: Mapping[str, Any], context: Mapping[str, Any]) -> State | None:
    validator = task.cache_validator or duration_only
    parameters = context.get("parameters") or {}
    with _lock:
        here = list(_kept.get(_key(task, context), ()))
    try:
        return _fitting(task, context, here, lambda state: validator(state, inputs, parameters))
    except Exception as error:  # noqa: BLE001 - a validator may be the user's
        return states.Failed(f"the cache_validator of task {task.name} raised {type(error).__name__}", error)


def _fitting(
    task: Task, context: Mapping[str, Any], here: Iterable[Cached], fits: Callable[[Cached], bool]
) -> Cached | None:
    """Return a kept state that fits: of this process, else of an earlier one."""
    for state in here:
        if fits(state):
            return state
    if not context.get("checkpointing") or task.checkpoint is False:
        return None
    for state, result, location in _written_down(task, context):
        if fits(state):
            try:
                state.result = result.read(location).value
            except Exception:  # noqa: BLE001, S112 - it was removed meanwhile: the task is called
                continue
            return state
    return None


def _key(task: Task, context: Mapping[str, Any]) -> str:
    return task.cache_key or f"{context.get('flow_name')}/{context.get('task_slug')}"


# -- across processes: one small file for each key ---------------------------------------------------------


def _file(task: Task, context: Mapping[str, Any]) -> Path:
    from jupyter_flows.settings import load_settings

    name = hashlib.sha256(_key(task, context).encode()).hexdigest()
    return load_settings().home / "cache" / name


def _write_down(task: Task, context: Mapping[str, Any], state: Cached, result: Result, location: str) -> None:
    """Note where a result lies, what it was made of, and until when it may be used. Not the value itself."""
    import cloudpickle

    path = _file(task, context)
    entry = (
        {
            "hashed_inputs": state.hashed_inputs,
            "cached_parameters": state.cached_parameters,
            "cached_result_expiration": state.cached_result_expiration,
        },
        result,
        location,
    )
    with _lock:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        entries = [entry, *_entries(path)][:MOST_KEPT]
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        beside.write_bytes(cloudpickle.dumps(entries))
        beside.replace(path)


def _entries(path: Path) -> list[Any]:
    import cloudpickle

    try:
        found: list[Any] = cloudpickle.loads(path.read_bytes())
    except Exception:  # noqa: BLE001 - no cache is as good as one that cannot be read
        return []
    return found


def _written_down(task: Task, context: Mapping[str, Any]) -> list[tuple[Cached, Result, str]]:
    return [
        (Cached("Result kept by an earlier run.", **made), result, location)
        for made, result, location in _entries(_file(task, context))
    ]
