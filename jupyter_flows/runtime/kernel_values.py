"""Variables of a kernel to files and back. Runs inside the kernel.

The kernel may be one without this package: it is sent this file's text, which becomes the module
``_jupyter_flows_values`` there. So it imports nothing of ours and speaks JSON.

A value goes by pickle protocol 5 with its buffers beside it: an array is written once and mapped, copy on
write, where it is read. Functions keep the namespace that they find: their globals are read where they are
called, not where they were pickled. What the setup cells define is found by name, not passed.
"""

from __future__ import annotations

import contextlib
import io
import json
import mmap
import os
import pickle
import sys
import time
from collections.abc import Callable, Iterable
from importlib import import_module
from types import CellType, FunctionType, ModuleType
from typing import Any

try:
    from cloudpickle import Pickler as _Base
except ImportError:  # values of the notebook's own classes cannot be passed then, all others can
    _Base = pickle.Pickler

ALIGNED = 64
"""Buffers begin at multiples of this, as arrays like it."""

_INLINE = "matplotlib_inline.backend_inline"

_known: dict[int, tuple[str, Any]] = {}
_baseline: dict[str, Any] = {}
_hidden: set[str] = set()
_aside: dict[str, Any] = {}


class TooLong(Exception):
    """Writing would take longer, or more room, than it may."""


# -- what is asked from outside: JSON in, JSON out ----------------------------------------------------


def begin() -> str:
    """Remember what a namespace holds before any cell ran, and the state of the process."""
    _hidden.update(_namespace())
    for channel in ("cwd", "env:*", "sys.path", "warnings", "rng:random"):
        _baseline[channel] = _captured(channel)
    return "{}"


def know(asked: str) -> str:
    """Take what the names of the setup cells stand for as known wherever the same cells ran."""
    namespace = _namespace()
    for name in json.loads(asked):
        value = namespace.get(name)
        if isinstance(value, type | FunctionType):
            _known[id(value)] = (name, value)
    return "{}"


def take(asked: str) -> str:
    """Make the namespace what a task needs.

    ``keep``: all other names of cells go, if given. ``load``: places of values by name, or of several names
    in one (``names``). ``state``: places of states of the process by channel; None: as at the beginning.
    ``aside``: names that are out of sight until the task has ended.

    Returns what could not be had: ``{"failed": {name: why}}``.
    """
    request = json.loads(asked)
    namespace = _namespace()
    failed: dict[str, str] = {}
    keep = request.get("keep")
    if keep is not None:
        stay = _hidden.union(keep)
        for name in [name for name in namespace if name not in stay and not name.startswith("_")]:
            del namespace[name]
    for place in request.get("load", ()):
        try:
            value = _read(place)
        except Exception as error:  # noqa: BLE001 - whatever a class's own unpickling raises
            for name in place["names"]:
                failed[name] = f"{type(error).__name__} when it was read"
            continue
        if place["joint"]:
            namespace.update({name: value[name] for name in place["names"]})
        else:
            namespace[place["names"][0]] = value
    for channel, place in request.get("state", {}).items():
        try:
            _restored(channel, _baseline.get(channel) if place is None else _read(place))
        except Exception as error:  # noqa: BLE001
            failed[channel] = f"{type(error).__name__} when it was restored"
    _aside.clear()
    for name in request.get("aside", ()):
        if name in namespace:
            _aside[name] = namespace.pop(name)
    return json.dumps({"failed": failed})


def give(asked: str) -> str:
    """Write values of the namespace to a file.

    ``file``; ``names``; ``changed``: those of them that had a value before; ``joint``: names that share
    memory, written in one; ``state``: channels;
    ``seconds``: as long as it may take, for values that nobody waits for; ``limit``: bytes of one value.

    Returns for each name and channel ``{"kind": "stored", "pickle": [at, bytes], "buffers": [...]}``, or
    another kind (``absent``, ``lost``, ``skipped``) and why.
    """
    request = json.loads(asked)
    namespace = _namespace()
    told: dict[str, Any] = {}
    for name in [name for name in _aside if name not in namespace]:
        namespace[name] = _aside[name]
        told[name] = {"kind": "absent"}
    _aside.clear()
    until = None if request.get("seconds") is None else time.monotonic() + request["seconds"]
    limit = request.get("limit")
    changed = request.get("changed", ())
    began = time.monotonic()
    with open(request["file"], "wb", buffering=0, opener=_private) as stream:
        for name in request.get("names", ()):
            if name not in told:
                told[name] = _given(name, stream, until, limit, is_changed=name in changed)
        group = [name for name in request.get("joint", ()) if name in namespace]
        joint = None
        if group:
            values = {name: namespace[name] for name in group}
            joint = _written(values, stream, until, limit, shares_memory=True) | {"names": group}
        state = {}
        for channel in request.get("state", ()):
            captured = _captured(channel)
            if captured is not None:
                state[channel] = _written(captured, stream, None, None)
    seconds = round(time.monotonic() - began, 6)
    return json.dumps({"names": told, "joint": joint, "state": state, "seconds": seconds})


# -- one value -----------------------------------------------------------------------------------------------


def _given(
    name: str, stream: io.FileIO, until: float | None, limit: int | None, *, is_changed: bool
) -> dict[str, Any]:
    namespace = _namespace()
    if name not in namespace:
        return {"kind": "absent"}
    value = namespace[name]
    known = _known.get(id(value))
    if known is not None and known[0] == name and known[1] is value:
        # The setup cell that defines it runs again elsewhere, without what this cell has done to it.
        return {"type": type(value).__name__, "kind": "lost", "why": "it changes what a setup cell defines"}
    if is_changed and isinstance(value, ModuleType):
        # A module goes by its name, so what the cell did to it (a precision, a setting) would stay behind.
        return {"type": "module", "kind": "lost", "why": "what was set in a module cannot be pickled"}
    return {"type": type(value).__name__, **_written(value, stream, until, limit)}


def _written(
    value: Any, stream: io.FileIO, until: float | None, limit: int | None, *, shares_memory: bool = False
) -> dict[str, Any]:
    """Append *value* to the file; take back what was written of it if it cannot be finished."""
    start = stream.tell()
    out = _Bounded(stream, until, limit)
    buffers: list[pickle.PickleBuffer] = []
    try:
        _ValuePickler(out, buffers, shares_memory=shares_memory).dump(value)
        out.flush()
        end = stream.tell()
        places = []
        for buffer in buffers:
            raw = buffer.raw()
            at = -(-stream.tell() // ALIGNED) * ALIGNED
            stream.seek(at)
            out.write(raw)
            out.flush()
            places.append([at, raw.nbytes])
    except TooLong as error:
        stream.seek(start)
        stream.truncate()
        return {"kind": "skipped", "why": str(error)}
    except OSError as error:
        with contextlib.suppress(OSError):
            stream.seek(start)
            stream.truncate()
        return {"kind": "skipped", "why": f"it could not be written: {error.strerror or error}"}
    except Exception as error:  # noqa: BLE001 - whatever a class's own pickling raises
        stream.seek(start)
        stream.truncate()
        return {"kind": "lost", "why": f"it cannot be pickled ({type(error).__name__})"}
    size = end - start + sum(length for _, length in places)
    return {"kind": "stored", "pickle": [start, end - start], "buffers": places, "bytes": size}


def _read(place: dict[str, Any]) -> Any:
    with open(place["file"], "rb") as stream:  # noqa: PTH123
        at, length = place["pickle"]
        if not place["buffers"]:
            stream.seek(at)
            return pickle.loads(stream.read(length))  # noqa: S301 - what a kernel of this run wrote
        # Copy on write: what one task changes, no other sees; what none changes, nobody copies.
        memory = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY))
    buffers = [memory[start : start + size] for start, size in place["buffers"]]
    return pickle.loads(memory[at : at + length], buffers=buffers)  # noqa: S301


class _Bounded(io.RawIOBase):
    """Collects small writes, and stops when time or room is used up."""

    def __init__(self, stream: io.FileIO, until: float | None, limit: int | None) -> None:
        self._stream = stream
        self._until = until
        self._left = limit
        self._small: list[bytes] = []
        self._size = 0

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        size = view.nbytes
        if self._left is not None:
            self._left -= size
            if self._left < 0:
                msg = "it is larger than what is kept of one variable"
                raise TooLong(msg)
        if size < 65536:
            self._small.append(bytes(view))
            self._size += size
            if self._size > 1 << 20:
                self.flush()
            return size
        self.flush()
        done = 0
        while done < size:
            self._check()
            done += self._stream.write(view[done : done + (16 << 20)]) or 0
        return size

    def flush(self) -> None:
        if self._small:
            self._check()
            data: Any = memoryview(b"".join(self._small))
            self._small.clear()
            self._size = 0
            while data.nbytes:
                data = data[self._stream.write(data) or 0 :]

    def _check(self) -> None:
        if self._until is not None and time.monotonic() > self._until:
            msg = "writing it would take more than its share of the run's time"
            raise TooLong(msg)


class _ValuePickler(_Base):  # type: ignore[misc]
    """Cloudpickle, but functions find their globals where they are read, and setup cells' are named."""

    def __init__(self, file: Any, buffers: list[pickle.PickleBuffer], *, shares_memory: bool) -> None:
        super().__init__(file, protocol=5, buffer_callback=buffers.append)
        self._shares_memory = shares_memory

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if kind is FunctionType or issubclass(kind, type):
            known = _known.get(id(obj))
            if known is not None and known[1] is obj:
                return _named, (known[0],)
            if kind is FunctionType and obj.__globals__ is _namespace():
                return _parts_of(obj)
        elif kind is CellType:
            return _empty_cell, (), _contents_of(obj), None, None, _fill_cell
        elif self._shares_memory and kind.__module__ == "numpy" and kind.__name__ == "ndarray":
            parts = _view_parts(obj)
            if parts is not None:
                return _view, parts
        elif _INLINE in sys.modules and isinstance(obj, sys.modules["matplotlib.figure"].Figure):
            make, arguments, *rest = obj.__reduce_ex__(5)
            return _shown, (make, *arguments), *rest
        if _Base is pickle.Pickler:
            return NotImplemented
        return super().reducer_override(obj)


def _shown(make: Any, *arguments: Any) -> Any:
    """Make a figure where figures are shown as pictures.

    A kernel shows them so from its first figure of pyplot's on; one that only reads a figure has made none.
    """
    with contextlib.suppress(ImportError):
        import_module(_INLINE)
    return make(*arguments)


def _named(name: str) -> Any:
    """Return what a setup cell defined here under *name*."""
    namespace = _namespace()
    if name not in namespace:
        msg = f"no setup cell has defined {name} here"
        raise NameError(msg)
    return namespace[name]


def _parts_of(function: FunctionType) -> tuple[Any, ...]:
    state = {
        "__name__": function.__name__,
        "__qualname__": function.__qualname__,
        "__defaults__": function.__defaults__,
        "__kwdefaults__": function.__kwdefaults__,
        "__doc__": function.__doc__,
        "__module__": function.__module__,
        "__annotations__": function.__annotations__,
        "__dict__": dict(function.__dict__),
    }
    return _function, (function.__code__, function.__closure__), state, None, None, _fill_function


def _function(code: Any, closure: Any) -> FunctionType:
    return FunctionType(code, _namespace(), None, None, closure)


def _fill_function(function: FunctionType, state: dict[str, Any]) -> None:
    function.__dict__.update(state.pop("__dict__"))
    for name, value in state.items():
        setattr(function, name, value)


def _empty_cell() -> CellType:
    return CellType()


def _contents_of(cell: CellType) -> tuple[Any, ...]:
    try:
        return (cell.cell_contents,)
    except ValueError:
        return ()


def _fill_cell(cell: CellType, contents: tuple[Any, ...]) -> None:
    if contents:
        cell.cell_contents = contents[0]


def _view_parts(array: Any) -> tuple[Any, ...] | None:
    """Return of a view the array that it looks into, and where; None if it has its own memory."""
    root = array
    while type(getattr(root, "base", None)) is type(array):
        root = root.base
    if root is array or not root.flags.c_contiguous or array.dtype.hasobject:
        return None
    first = root.__array_interface__["data"][0]
    return root, array.dtype, array.shape, array.strides, array.__array_interface__["data"][0] - first


def _view(root: Any, dtype: Any, shape: Any, strides: Any, offset: int) -> Any:
    make: Callable[..., Any] = type(root)
    return make(shape, dtype, buffer=root, offset=offset, strides=strides)


# -- the state of the process ---------------------------------------------------------------------------


def _captured(channel: str) -> Any:
    """Return the state of a channel, or None if there is none to keep."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    matplotlib, pandas = sys.modules.get("matplotlib"), sys.modules.get("pandas")
    if channel == "rng:random":
        import random

        return random.getstate()
    if channel == "rng:numpy" and numpy is not None:
        return numpy.random.get_state()
    if channel == "rng:torch" and torch is not None:
        return bytes(torch.get_rng_state().tolist())
    if channel == "cwd":
        with contextlib.suppress(OSError):
            return os.getcwd()  # noqa: PTH109
    if channel == "env:*":
        return dict(os.environ)
    if channel.startswith("env:"):
        return {channel[4:]: os.environ.get(channel[4:])}
    if channel == "sys.path":
        return list(sys.path)
    if channel == "warnings":
        import warnings

        return list(warnings.filters)
    if channel == "mpl:style" and matplotlib is not None:
        return {name: dict.__getitem__(matplotlib.rcParams, name) for name in matplotlib.rcParams}
    if channel == "option:pandas" and pandas is not None:
        return {name: pandas.get_option(name) for name in _pandas_options()}
    if channel == "option:numpy" and numpy is not None:
        return dict(numpy.get_printoptions())
    return None


def _restored(channel: str, state: Any) -> None:
    """Bring a channel into a state."""
    if state is None:
        return
    module: Any
    if channel == "rng:random":
        import_module("random").setstate(state)
    elif channel == "rng:numpy":
        import_module("numpy").random.set_state(state)
    elif channel == "rng:torch":
        module = import_module("torch")
        module.set_rng_state(module.tensor(list(state), dtype=module.uint8))
    elif channel == "cwd":
        os.chdir(state)
    elif channel == "env:*":
        for name in set(os.environ).difference(state):
            del os.environ[name]
        os.environ.update(state)
    elif channel.startswith("env:"):
        os.environ.pop(channel[4:], None)
        os.environ.update({name: value for name, value in state.items() if value is not None})
    elif channel == "sys.path":
        sys.path[:] = state
    elif channel == "warnings":
        module = import_module("warnings")
        module.filters[:] = state
        if hasattr(module, "_filters_mutated"):
            module._filters_mutated()  # noqa: SLF001 - else what was once ignored stays so
    elif channel == "mpl:style":
        module = import_module("matplotlib")
        for name, value in state.items():
            dict.__setitem__(module.rcParams, name, value)
    elif channel == "option:numpy":
        module = import_module("numpy")
        known = module.get_printoptions()
        module.set_printoptions(**{name: value for name, value in state.items() if name in known})
    elif channel == "option:pandas":
        module = import_module("pandas")
        for name in set(_pandas_options()).intersection(state):
            if module.get_option(name) != state[name]:
                module.set_option(name, state[name])


def _pandas_options() -> Iterable[str]:
    config = import_module("pandas._config.config")  # there is no public list of them
    deprecated = set(getattr(config, "_deprecated_options", ()))
    return [name for name in getattr(config, "_registered_options", ()) if name not in deprecated]


def _namespace() -> dict[str, Any]:
    from IPython import get_ipython

    shell: Any = get_ipython()
    found: dict[str, Any] = shell.user_ns
    return found


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def install(text: str) -> ModuleType:
    """Make this file's text the module that pickles name."""
    module = ModuleType("_jupyter_flows_values")
    sys.modules[module.__name__] = module
    exec(compile(text, "<jupyter_flows values>", "exec"), module.__dict__)  # noqa: S102
    return module
