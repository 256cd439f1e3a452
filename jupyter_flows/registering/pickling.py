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
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import cloudpickle
from cloudpickle import cloudpickle as internals

from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.core.task import Task
from jupyter_flows.errors import CannotPickle

LIMIT_BYTES = 256 * 1024 * 1024
DEEPEST = 20_000
"""Python frames that pickling may nest: a chain of a thousand functions that call each other."""
DEEPEST_IN_C = 3_000
"""What the C pickler may nest: it uses the machine's stack, and a thread's has half a megabyte on macOS."""


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
        data = _dumps(flow)
    except RecursionError as error:
        msg = f"flow {flow.name!r} cannot be pickled: its objects are nested too deeply"
        raise CannotPickle(msg) from error
    except Exception as error:
        raise CannotPickle(_culprit(flow, error)) from error
    finally:
        for module in registered:
            cloudpickle.unregister_pickle_by_value(module)
    if len(data) > LIMIT_BYTES:
        raise CannotPickle(_too_large(flow, len(data)))
    return data


def modules_in(data: bytes) -> list[str]:
    """Return the names of the modules that a pickle refers to. Nothing of it is imported, nothing called."""
    reader = _Names(io.BytesIO(data))
    reader.load()
    return sorted(name for name in reader.modules if name.replace(".", "_").isidentifier())


class _AnythingsType(type):
    def __setitem__(cls, key: Any, value: Any) -> None:
        """Take an item, as a dictionary would."""


class _Anything(metaclass=_AnythingsType):
    """Stands for every function, class and object of a pickle while its names are read: always itself."""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        return cls

    @classmethod
    def __setstate__(cls, state: Any) -> None: ...

    @classmethod
    def append(cls, item: Any) -> None:
        """Take an item, as a list would."""

    extend = add = append


class _Names(pickle.Unpickler):
    """Reads at the C reader's speed; looking at each opcode costs five times as much."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream)
        self.modules: set[str] = set()

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """Note the module, and load nothing."""
        del global_name
        self.modules.add(module_name)
        return _Anything


class _ByContent:
    """cloudpickle's rules, with bytes that depend on content alone: what both picklers below share."""

    _function_reduce = cloudpickle.Pickler._function_reduce  # noqa: SLF001
    _dynamic_function_reduce = cloudpickle.Pickler._dynamic_function_reduce  # noqa: SLF001
    _function_getnewargs = cloudpickle.Pickler._function_getnewargs  # noqa: SLF001

    dispatch_table: Any

    def begin(self, *, seed: str) -> None:
        """Note nothing yet; classes that are carried along get ids made of *seed*."""
        self.globals_ref: dict[int, dict[str, Any]] = {}
        self.class_ids: dict[type, str] = {}
        self._seed = seed
        # cloudpickle's is a ChainMap, whose look-ups cost the C pickler a fifth of its time.
        self.dispatch_table = dict(cloudpickle.Pickler.dispatch_table)

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
            return self._with_id(internals._class_reduce(obj), obj)  # noqa: SLF001
        return NotImplemented

    def _with_id(self, reduced: Any, kind: type) -> Any:
        """Return a class's reduction with an id of our own, instead of cloudpickle's random one."""
        if not isinstance(reduced, tuple) or reduced[0] not in _CLASS_MAKERS:
            return reduced  # it is imported, not carried along
        maker, arguments, (attributes, slots), *rest = reduced
        # Made from sets: the names that methods assign (Python 3.13), and what was register()ed at an ABC.
        if isinstance(assigned := attributes.get("__static_attributes__"), tuple):
            attributes["__static_attributes__"] = tuple(sorted(assigned))
        if isinstance(virtual := attributes.get("_abc_impl"), list):
            virtual.sort(key=lambda other: (other.__module__, other.__qualname__))
        own = self.class_ids.setdefault(kind, f"{self._seed}-{len(self.class_ids)}")
        # Both makers end in (..., class_tracker_id, extra).
        return maker, (*arguments[:-2], own, arguments[-1]), (attributes, slots), *rest


class _QuickPickler(_ByContent, pickle.Pickler):
    """The C pickler: four times as fast, and the same bytes, for what holds no set."""

    def __init__(self, stream: io.BytesIO, *, seed: str) -> None:
        self.met: list[Any] = []
        # The C pickler asks here for each object, and has no other hook that sees a set. A method of a list
        # answers None, as is wanted, and costs a fifth of a method of ours.
        self.persistent_id = self.met.append  # type: ignore[method-assign]
        super().__init__(stream, protocol=pickle.HIGHEST_PROTOCOL)
        self.begin(seed=seed)

    def has_met_sets(self) -> bool:
        """Whether there was a set, which the C pickler writes in the order of this process's hash seed."""
        # Nothing met: this Python does not ask where it was told to, so nothing is known.
        return not self.met or not _SETS.isdisjoint(map(type, self.met))


_PythonPickler: Any = pickle._Pickler  # noqa: SLF001 - the C one gives no say in how sets are written


class _Pickler(_ByContent, _PythonPickler):  # type: ignore[misc]
    """The Python pickler, which lets sets be written in order, and nests deeper than the C one could."""

    dispatch = dict(_PythonPickler.dispatch)

    def __init__(self, stream: io.BytesIO, *, seed: str, open_sets: frozenset[int]) -> None:
        super().__init__(stream, protocol=pickle.HIGHEST_PROTOCOL)
        self.begin(seed=seed)
        self._open_sets = open_sets

    def _in_order(self, items: set[Any] | frozenset[Any]) -> list[Any]:
        """Return the items of a set in an order that depends on them alone."""
        if id(items) in self._open_sets:
            return list(items)  # an item leads back to its own set: there is no order to be had
        inside = self._open_sets | {id(items)}

        def place(item: Any) -> tuple[str, Any]:
            kind = type(item)
            if kind in _ATOMS:
                return kind.__name__, repr(item).encode("utf-8", "surrogatepass")
            return kind.__qualname__, _pickled(item, seed="item", open_sets=inside)[0]

        return sorted(items, key=place)

    def save_set(self, obj: set[Any]) -> None:
        """Write a set in an order that is its content's (cf. ``pickle._Pickler.save_set``)."""
        self.write(pickle.EMPTY_SET)
        self.memoize(obj)
        self.write(pickle.MARK)
        for item in self._in_order(obj):
            self.save(item)
        self.write(pickle.ADDITEMS)

    def save_frozenset(self, obj: frozenset[Any]) -> None:
        """Write a frozen set likewise."""
        self.write(pickle.MARK)
        for item in self._in_order(obj):
            self.save(item)
        if id(obj) in self.memo:
            # An item led back to this very set, which has been written meanwhile.
            self.write(pickle.POP_MARK + self.get(self.memo[id(obj)][0]))
            return
        self.write(pickle.FROZENSET)
        self.memoize(obj)

    def save_list(self, obj: list[Any]) -> None:
        """Write a list in the C pickler's batches, of which the last is one even if it has one item."""
        self.write(pickle.EMPTY_LIST)
        self.memoize(obj)
        if len(obj) == 1:
            self.save(obj[0])
            self.write(pickle.APPEND)
            return
        for start in range(0, len(obj), self._BATCHSIZE):
            self.write(pickle.MARK)
            for item in obj[start : start + self._BATCHSIZE]:
                self.save(item)
            self.write(pickle.APPENDS)

    def save_dict(self, obj: dict[Any, Any]) -> None:
        """Write a dictionary likewise; after a last batch that is full, an empty one follows."""
        self.write(pickle.EMPTY_DICT)
        self.memoize(obj)
        if len(obj) == 1:
            self._batch_setitems(obj.items())
            return
        items = list(obj.items())
        for start in range(0, len(items) + 1 if items else 0, self._BATCHSIZE):
            self.write(pickle.MARK)
            for key, value in items[start : start + self._BATCHSIZE]:
                self.save(key)
                self.save(value)
            self.write(pickle.SETITEMS)

    dispatch[list] = save_list
    dispatch[dict] = save_dict
    dispatch[set] = save_set
    dispatch[frozenset] = save_frozenset


_SETS = frozenset({set, frozenset})
_ATOMS = frozenset({str, int, float, bool, bytes, type(None)})
_PLAIN = _ATOMS | {dict, list, tuple, set, frozenset}
_CLASS_MAKERS = (internals._make_skeleton_class, internals._make_skeleton_enum)  # noqa: SLF001


def _dumps(value: Any) -> bytes:
    """Return *value* pickled; equal content gives equal bytes, in whichever process.

    A class that is carried along is known to the process that loads it by an id: two that differ must not
    share one (they would become one class), and the same one must keep it. So the id is made of the digest
    of everything, and the class's place in it: only when there are such classes, it takes a second pass.
    """
    data, has_classes = _pickled(value, seed="class")
    if has_classes:
        data, _ = _pickled(value, seed=hashlib.sha256(data).hexdigest()[:24])
    return data


def _pickled(value: Any, *, seed: str, open_sets: frozenset[int] = frozenset()) -> tuple[bytes, bool]:
    if sys.getrecursionlimit() <= DEEPEST_IN_C:
        with io.BytesIO() as stream, suppress(RecursionError):
            quick = _QuickPickler(stream, seed=seed)
            quick.dump(value)
            if not quick.has_met_sets():
                return stream.getvalue(), bool(quick.class_ids)
    # Both give the same bytes: which of the two it was, nested how deep, makes no new version.
    with io.BytesIO() as stream, _deep():
        pickler = _Pickler(stream, seed=seed, open_sets=open_sets)
        pickler.dump(value)
        return stream.getvalue(), bool(pickler.class_ids)


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


def _culprit(flow: FlowGraph, error: BaseException) -> str:
    """Say which variable of which task cannot be pickled."""
    for task in flow.tasks:
        for name, value in _used_by(task):
            if not _picklable(value):
                return (
                    f"task {task.name!r}{_cell_of(task)} uses {name!r}, {_kind_of(value)}, "
                    "which cannot be pickled; "
                    "create it inside the task, or register the notebook or script itself"
                )
        if not _picklable(task):
            return f"task {task.name!r}{_cell_of(task)} cannot be pickled ({type(error).__name__})"
    for task, arguments in flow.constants.items():
        for name, value in arguments.items():
            if not _picklable(value):
                return (
                    f"task {task.name!r} is given {_kind_of(value)} as argument {name!r}, which cannot be "
                    "pickled; create it inside the task, or register the notebook or script itself"
                )
    for name in ("executor", "schedule", "run_config", "storage", "state_handlers", "result"):
        if not _picklable(value := getattr(flow, name, None)):
            return f"flow {flow.name!r} has {_kind_of(value)} as its {name}, which cannot be pickled"
    return f"flow {flow.name!r} cannot be pickled ({type(error).__name__})"


def _too_large(flow: FlowGraph, size_bytes: int) -> str:
    """Say which variable of which task weighs most."""
    weights = [
        (len(_dumps(value)), task.name, name, value) for task in flow.tasks for name, value in _used_by(task)
    ]
    weights += [
        (len(_dumps(value)), task.name, name, value)
        for task, arguments in flow.constants.items()
        for name, value in arguments.items()
    ]
    sentence = (
        f"flow {flow.name!r} is {_megabytes(size_bytes)} as a pickle, more than {_megabytes(LIMIT_BYTES)}"
    )
    if weights:
        weight, task_name, name, value = max(weights, key=lambda found: found[0])
        sentence += f": task {task_name!r} uses {name!r}, a {_type_name(value)} of {_megabytes(weight)}"
    return f"{sentence}; put data into files that tasks read"


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"


def _kind_of(value: Any) -> str:
    """Say what an object is, and what of it is in the way, e.g. ``a dict that holds a _thread.lock``."""
    inner = _inside(value)
    return f"a {_type_name(value)}" + (f" that holds a {_type_name(inner)}" if inner is not None else "")


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
