"""What a cell with ``--cache-for`` is compared by: its code and what it uses, its inputs, packages.

Runs where the cell runs, which may be a kernel without this package: it is sent this file's text. So it
imports nothing of ours but what is sent before it.

A digest must be the same in another process. So values are walked, not pickled: a pickle of two equal
lists of strings differs if the strings are one object in the one and two in the other.
"""

from __future__ import annotations

import ast
import copyreg
import hashlib
import marshal
import pickle
import sys
import time
from itertools import islice
from operator import eq
from types import BuiltinFunctionType, CodeType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any

if __name__ == "jupyter_flows.engine.cell_key":
    # In a kernel these names are there already.
    from jupyter_flows.engine.cell_graph import MOST_OBJECTS, GraphHash, Incomparable
    from jupyter_flows.engine.cell_modules import (
        globals_read,
        imported_by,
        imports_of,
        is_as_written,
        local_files,
        read_module,
        tidy,
        version,
    )

FORM = 2
"""Entries made by another form of the key are not found."""
MOST_APART_S = 10.0
"""How long the methods by which objects are taken apart may take in all: they are anybody's code."""
LONG = 4096
"""Bytes from which a text or number is hashed once, however often it appears."""
SMALL = 32
"""Items up to which a container of plain ones is cheaper to hash again than to remember."""
CHUNK = 65_536
_PLAIN = frozenset({int, float, complex, bool, str, bytes, type(None)})
_SHELL = frozenset({"get_ipython", "display", "In", "Out", "exit", "quit", "_", "__", "___"})
"""What a shell binds; it is another object in each process, and no input."""
_OF_CLASSES = frozenset(
    {
        *(
            "__dict__",
            "__weakref__",
            "__module__",
            "__firstlineno__",
            "__static_attributes__",
            "__annotate_func__",
        ),
        # What Python itself keeps on a class at the first pickle of an instance, or look at its annotations.
        *("__slotnames__", "__annotations_cache__"),
    }
)


class Digester(GraphHash):
    """Makes one digest of many things, and notes which packages and files of modules they are from.

    Attributes
    ----------
    packages : set of str
        Top-level modules of installed packages.
    texts : set of str
        Strings among the inputs and in the code: they may name files.

    Examples
    --------
    >>> def digest(value):
    ...     digester = Digester()
    ...     digester.add(value)
    ...     return digester.hexdigest()
    >>> text = "".join(["a", "b"])
    >>> digest(["ab", "ab"]) == digest([text, text]), digest([1]) == digest([1.0])
    (True, False)
    """

    def __init__(self) -> None:
        super().__init__()
        self._apart_s = 0.0
        self._modules: dict[str, str] = {}
        self.packages: set[str] = set()
        self.texts: set[str] = set()

    def hexdigest(self) -> str:
        """Return the digest of all that was added, with the versions of packages and the texts of modules."""
        made = self._hash.copy()
        for name in sorted(self.packages):
            made.update(f"{name} {version(name)};".encode())
        for name, text in sorted(self._modules.items()):
            made.update(f"local {name} {text};".encode("utf-8", "surrogatepass"))
        return made.hexdigest()

    def add(self, value: Any) -> None:
        """Add a value.

        What it shares with values that were added before makes no difference.

        Raises
        ------
        Incomparable
        """
        whole = self._start()
        try:
            self._add(value)
        except RecursionError:
            raise Incomparable("it is nested too deeply") from None
        except MemoryError:
            raise Incomparable("it is too large") from None
        except Incomparable:
            raise
        except Exception as error:
            raise Incomparable(f"looking at it ends in {type(error).__name__}") from error
        finally:
            self._stop(whole)

    def add_source(self, source: str) -> None:
        """Add a cell's code, and the modules that it imports."""
        self.mark(tidy(source))
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError):
            return
        self.texts |= {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and type(node.value) is str
        }
        for name in sorted(imported_by(tree)):
            self._module(name)

    # -- values ---------------------------------------------------------------------------------------

    def _add(self, value: Any) -> None:
        # By type() throughout: the class that a proxy tells of itself may be the work of any code.
        kind = type(value)
        if kind in _PLAIN:
            if kind is str and len(value) < 1000:
                self.texts.add(value)
            self._plain(value)
        elif (kind is list or kind is tuple or kind is dict) and self._is_done(value, kind):
            pass
        elif issubclass(kind, ModuleType):
            self.mark(f"module {value.__name__}")
            self._module(value.__name__.partition(".")[0])
        elif issubclass(kind, type):
            self._class(value)
        elif kind is BuiltinFunctionType:
            self.mark(f"builtin {value.__module__} {value.__qualname__}")
            self._module(str(value.__module__ or "").partition(".")[0])
            if value.__self__ is not None and not issubclass(type(value.__self__), ModuleType | type):
                self._add(value.__self__)
        else:
            self._once(value, self._object)

    def _object(self, value: Any) -> None:
        kind = type(value)
        if kind in {list, tuple}:
            self._items(value, kind.__name__)
        elif kind is dict:
            self._pairs(value)
        elif kind in {set, frozenset}:
            self._set(value, kind.__name__)
        elif kind is FunctionType:
            self._function(value)
        elif kind is MethodType:
            self.mark("method")
            self._add(value.__func__)
            self._add(value.__self__)
        elif kind is MappingProxyType:
            self.mark("mappingproxy")
            self._pairs(dict(value))
        elif kind in {bytearray, memoryview, pickle.PickleBuffer}:
            self.mark(kind.__name__)
            self._buffer(value)
        elif not self._array(value, kind):
            self._reduced(value, kind)

    def _pairs(self, pairs: dict[Any, Any]) -> None:
        if set(map(type, pairs)) == {int} and any(map(eq, pairs, map(id, pairs.values()))):
            raise Incomparable("it holds objects by their addresses, which are others in each process")
        self._items(list(pairs), "keys")
        self._items(list(pairs.values()), "values")

    def _items(self, items: Any, word: str) -> None:
        kinds = set(map(type, items))
        if not kinds <= _PLAIN:
            self.mark(f"{word} {len(items)}")
            for item in items:
                self._add(item)
        elif _has_long(items, kinds):
            self.mark(f"{word} {len(items)}")
            for item in items:
                self._plain(item)
        else:
            self._short(items, word, kinds)

    def _short(self, items: Any, word: str, kinds: set[type]) -> None:
        """Add plain items, none of them long."""
        self.mark(f"{word} {len(items)}")
        if str in kinds and len(items) <= 100:
            self.texts |= {item for item in items if type(item) is str and len(item) < 1000}
        if len(items) <= CHUNK:
            self._marshal(list(items))
            return
        for start in range(0, len(items), CHUNK):
            self._marshal(list(items[start : start + CHUNK]))

    def _is_done(self, value: Any, kind: type) -> bool:
        """Add a small container of plain items; False if it is none."""
        if len(value) > SMALL:
            return False
        kinds = set(map(type, value))
        if not kinds <= _PLAIN or _has_long(value, kinds):
            return False
        if kind is dict:
            items = value.values()
            of_items = set(map(type, items))
            if not of_items <= _PLAIN or _has_long(items, of_items):
                return False
            self._short(value, "keys", kinds)
            self._short(items, "values", of_items)
        else:
            self._short(value, kind.__name__, kinds)
        return True

    def _set(self, items: Any, word: str) -> None:
        kinds = set(map(type, items))
        if len(kinds) == 1 and kinds <= {int, str, bytes}:
            self._items(sorted(items), word)
            return
        self.mark(f"{word} {len(items)}")
        if kinds <= _PLAIN:
            for each in sorted(marshal.dumps(item, 2) for item in items):
                self._hash.update(each)
            return
        # The order of a set is another one in each process.
        outer, here = self._hash, self._here
        ended: list[bytes] = []
        leading_back: list[bytes] = []
        begin = self._objects
        for item in items:
            self._hash = hashlib.sha256()
            self._sets.append((begin, self._objects))
            before = len(here.back) if here is not None else 0
            self._add(item)
            leads_back = here is not None and len(here.back) > before
            (leading_back if leads_back else ended).append(self._hash.digest())
            self._sets.pop()
        if len(leading_back) > 1:
            raise Incomparable("it holds a set of objects that lead back to the set")
        self._hash = outer
        for digest in (*sorted(ended), *leading_back):
            self._hash.update(digest)

    def _plain(self, value: Any) -> None:
        if not _is_long(value):
            self._marshal(value)
            return
        if id(value) not in self._known:
            self._known[id(value)] = hashlib.sha256(marshal.dumps(value, 2)).digest()
            self._held.append(value)
        self.mark(f"long {type(value).__name__}")
        self._hash.update(self._known[id(value)])

    def _marshal(self, value: Any) -> None:
        # Of version 2: later ones tell interned strings, and objects that appear twice, from others.
        self._hash.update(marshal.dumps(value, 2))

    def _buffer(self, value: Any) -> None:
        view = memoryview(value)
        self._hash.update(view if view.c_contiguous and view.nbytes else view.tobytes())

    def _array(self, value: Any, kind: type) -> bool:
        """Add arrays and frames by their memory; False if it is none."""
        top = kind.__module__.partition(".")[0]
        if top == "numpy" and kind.__name__ == "ndarray" and not value.dtype.hasobject:
            import numpy as np

            self._module("numpy")
            self.mark(f"array {value.dtype.descr if value.dtype.names else value.dtype.str} {value.shape}")
            whole = np.ascontiguousarray(value)
            self._hash.update(whole.reshape(-1).view(np.uint8).data if whole.size else b"")
            return True
        if top == "numpy" and kind.__name__ == "ndarray":
            self._module("numpy")
            self.mark(f"objects {value.dtype.descr if value.dtype.names else value.dtype.str} {value.shape}")
            self._items(value.ravel().tolist(), "list")
            return True
        if top == "pandas" and kind.__name__ in {"DataFrame", "Series", "Index", "RangeIndex"}:
            self._frame(value, kind)
            return True
        if top == "torch" and kind.__name__ == "Tensor":
            self._module("torch")
            self.mark(f"tensor {value.device} {value.requires_grad}")
            self._add(value.detach().cpu().contiguous().numpy())
            return True
        return False

    def _frame(self, value: Any, kind: type) -> None:
        self._module("pandas")
        self.mark(f"pandas {kind.__name__} {value.shape}")
        if kind.__name__ == "DataFrame":
            self._add(value.columns)
            self._add(value.index)
            for place in range(value.shape[1]):
                self._column(value.iloc[:, place])
        else:
            self._add(value.name)
            if kind.__name__ == "Series":
                self._add(value.index)
            self._column(value)
        if kind.__name__ in {"DataFrame", "Series"}:
            self._add(dict(value.attrs))

    def _column(self, value: Any) -> None:
        self.mark(str(value.dtype))
        array = value.array
        if type(array).__name__ == "NumpyExtensionArray" or str(value.dtype) in {"str", "string"}:
            self._add(array.to_numpy())
        else:
            self._add(array)

    def _reduced(self, value: Any, kind: type) -> None:
        """Add any other object by what pickle would take of it."""
        self.mark(f"object {kind.__module__} {kind.__qualname__}")
        self._class(kind)
        parts = self._taken_apart(value, kind)
        if isinstance(parts, str):
            self._named(value, kind, parts)
            return
        for part in parts:
            self._add(part)

    def _taken_apart(self, value: Any, kind: type) -> Any:
        begin = time.perf_counter()
        has_more = False
        try:
            reduce = copyreg.dispatch_table.get(kind)
            parts = reduce(value) if reduce is not None else value.__reduce_ex__(5)
            if not isinstance(parts, str):
                # The fourth and fifth are iterators of items; of an endless one the begin is enough.
                most = max(MOST_OBJECTS, len(value) if hasattr(value, "__len__") else 0)
                items = [part and list(islice(part, most + 1)) for part in parts[3:5]]
                has_more = any(part and len(part) > most for part in items)
                parts = (*parts[:3], *items, *parts[5:])
        except MemoryError:
            raise
        except Exception as error:
            raise Incomparable(f"a {kind.__name__} cannot be taken apart") from error
        if has_more:
            raise Incomparable(f"a {kind.__name__} has more than {most:,} items")
        self._apart_s += time.perf_counter() - begin
        if self._apart_s > MOST_APART_S:
            raise Incomparable(f"it takes more than {MOST_APART_S:.0f} s to take it apart")
        return parts

    def _named(self, value: Any, kind: type, name: str) -> None:
        """Add an object that pickle takes by its name only: what made it is what it is."""
        self.mark(name)
        wrapped = getattr(value, "__wrapped__", None)
        if wrapped is not None:
            self._add(wrapped)
            return
        if kind.__module__ == "typing":
            self._add((getattr(value, "__bound__", None), getattr(value, "__constraints__", None)))
            return
        for place in (getattr(value, "__module__", None), kind.__module__.partition(".")[0]):
            if type(place) is str and _is_at(value, place, name):
                break
        else:
            place = pickle.whichmodule(value, name)  # type: ignore[attr-defined]
        if place == "__main__" or not _is_at(value, place, name):
            raise Incomparable(f"a {kind.__name__} cannot be taken apart")
        self.mark(place)
        self._module(place.partition(".")[0])

    # -- code -----------------------------------------------------------------------------------------

    def _function(self, value: FunctionType) -> None:
        origin = str(value.__module__ or "").partition(".")[0]
        self.mark(f"function {value.__module__} {value.__qualname__}")
        if value.__module__ != "__main__":
            # By the text of its module: whether that was imported already must make no difference.
            self._module(origin)
            if origin in self._modules and not is_as_written(value):
                self._code(value.__code__)
            for cell in value.__closure__ or ():
                self._contents(cell)
            return
        self._code(value.__code__)
        for part in (value.__defaults__, value.__kwdefaults__):
            self._add(part)
        for cell in value.__closure__ or ():
            self._contents(cell)
        if value.__dict__:
            self._add(value.__dict__)
        for name in sorted(globals_read(value.__code__) - _SHELL):
            if name in value.__globals__:
                self.mark(name)
                try:
                    self._add(value.__globals__[name])
                except Incomparable as error:
                    raise Incomparable(f"{value.__name__} reads {name}: {error}") from None

    def _contents(self, cell: Any) -> None:
        try:
            self._add(cell.cell_contents)
        except ValueError:
            self.mark("empty")

    def _class(self, value: type) -> None:
        self.mark(f"class {value.__module__} {value.__qualname__}")
        if value.__module__ != "__main__":
            self._module(value.__module__.partition(".")[0])
        else:
            self._once(value, self._class_here)

    def _class_here(self, value: type) -> None:
        for base in value.__bases__:
            self._class(base)
        for name, part in sorted(vars(value).items()):
            if name in _OF_CLASSES or name.startswith("_abc_"):
                continue
            self.mark(name)
            if isinstance(part, staticmethod | classmethod):
                self._add(part.__func__)
            elif isinstance(part, property):
                for function in (part.fget, part.fset, part.fdel):
                    self._add(function)
            elif type(part).__name__ in {"member_descriptor", "getset_descriptor"}:
                continue
            else:
                self._add(part)

    def _code(self, code: CodeType) -> None:
        self._hash.update(code.co_code)
        for names in (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars):
            self._marshal(list(names))
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                self._code(constant)
                # Imports of a function are only in its names.
            else:
                self._add(constant)
        for name in sorted(imports_of(code)):
            self._module(name)

    def _module(self, name: str) -> None:
        """Add a local module's files, and all that they import; of an installed one note the package."""
        if not name or name in self._modules or name in self.packages or name in sys.stdlib_module_names:
            return
        if name in {"__main__", "builtins", "__mp_main__"}:
            return
        files = local_files(name)
        if files is None:
            self.packages.add(name)
            return
        self._modules[name] = ""  # those that import each other end here
        texts: list[str] = []
        for file in files:
            status = file.stat()
            text, imports = read_module(str(file), status.st_mtime_ns, status.st_size)
            texts.append(f"{file.name} {text}")
            for imported in imports:
                self._module(imported)
        self._modules[name] = " ".join(texts)


def _has_long(items: Any, kinds: set[type]) -> bool:
    """Whether a text or number among plain items is long."""
    if not kinds & {str, bytes, int}:
        return False
    if kinds <= {str, bytes}:
        return bool(max(map(len, items)) > LONG)
    if kinds == {int}:
        return _is_long(max(items)) or _is_long(min(items))
    return any(map(_is_long, items))


def _is_long(value: Any) -> bool:
    kind = type(value)
    if kind is str or kind is bytes:
        return len(value) > LONG
    return kind is int and value.bit_length() > 8 * LONG


def _is_at(value: Any, module: str, name: str) -> bool:
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is value
