"""Which names ``from module import *`` brings.

Modules of the standard library are asked (imported once; those that do something visible are left out).
Of others the source is read, never run: ``__all__`` if it is a plain list, else the public names that the
module binds.
"""

from __future__ import annotations

import ast
import importlib
import sys
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from jupyter_flows.analysis.scopes import target_names

_NEVER = frozenset(
    {"antigravity", "this", "idlelib", "turtle", "turtledemo", "tkinter", "__main__", "lib2to3", "test"}
)
_LARGEST_BYTES = 2_000_000
_DEPTH = 5
"""How many star imports of star imports are followed."""


def is_fixed(module: str) -> bool:
    """Whether a star import of *module* brings the same names as long as Python runs.

    Examples
    --------
    >>> is_fixed("math"), is_fixed("a_module_of_mine")
    (True, False)
    """
    top = module.split(".", 1)[0]
    return top in _NEVER or top in sys.stdlib_module_names


def public_names(module: str) -> tuple[str, ...] | None:
    """Names that a star import binds, or None if they cannot be known without running code.

    Examples
    --------
    >>> "sqrt" in public_names("math")
    True
    >>> public_names("there_is_no_such_module") is None
    True
    """
    top = module.split(".", 1)[0]
    if top in _NEVER:
        return None
    if top in sys.stdlib_module_names:
        return _of_standard_library(module)
    # Read again each time: its author may be editing it.
    found = _read(module, _DEPTH)
    return None if found is None else tuple(sorted(found))


@lru_cache(maxsize=256)
def _of_standard_library(module: str) -> tuple[str, ...] | None:
    try:
        imported = importlib.import_module(module)
    except ImportError:
        return None
    listed = getattr(imported, "__all__", None)
    if listed is not None:
        return tuple(sorted(listed))
    return tuple(sorted(name for name in vars(imported) if not name.startswith("_")))


def _read(module: str, depth: int) -> set[str] | None:
    spec = _find(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py") or depth == 0:
        return None
    try:
        path = Path(spec.origin)
        if path.stat().st_size > _LARGEST_BYTES:
            return None
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None
    package = module if spec.submodule_search_locations is not None else module.rpartition(".")[0]
    return _names(tree, package, depth)


def _names(tree: ast.Module, package: str, depth: int) -> set[str] | None:
    """Names that a module's top level gives a star import; None if they depend on running it."""
    found: set[str] = set()
    statements = list(tree.body)
    while statements:
        node = statements.pop(0)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
                return _listed(node, tree)
            found.update(name for target in targets for name in target_names(target))
        elif isinstance(node, ast.Import):
            found.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            starred = node.names[0].name == "*"
            brought = _starred(node, package, depth) if starred else {a.asname or a.name for a in node.names}
            if brought is None:
                return None
            found |= brought
        elif isinstance(node, ast.If | ast.Try | ast.With | ast.For | ast.While):
            # What is bound under a condition may be there.
            for field in ("body", "orelse", "finalbody"):
                statements += getattr(node, field, [])
            for handler in getattr(node, "handlers", []):
                statements += handler.body
            if isinstance(node, ast.For):
                found.update(target_names(node.target))
    return {name for name in found if not name.startswith("_")}


def _listed(node: ast.Assign | ast.AnnAssign | ast.AugAssign, tree: ast.Module) -> set[str] | None:
    """Return what ``__all__`` lists, if one plain list says it all."""
    mentions = sum(isinstance(found, ast.Name) and found.id == "__all__" for found in ast.walk(tree))
    if mentions > 1 or isinstance(node, ast.AugAssign) or node.value is None:
        return None
    try:
        names = ast.literal_eval(node.value)
    except (ValueError, TypeError, SyntaxError, RecursionError):
        return None
    return set(names) if all(isinstance(name, str) for name in names) else None


def _starred(node: ast.ImportFrom, package: str, depth: int) -> set[str] | None:
    base = package.split(".") if node.level else []
    parts = base[: len(base) - node.level + 1] if node.level else []
    module = ".".join([*parts, *([node.module] if node.module else [])])
    top = module.split(".", 1)[0]
    if top in sys.stdlib_module_names:
        found = public_names(module)
        return None if found is None else set(found)
    return _read(module, depth - 1)


def _find(module: str) -> ModuleSpec | None:
    """Return where a module lies, without importing it or its parents."""
    path: list[str] | None = None
    spec: ModuleSpec | None = None
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        try:
            spec = PathFinder.find_spec(name, path)
        except (ImportError, ValueError, AttributeError):
            return None
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or [])
    return spec
