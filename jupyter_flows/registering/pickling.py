"""A flow to bytes: the same bytes for the same flow, and a sentence for what cannot be pickled.

cloudpickle by itself gives other bytes in each process: code objects carry the kernel's temporary file
names, classes by value a random id, and sets stand in the order of that process's hash seed. All three are
made to depend on content here, so that registering an unchanged flow makes no new version.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import pickle
import pickletools
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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
DEEPEST = 20_000
"""Python frames that pickling may nest: a chain of a thousand functions that call each other."""
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


_PythonPickler: Any = pickle._Pickler  # noqa: SLF001 - the C one gives no say in how sets are written


class _Pickler(_PythonPickler):  # type: ignore[misc]
    """cloudpickle's rules on the Python pickler, with bytes that depend on content alone."""

    dispatch = dict(_PythonPickler.dispatch)
    dispatch_table = cloudpickle.Pickler.dispatch_table
    _function_reduce = cloudpickle.Pickler._function_reduce  # noqa: SLF001
    _dynamic_function_reduce = cloudpickle.Pickler._dynamic_function_reduce  # noqa: SLF001
    _function_getnewargs = cloudpickle.Pickler._function_getnewargs  # noqa: SLF001

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream, protocol=pickle.HIGHEST_PROTOCOL)
        self.globals_ref: dict[int, dict[str, Any]] = {}

    def reducer_override(self, obj: Any) -> Any:
        """Ask cloudpickle for what is not plain data."""
        kind = type(obj)
        if kind in _PLAIN:
            return NotImplemented
        if kind is FunctionType:
            return self._function_reduce(obj)
        if kind is CodeType:
            return internals._code_reduce(_without_place(obj))  # noqa: SLF001
        if isinstance(obj, type):
            if internals._should_pickle_by_reference(obj) is False:  # noqa: SLF001
                _give_id(obj)
            return internals._class_reduce(obj)  # noqa: SLF001
        return NotImplemented

    def save_set(self, obj: set[Any]) -> None:
        """Write a set in an order that is its content's (cf. ``pickle._Pickler.save_set``)."""
        self.write(pickle.EMPTY_SET)
        self.memoize(obj)
        self.write(pickle.MARK)
        for item in _in_order(obj):
            self.save(item)
        self.write(pickle.ADDITEMS)

    def save_frozenset(self, obj: frozenset[Any]) -> None:
        """Write a frozen set likewise."""
        self.write(pickle.MARK)
        for item in _in_order(obj):
            self.save(item)
        if id(obj) in self.memo:
            # An item led back to this very set, which has been written meanwhile.
            self.write(pickle.POP_MARK + self.get(self.memo[id(obj)][0]))
            return
        self.write(pickle.FROZENSET)
        self.memoize(obj)

    dispatch[set] = save_set
    dispatch[frozenset] = save_frozenset


_PLAIN = frozenset({str, int, float, bool, bytes, type(None), dict, list, tuple, set, frozenset})


def _in_order(items: Iterable[Any]) -> list[Any]:
    return sorted(items, key=_canonical)


def _canonical(value: Any) -> str:
    """Return a text that is the same in every process; objects that have none stand by their type."""
    if isinstance(value, str | int | float | complex | bytes | None | type(Ellipsis)):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, tuple | list):
        return f"{type(value).__name__} ({', '.join(map(_canonical, value))})"
    if isinstance(value, set | frozenset):
        return f"{type(value).__name__} {{{', '.join(sorted(map(_canonical, value)))}}}"
    if isinstance(value, CodeType):
        inner = _canonical(value.co_consts)
        return f"code {value.co_name} {value.co_code.hex()} {value.co_names} {value.co_varnames} {inner}"
    if isinstance(value, FunctionType):
        return f"function {value.__qualname__} {_canonical(value.__code__)}"
    if isinstance(value, staticmethod | classmethod):
        return f"{type(value).__name__} {_canonical(value.__func__)}"
    if isinstance(value, property):
        return f"property {_canonical((value.fget, value.fset, value.fdel))}"
    kind = value if isinstance(value, type) else type(value)
    return f"{'class' if value is kind else 'a'} {kind.__module__}.{kind.__qualname__}"


def _dumps(value: Any) -> bytes:
    with io.BytesIO() as stream, _deep():
        _Pickler(stream).dump(value)
        return stream.getvalue()


@contextmanager
def _deep() -> Iterator[None]:
    """Let the Python pickler nest as deep as the C one could."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, DEEPEST))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


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
    if isinstance(attributes := vars(kind).get("__static_attributes__"), tuple):
        # Python 3.13 lists them in the order of a set.
        kind.__static_attributes__ = tuple(sorted(attributes))  # type: ignore[attr-defined]
    parts = [kind.__qualname__, *(base.__qualname__ for base in kind.__mro__)]
    parts += [f"{name} {_canonical(value)}" for name, value in sorted(vars(kind).items())]
    identity = hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:32]
    with internals._DYNAMIC_CLASS_TRACKER_LOCK:  # noqa: SLF001
        internals._DYNAMIC_CLASS_TRACKER_BY_ID[identity] = kind  # noqa: SLF001
        known[kind] = identity


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
