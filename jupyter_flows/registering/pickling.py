"""A flow to bytes: the same bytes for the same flow, and a sentence for what cannot be pickled.

cloudpickle by itself gives other bytes in each process: code objects carry the kernel's temporary file
names, and classes by value a random id. Both are made to depend on content here, so that registering an
unchanged flow makes no new version.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import pickle
import pickletools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import cloudpickle
from cloudpickle import cloudpickle as internals

from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.core.task import Task
from jupyter_flows.errors import CannotPickle

HEALTH_CHECK_LIMIT_S = 120
LIMIT_BYTES = 256 * 1024 * 1024
_LOAD = "import sys, cloudpickle; cloudpickle.load(sys.stdin.buffer).sorted_tasks()"


def pickle_flow(flow: FlowGraph, *, by_value: tuple[ModuleType, ...] = ()) -> bytes:
    """Return the flow as cloudpickle bytes.

    Parameters
    ----------
    flow : FlowGraph
    by_value : tuple of module
        Modules whose functions and classes go into the pickle themselves (a script that is no module).

    Raises
    ------
    CannotPickle : naming the task, the variable and its type.
    """
    registered = [module for module in by_value if module.__name__ not in internals._PICKLE_BY_VALUE_MODULES]  # noqa: SLF001
    for module in registered:
        cloudpickle.register_pickle_by_value(module)
    try:
        return _dumps(flow)
    except RecursionError as error:
        msg = f"flow {flow.name!r} cannot be pickled: its objects are nested too deeply"
        raise CannotPickle(msg) from error
    except Exception as error:
        raise CannotPickle(_culprit(flow, error)) from error
    finally:
        for module in registered:
            cloudpickle.unregister_pickle_by_value(module)


def check_in_fresh_interpreter(data: bytes, *, flow_name: str) -> None:
    """Load the pickle back in another process, as an agent will.

    Raises
    ------
    CannotPickle : with the class of what went wrong there.
    """
    done = subprocess.run(  # noqa: S603 - our own interpreter, a constant program
        [sys.executable, "-c", _LOAD],
        input=data,
        capture_output=True,
        timeout=HEALTH_CHECK_LIMIT_S,
        check=False,
        cwd="/",
    )
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        msg = (
            f"flow {flow_name!r} was pickled, but a fresh interpreter cannot load it: "
            f"{lines[-1] if lines else 'it died'}; "
            "what its tasks use must be importable there, or defined in the notebook or script"
        )
        raise CannotPickle(msg)


def modules_in(data: bytes) -> list[str]:
    """Return the names of the modules that a pickle refers to."""
    found: set[str] = set()
    texts: list[str] = []
    memo: dict[int, str] = {}
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name == "GLOBAL" and isinstance(argument, str):
            found.add(argument.split(" ")[0])
        elif isinstance(argument, str):
            texts.append(argument)
        elif opcode.name == "MEMOIZE":
            memo[len(memo)] = texts[-1] if texts else ""
        elif opcode.name in {"BINGET", "LONG_BINGET"} and isinstance(argument, int):
            texts.append(memo.get(argument, ""))
        elif opcode.name == "STACK_GLOBAL" and len(texts) >= 2:
            found.add(texts[-2])
    return sorted(name for name in found if name and name.replace(".", "_").isidentifier())


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """cloudpickle, with bytes that depend on content alone."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, CodeType):
            return internals._code_reduce(_without_place(obj))  # noqa: SLF001
        if isinstance(obj, type) and internals._should_pickle_by_reference(obj) is False:  # noqa: SLF001
            _give_id(obj)
        return super().reducer_override(obj)


def _dumps(value: Any) -> bytes:
    with io.BytesIO() as stream:
        _Pickler(stream, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
        return stream.getvalue()


def _without_place(code: CodeType) -> CodeType:
    """Return the code with a file name that says nothing of this process."""
    name = Path(code.co_filename).name
    in_kernel = "ipykernel_" in code.co_filename or code.co_filename.startswith("<")
    return code.replace(co_filename="<notebook>" if in_kernel else name)


def _give_id(kind: type) -> None:
    """Give a class that is pickled by value an id made of its content, instead of a random one."""
    known = internals._DYNAMIC_CLASS_TRACKER_BY_CLASS  # noqa: SLF001
    if kind in known:
        return
    parts = [kind.__qualname__, *(base.__qualname__ for base in kind.__mro__)]
    for name, value in sorted(vars(kind).items()):
        function = getattr(value, "__func__", value)
        if isinstance(function, FunctionType):
            code = function.__code__
            parts += [name, code.co_code.hex(), repr(code.co_names), repr(code.co_varnames), _constants(code)]
        elif isinstance(value, int | float | str | bytes | tuple | None):
            parts += [name, repr(value)]
    identity = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    with internals._DYNAMIC_CLASS_TRACKER_LOCK:  # noqa: SLF001
        internals._DYNAMIC_CLASS_TRACKER_BY_ID[identity] = kind  # noqa: SLF001
        known[kind] = identity


def _constants(code: CodeType) -> str:
    return repr([_constants(item) if isinstance(item, CodeType) else item for item in code.co_consts])


def _culprit(flow: FlowGraph, error: BaseException) -> str:
    """Say which variable of which task cannot be pickled."""
    for task in flow.tasks:
        for name, value in _used_by(task):
            if not _picklable(value):
                inner = _inside(value)
                kind = f"a {_type_name(value)}" + (
                    f" that holds a {_type_name(inner)}" if inner is not None else ""
                )
                return (
                    f"task {task.name!r}{_cell_of(task)} uses {name!r}, {kind}, which cannot be pickled; "
                    "create it inside the task, or register with storage notebook or script"
                )
        if not _picklable(task):
            return f"task {task.name!r}{_cell_of(task)} cannot be pickled ({type(error).__name__})"
    return f"flow {flow.name!r} cannot be pickled ({type(error).__name__})"


def _used_by(task: Task) -> Iterator[tuple[str, Any]]:
    """Yield what a task refers to: globals and closure of its function, and its own attributes."""
    function = inspect.unwrap(task.run)
    function = getattr(function, "__func__", function)
    if isinstance(function, FunctionType):
        names = internals._extract_code_globals(function.__code__)  # noqa: SLF001
        for name in names:
            if name in function.__globals__:
                yield name, function.__globals__[name]
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
            yield name, cell.cell_contents
    for name, value in vars(task).items():
        if name != "run":
            yield name, value


def _picklable(value: Any) -> bool:
    try:
        _dumps(value)
    except Exception:  # noqa: BLE001 - whatever it is, it cannot be pickled
        return False
    return True


def _inside(value: Any) -> Any:
    """Return the part of a container or function that cannot be pickled, if it is a part."""
    if isinstance(value, dict):
        parts: Any = value.values()
    elif isinstance(value, list | tuple | set):
        parts = value
    elif isinstance(value, FunctionType):
        parts = [
            value.__globals__[name]
            for name in internals._extract_code_globals(value.__code__)  # noqa: SLF001
            if name in value.__globals__
        ]
    else:
        parts = getattr(value, "__dict__", {}).values()
    return next((part for part in parts if not _picklable(part)), None)


def _type_name(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _cell_of(task: Task) -> str:
    """Say which cell of the running kernel a task's function came from."""
    index = getattr(task, "index", None)
    if index is not None:
        return f" (cell {index})"
    function = inspect.unwrap(task.run)
    code = getattr(function, "__code__", None)
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if code is None or shell is None:
        return ""
    counts = getattr(shell.compile, "_filename_map", {})
    number = counts.get(code.co_filename)
    return f" (cell In [{number}])" if number is not None else ""
