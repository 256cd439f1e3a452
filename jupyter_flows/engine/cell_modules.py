"""What a cell's code is, which modules it is from, and what their files and packages are now.

Runs where the cell runs, which may be a kernel without this package: it is sent this file's text. So it
imports nothing of ours.
"""

from __future__ import annotations

import ast
import dis
import hashlib
import importlib.metadata
import site
import sys
import sysconfig
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, FunctionType

MOST_FILES = 2000
"""Files of one local package that are looked at."""
_PLAIN = frozenset({int, float, complex, bool, str, bytes, type(None)})


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
def read_module(path: str, mtime_ns: int, size: int) -> tuple[str, tuple[str, ...]]:
    """Return a digest of a module's file, and the modules that it imports."""
    del mtime_ns, size
    data = Path(path).read_bytes()
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError):
        return hashlib.sha256(data).hexdigest(), ()
    return hashlib.sha256(ast.dump(tree).encode("utf-8", "surrogatepass")).hexdigest(), tuple(
        sorted(imported_by(tree))
    )


def imported_by(tree: ast.AST) -> set[str]:
    """Return the top-level modules that a text imports."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.partition(".")[0])
    return found


def imports_of(code: CodeType) -> set[str]:
    """Return the top-level modules that code imports when it runs."""
    return {
        str(step.argval).partition(".")[0]
        for step in dis.get_instructions(code)
        if step.opname == "IMPORT_NAME" and step.argval
    }


def globals_read(code: CodeType) -> set[str]:
    """Return the names that code, and what is defined in it, looks up outside."""
    found = {
        str(step.argval)
        for step in dis.get_instructions(code)
        if step.opname in {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
    }
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= globals_read(constant)
    return found


def is_as_written(value: FunctionType) -> bool:
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
