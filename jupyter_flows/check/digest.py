"""A short picture of a value, equal for equal values in whatever process they were made.

Runs in the notebook's kernel, where this package need not be installed: standard library only, and nothing
of ours is imported. Data (containers, arrays, frames, objects of the notebook's own classes) is looked into,
up to a limit; of other objects only the class and the ``repr`` count, since the insides of a figure or a
client hold counters and addresses. What is looked at is not consumed.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import types
from typing import Any

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{4,}")
_CELL_FILE = re.compile(r"(?:/\S*/)?ipykernel_\d+/\d+\.py|<ipython-input-[^>]*>|(?:Cell )?In ?\[\d+\]")
MAX_NODES = 20_000
"""How many parts of one value are looked at."""
MAX_ITEMS = 2_000
"""How many items of one container; of longer ones, those at both ends and the length."""
MAX_DEPTH = 40
MAX_BYTES = 256 * 1_048_576
_REPR_LENGTH = 4_000

_SCALARS = (int, float, complex, bool, type(None), type(Ellipsis), range, slice)
_PLAIN = frozenset({int, float, bool, str, type(None)})
_REDUCED_MODULES = {
    "builtins", "collections", "datetime", "decimal", "fractions", "ipaddress", "itertools", "pathlib",
    "random", "re", "string", "types", "uuid", "zoneinfo",
}  # fmt: skip
"""Modules whose objects give their whole state to ``copyreg``."""
_LOOKED_INTO = {"__main__", "sklearn", "scipy", "dataclasses"}
"""Packages whose objects are data: their attributes count."""


def masked(text: str) -> str:
    """Return *text* without what differs from process to process.

    Examples
    --------
    >>> masked("<object object at 0x7f3a2b10>")
    '<object object at 0x…>'
    """
    return _CELL_FILE.sub("In [*]", _ADDRESS.sub("0x…", text))


def digest(value: Any) -> str:
    """Return the digest of *value*; never raises.

    Examples
    --------
    >>> digest({"a": [1, 2.0]}) == digest({"a": [1, 2.0]}), digest([1]) == digest([2])
    (True, False)
    """
    try:
        return _Picture().of(value, 0)
    except Exception as error:  # noqa: BLE001 - objects of users raise what they like when looked at
        return f"unseen {type(value).__name__} ({type(error).__name__})"


def short(value: Any) -> str:
    """Return what a value is, in a few words for people."""
    try:
        text = masked(repr(value)) if isinstance(value, (*_SCALARS, str)) else ""
    except Exception:  # noqa: BLE001 - see digest
        text = ""
    return text if 0 < len(text) <= 40 else type(value).__name__


def lost(value: Any) -> list[str] | None:
    """Return which attributes a pickled copy of *value* lacks; none: it is another value; None: nothing.

    Large buffers are not copied for it. What cannot be pickled is no copy, so nothing is lost in one.

    Examples
    --------
    >>> lost([1, 2]) is None
    True
    """
    if type(value) in _PLAIN or isinstance(value, (type, types.ModuleType, types.FunctionType)):
        return None
    try:
        import pickle
        import warnings

        try:
            import cloudpickle as writer
        except ImportError:
            writer = pickle
        with warnings.catch_warnings(), contextlib.redirect_stdout(None), contextlib.redirect_stderr(None):
            warnings.simplefilter("ignore")
            buffers: list[Any] = []
            copied = pickle.loads(  # noqa: S301 - what was written a line above
                writer.dumps(value, protocol=5, buffer_callback=buffers.append), buffers=buffers
            )
            names = sorted(set(_public(value)) - set(_public(copied)))
            return names or ([] if digest(value) != digest(copied) else None)
    except Exception:  # noqa: BLE001 - objects of users raise what they like when they are pickled
        return None


def _public(value: Any) -> list[str]:
    return [name for name in getattr(value, "__dict__", None) or () if not str(name).startswith("_")]


def _hash(*parts: object) -> str:
    text = "\0".join(part if isinstance(part, str) else repr(part) for part in parts)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


class _Picture:
    """One walk through one value: counts what it has seen, and knows what it is inside of."""

    def __init__(self) -> None:
        self._left = MAX_NODES
        self._open: dict[int, int] = {}

    def of(self, value: Any, depth: int) -> str:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            return "…"
        kind = type(value)
        if kind in _SCALARS or isinstance(value, type(NotImplemented)):
            return _hash(kind.__name__, repr(value))
        if kind is str:
            return _hash("str", masked(value))
        if kind in {bytes, bytearray}:
            return _hash(kind.__name__, hashlib.blake2b(value, digest_size=12).hexdigest())
        if id(value) in self._open:
            return f"^{depth - self._open[id(value)]}"
        self._open[id(value)] = depth
        try:
            return self._inside(value, kind, depth)
        finally:
            del self._open[id(value)]

    def _inside(self, value: Any, kind: type, depth: int) -> str:
        name = f"{kind.__module__}.{kind.__qualname__}"
        package = kind.__module__.partition(".")[0]
        if isinstance(value, type):
            return self._class(value, depth)
        if isinstance(value, types.ModuleType):
            return _hash("module", value.__name__)
        if isinstance(value, types.FunctionType):
            return self._function(value, depth)
        if isinstance(value, (types.BuiltinFunctionType, types.MethodType)):
            return _hash(name, getattr(value, "__qualname__", ""))
        if package == "numpy":
            return self._numpy(value, name, depth)
        if package == "pandas":
            found = self._pandas(value, name, depth)
            if found is not None:
                return found
        if isinstance(value, dict):
            return _hash(name, self._pairs(list(value.items()), depth), self._attributes(value, depth))
        if isinstance(value, (list, tuple)):
            return _hash(name, self._items(value, depth), self._attributes(value, depth))
        if isinstance(value, (set, frozenset)):
            return _hash(
                name, len(value), sorted(self.of(item, depth + 1) for item in list(value)[:MAX_ITEMS])
            )
        if isinstance(value, (str, int, float)):
            return _hash(name, masked(repr(value)), self._attributes(value, depth))
        if kind.__module__ in _REDUCED_MODULES and not isinstance(value, types.GeneratorType):
            reduced = self._reduced(value, depth)
            if reduced is not None:
                return _hash(name, reduced)
        if package in _LOOKED_INTO:
            return _hash(name, self._attributes(value, depth))
        if "__repr__" not in {name for base in kind.__mro__[:-1] for name in vars(base)}:
            return _hash(name)
        return _hash(name, masked(repr(value)[:_REPR_LENGTH]))

    def _items(self, items: Any, depth: int) -> str:
        shown = items if len(items) <= MAX_ITEMS else [*items[: MAX_ITEMS // 2], *items[-MAX_ITEMS // 2 :]]
        if all(type(item) in _PLAIN for item in shown):
            self._left -= len(shown) // 10
            return _hash(len(items), masked(repr(list(shown))))
        return _hash(len(items), *(self.of(item, depth + 1) for item in shown))

    def _pairs(self, pairs: list[tuple[Any, Any]], depth: int) -> str:
        return self._items([part for pair in pairs for part in pair], depth)

    def _attributes(self, value: Any, depth: int) -> str:
        found = dict(getattr(value, "__dict__", None) or {})
        for kind in type(value).__mro__:
            slots = kind.__dict__.get("__slots__", ())
            for slot in (slots,) if isinstance(slots, str) else slots:
                if slot not in {"__dict__", "__weakref__"} and hasattr(value, slot):
                    found[slot] = getattr(value, slot)
        return self._pairs(sorted(found.items(), key=lambda pair: str(pair[0])), depth) if found else ""

    def _reduced(self, value: Any, depth: int) -> str | None:
        import warnings

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pickling of itertools is on its way out
                parts = value.__reduce_ex__(4)
        except Exception:  # noqa: BLE001 - what cannot be pickled has its repr
            return None
        if isinstance(parts, str):
            return parts
        *state, items, pairs = (*parts[1:3], *([None] * (3 - len(parts))), *parts[3:5], None, None)[:4]
        listed = [] if items is None else list(items)
        return _hash(
            self.of(state, depth + 1), self._items(listed, depth), self._pairs(list(pairs or ()), depth)
        )

    def _class(self, value: type, depth: int) -> str:
        if value.__module__ != "__main__":
            return _hash("class", value.__module__, value.__qualname__)
        own = {
            name: item
            for name, item in vars(value).items()
            if name not in {"__dict__", "__weakref__", "__doc__", "__module__"}
            and not name.startswith("_abc_")
        }
        return _hash("class", value.__qualname__, self._pairs(sorted(own.items()), depth))

    def _function(self, value: types.FunctionType, depth: int) -> str:
        if value.__module__ != "__main__":
            return _hash("function", value.__module__, value.__qualname__)
        cells = []
        for cell in value.__closure__ or ():
            try:
                cells.append(cell.cell_contents)
            except ValueError:
                cells.append("empty")
        state = [self._code(value.__code__), value.__defaults__, value.__kwdefaults__, cells]
        return _hash("function", value.__qualname__, self.of(state, depth + 1))

    def _code(self, code: types.CodeType) -> list[Any]:
        constants = [self._code(c) if isinstance(c, types.CodeType) else c for c in code.co_consts]
        return [code.co_code, code.co_names, code.co_varnames, constants]

    def _numpy(self, value: Any, name: str, depth: int) -> str:
        dtype = getattr(value, "dtype", None)
        if dtype is None or not hasattr(value, "tobytes"):
            return _hash(name, masked(repr(value)[:_REPR_LENGTH]))
        shape = tuple(getattr(value, "shape", ()))
        if getattr(dtype, "hasobject", False):
            return _hash(name, str(dtype), shape, self.of(value.tolist(), depth + 1))
        if value.nbytes > MAX_BYTES:
            return _hash(name, str(dtype), shape, repr(value))
        mask = getattr(value, "mask", None)
        extra = "" if mask is None or mask is value else self.of(mask, depth + 1)
        return _hash(
            name, str(dtype), shape, hashlib.blake2b(value.tobytes(), digest_size=12).hexdigest(), extra
        )

    def _pandas(self, value: Any, name: str, depth: int) -> str | None:
        short_name = name.rpartition(".")[2]
        if short_name == "DataFrame" or hasattr(value, "columns"):
            columns = [value.iloc[:, at] for at in range(value.shape[1])] if hasattr(value, "iloc") else None
            if columns is None:
                return None
            parts = [self._values(column, depth) for column in columns]
            return _hash(name, self.of(value.columns, depth + 1), self.of(value.index, depth + 1), *parts)
        if not hasattr(value, "to_numpy"):
            return None
        index = getattr(value, "index", None)
        labels = "" if index is None or callable(index) else self.of(index, depth + 1)
        label = getattr(value, "name", None)
        return _hash(name, labels, masked(repr(label)), self._values(value, depth))

    def _values(self, column: Any, depth: int) -> str:
        dtype = str(getattr(column, "dtype", ""))
        return _hash(dtype, self.of(column.to_numpy(), depth + 1))
