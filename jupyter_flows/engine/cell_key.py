"""What a cell with ``--cache-for`` is compared by: its code and what it uses, its inputs, packages.

Runs where the cell runs, which may be a kernel without this package: it is sent this file's text. So it
imports nothing of ours.

A digest must be the same in another process. So values are walked, not pickled: a pickle of two equal
lists of strings differs if the strings are one object in the one and two in the other.
"""

from __future__ import annotations

import ast
import dis
import hashlib
import importlib.metadata
import marshal
import pickle
import site
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

FORM = 1
"""Entries made by another form of the key are not found."""
MOST_FILES = 2000
"""Files of one local package that are looked at."""
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


class Incomparable(Exception):
    """A value has no digest that holds in another process."""


def tidy(source: str) -> str:
    r"""Return a cell's code without what does not matter: comments, blank lines, layout.

    Examples
    --------
    >>> tidy("x = f(1,\n   2)  # two") == tidy("# x\nx = f(1, 2)")
    True
    """
    try:
        return ast.dump(ast.parse(source))
    except (SyntaxError, ValueError, RecursionError):
        return "\n".join(line.rstrip() for line in source.strip().splitlines())


class Digester:
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
        self._hash = hashlib.sha256()
        self._seen: dict[int, int] = {}
        self._held: list[Any] = []
        self._modules: set[str] = set()
        self.packages: set[str] = set()
        self.texts: set[str] = set()

    def hexdigest(self) -> str:
        """Return the digest of all that was added, with the versions of the packages."""
        made = self._hash.copy()
        for name in sorted(self.packages):
            made.update(f"{name} {version(name)};".encode())
        return made.hexdigest()

    def mark(self, text: str) -> None:
        """Add a word of ours."""
        self._hash.update(f"<{text}>".encode("utf-8", "surrogatepass"))

    def add(self, value: Any) -> None:
        """Add a value.

        Raises
        ------
        Incomparable
        """
        try:
            self._add(value)
        except RecursionError:
            raise Incomparable("it is nested too deeply") from None

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
        for name in sorted(_imported(tree)):
            self._module(name)

    # -- values ---------------------------------------------------------------------------------------

    def _add(self, value: Any) -> None:
        kind = type(value)
        if kind in _PLAIN:
            if kind is str and len(value) < 1000:
                self.texts.add(value)
            self._marshal(value)
            return
        if id(value) in self._seen:
            self.mark(f"again {self._seen[id(value)]}" if kind in {list, dict} else "again")
            return
        if isinstance(value, ModuleType):
            self.mark(f"module {value.__name__}")
            self._module(value.__name__.partition(".")[0])
        elif isinstance(value, FunctionType):
            self._function(value)
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, MethodType):
            self.mark("method")
            self._add(value.__func__)
            self._add(value.__self__)
        elif isinstance(value, BuiltinFunctionType):
            self.mark(f"builtin {value.__module__} {value.__qualname__}")
            self._module(str(value.__module__ or "").partition(".")[0])
            if value.__self__ is not None and not isinstance(value.__self__, ModuleType | type):
                self._add(value.__self__)
        else:
            self._object(value, kind)

    def _object(self, value: Any, kind: type) -> None:
        self._seen[id(value)] = len(self._seen)
        self._held.append(value)  # an address that is free again would be taken for this one
        try:
            if kind in {list, tuple}:
                self._items(value, kind.__name__)
            elif kind is dict:
                self._items(list(value), "keys")
                self._items(list(value.values()), "values")
            elif kind in {set, frozenset}:
                self.mark(f"{kind.__name__} {len(value)}")
                for each in sorted(self._apart(item) for item in value):
                    self.mark(each)
            elif kind in {bytearray, memoryview, pickle.PickleBuffer}:
                self.mark(kind.__name__)
                self._buffer(value)
            elif not self._array(value, kind):
                self._reduced(value, kind)
        finally:
            # What two variables share and what is merely equal is the same; only circles need an end.
            del self._seen[id(value)]

    def _items(self, items: Any, word: str) -> None:
        self.mark(f"{word} {len(items)}")
        if set(map(type, items)) <= _PLAIN:
            if len(items) <= 100:
                self.texts |= {item for item in items if type(item) is str}
            self._marshal(list(items))
            return
        for item in items:
            self._add(item)

    def _apart(self, item: Any) -> str:
        other = Digester()
        other._seen = self._seen
        other._modules = self._modules
        other._add(item)
        self.packages |= other.packages
        self.texts |= other.texts
        return other._hash.hexdigest()

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
            self.mark(f"objects {value.shape}")
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
        try:
            parts = value.__reduce_ex__(5)
        except Exception as error:
            raise Incomparable(f"a {kind.__name__} cannot be taken apart") from error
        if isinstance(parts, str):
            self.mark(parts)
            return
        for part in parts:
            if isinstance(part, Iterator):
                part = list(part)  # noqa: PLW2901
            self._add(part)

    # -- code -----------------------------------------------------------------------------------------

    def _function(self, value: FunctionType) -> None:
        origin = str(value.__module__ or "").partition(".")[0]
        self.mark(f"function {value.__module__} {value.__qualname__}")
        if value.__module__ != "__main__":
            # By the text of its module: whether that was imported already must make no difference.
            self._module(origin)
            if origin in self._modules and not _is_as_written(value):
                self._code(value.__code__)
            for cell in value.__closure__ or ():
                self._contents(cell)
            return
        self._seen[id(value)] = len(self._seen)
        self._held.append(value)
        self._code(value.__code__)
        for part in (value.__defaults__, value.__kwdefaults__):
            self._add(part)
        for cell in value.__closure__ or ():
            self._contents(cell)
        wrapped = value.__dict__.get("__wrapped__")
        if wrapped is not None:
            self._add(wrapped)
        for name in sorted(_globals_read(value.__code__) - _SHELL):
            if name in value.__globals__:
                self.mark(name)
                try:
                    self._add(value.__globals__[name])
                except Incomparable as error:
                    raise Incomparable(f"{value.__name__} reads {name}: {error}") from None
        # It stays seen: functions that call each other are one circle after the other.

    def _contents(self, cell: Any) -> None:
        try:
            self._add(cell.cell_contents)
        except ValueError:
            self.mark("empty")

    def _class(self, value: type) -> None:
        self.mark(f"class {value.__module__} {value.__qualname__}")
        if value.__module__ != "__main__":
            self._module(value.__module__.partition(".")[0])
            return
        if id(value) in self._seen:
            return
        self._seen[id(value)] = len(self._seen)
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
        for name in sorted(_imports_of(code)):
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
        self._modules.add(name)
        self.mark(f"local {name}")
        for file in files:
            status = file.stat()
            text, imports = _read_module(str(file), status.st_mtime_ns, status.st_size)
            self.mark(f"{file.name} {text}")
            for imported in imports:
                self._module(imported)


def local_files(name: str) -> list[Path] | None:
    """Return the files of a module that is not installed; None: it is, or there is none."""
    found = sys.modules.get(name)
    spec = getattr(found, "__spec__", None)
    if spec is None:
        try:
            spec = find_spec(name)
        except (ImportError, ValueError, AttributeError):
            return None
    if spec is None or name == "jupyter_flows":
        return None
    places = [Path(place) for place in spec.submodule_search_locations or ()]
    if not places and (not spec.origin or not spec.has_location):
        return None
    origin = places[0] if places else Path(str(spec.origin))
    if any(origin.is_relative_to(place) for place in _installed_places()):
        return None
    if not places:
        return [origin] if origin.is_file() else None
    return sorted(file for place in places for file in place.rglob("*.py"))[:MOST_FILES]


def version(name: str) -> str:
    """Return the version of the package that a top-level module is from; empty if it tells none."""
    for package in (name, *_distributions().get(name, ())) if not _is_distribution(name) else (name,):
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""


def _is_distribution(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


@cache
def _installed_places() -> tuple[Path, ...]:
    paths = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return tuple(Path(path) for path in {*paths, *site.getsitepackages(), site.getusersitepackages()} if path)


@cache
def _read_module(path: str, mtime_ns: int, size: int) -> tuple[str, tuple[str, ...]]:
    """Return a digest of a module's file, and the modules that it imports."""
    del mtime_ns, size
    data = Path(path).read_bytes()
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError):
        return hashlib.sha256(data).hexdigest(), ()
    return hashlib.sha256(ast.dump(tree).encode("utf-8", "surrogatepass")).hexdigest(), tuple(
        sorted(_imported(tree))
    )


def _imported(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.partition(".")[0])
    return found


def _imports_of(code: CodeType) -> set[str]:
    return {
        str(step.argval).partition(".")[0]
        for step in dis.get_instructions(code)
        if step.opname == "IMPORT_NAME" and step.argval
    }


def _globals_read(code: CodeType) -> set[str]:
    found = {
        str(step.argval)
        for step in dis.get_instructions(code)
        if step.opname in {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
    }
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= _globals_read(constant)
    return found


def _is_as_written(value: FunctionType) -> bool:
    """Whether a function of a local module is what the module's file says now."""
    try:
        path = Path(value.__code__.co_filename)
        status = path.stat()
        return _bytes_of(value.__code__) in _codes_in(str(path), status.st_mtime_ns, status.st_size)
    except (OSError, SyntaxError, ValueError):
        return True  # made by a decorator of a library, or at run time


@cache
def _codes_in(path: str, mtime_ns: int, size: int) -> frozenset[bytes]:
    del mtime_ns, size
    found: set[bytes] = set()
    work = [compile(Path(path).read_bytes(), path, "exec", dont_inherit=True)]
    while work:
        code = work.pop()
        found.add(_bytes_of(code))
        work += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return frozenset(found)


def _bytes_of(code: CodeType) -> bytes:
    plain = [repr(each) for each in code.co_consts if type(each) in _PLAIN]
    return code.co_code + repr((code.co_name, code.co_names, code.co_varnames, plain)).encode()
