"""Which modules a flow needs that exist only on this machine."""

from __future__ import annotations

import ast
import functools
import site
import sys
import sysconfig
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path


def imported_modules(sources: Iterable[str]) -> list[str]:
    """Return the top-level modules that the sources import; what does not parse is passed over.

    Examples
    --------
    >>> imported_modules(["import os.path, pandas as pd", "from matplotlib.figure import Figure"])
    ['matplotlib', 'os', 'pandas']
    """
    found: set[str] = set()
    for source in sources:
        try:
            tree = ast.parse(source)
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                found.add(node.module.split(".")[0])
    return sorted(found)


def local_modules(names: Iterable[str], *, beside: Path | None = None) -> dict[str, str]:
    """Return the modules of *names* that are neither installed nor of the standard library, with their files.

    Parameters
    ----------
    names : iterable of str
    beside : Path, optional
        A directory that counts as on the path (the notebook's own).
    """
    found: dict[str, str] = {}
    for name in {name.split(".")[0] for name in names}:
        if name in sys.stdlib_module_names or name == "jupyter_flows":
            continue
        file = _file_of(name, beside)
        if file is not None and not any(file.is_relative_to(place) for place in _installed_places()):
            found[name] = str(file)
    return dict(sorted(found.items()))


def _file_of(name: str, beside: Path | None) -> Path | None:
    if beside is not None:
        for candidate in (beside / f"{name}.py", beside / name / "__init__.py"):
            if candidate.is_file():
                return candidate
        if name and next((beside / name).glob("*.py"), None) is not None:
            return beside / name  # a package without __init__.py
    try:
        spec = find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None:
        return None
    if spec.origin and spec.has_location:
        return Path(spec.origin)
    return next((Path(place) for place in spec.submodule_search_locations or ()), None)


@functools.cache
def _installed_places() -> list[Path]:
    paths = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return [Path(path) for path in {*paths, *site.getsitepackages(), site.getusersitepackages()} if path]
