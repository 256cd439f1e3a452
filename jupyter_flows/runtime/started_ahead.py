"""Whether a process that was started ahead is what a fresh one would be. Pure but for looking at files.

What differs for a run can be given to a living process, unless something read it when the process started
or when a module was imported: then a fresh process is the only right answer.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

OURS = frozenset(
    {
        "JUPYTER_FLOWS_CLAIM",
        "JUPYTER_FLOWS_KEEPER_PID",
        "JUPYTER_FLOWS_REPORT_FD",
        "JUPYTER_FLOWS_RUN",
        "JUPYTER_FLOWS_RUN_ID",
    }
)
"""Variables that differ for each run, and that nothing but this package reads."""

_READ_AT_START = re.compile(
    r"PYTHON|LD_|DYLD_|LC_|LANG$|LANGUAGE$|TZ|HOME$|TMPDIR$|TMP$|TEMP$|XDG_|MALLOC_|GLIBC_|GCONV_|NO_COLOR$|TERM$"
    r"|IPYTHON|JUPYTER|MPL|OMP_|GOMP_|KMP_|MKL_|OPENBLAS_|BLIS_|VECLIB_|NUMEXPR_|NUMBA_|CUDA|NVIDIA_|ROCR_|HIP_"
    r"|CONDA_|VIRTUAL_ENV$|SSL_|REQUESTS_|PAPERMILL|PYDEVD|DEBUGPY"
)
_CHANGES_IMPORTS = re.compile(
    r"environ|putenv|dotenv|%\s*env\b|%\s*set_env|%\s*(?:pip|conda|mamba|uv)\b|!.*\b(?:pip|conda|mamba|uv)\b"
    r"|\bpip\b|sys\s*\.\s*(?:path|modules|meta_path)|from\s+sys\s+import|meta_path|path_hooks|addsitedir"
    r"|monkey|__import__|importlib|chdir|%\s*cd\b"
)


def is_read_at_start(variable: str) -> bool:
    """Whether an interpreter, the C library or this package reads *variable* when a process starts.

    Examples
    --------
    >>> is_read_at_start("PYTHONPATH"), is_read_at_start("OMP_NUM_THREADS"), is_read_at_start("DEBUG")
    (True, True, False)
    """
    return _READ_AT_START.match(variable) is not None


def changes(before: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str | None]:
    """Return what must be set (None: removed) for *before* to be *wanted*.

    Examples
    --------
    >>> changes({"A": "1", "B": "1"}, {"A": "2", "C": "1"})
    {'A': '2', 'B': None, 'C': '1'}
    """
    names = sorted({*before, *wanted})
    return {name: wanted.get(name) for name in names if before.get(name) != wanted.get(name)}


def cells_change_imports(source: str) -> bool:
    """Whether the code of *source* may change what a later ``import`` of its own gives.

    A library reads its variables once, when it is imported; so a notebook that sets variables, its import
    path, or installs something must import by itself. Told by words: a needless fresh kernel costs a second.

    Examples
    --------
    >>> cells_change_imports("import os; os.environ['OMP_NUM_THREADS'] = '1'"), cells_change_imports("x = 1")
    (True, False)
    """
    return _CHANGES_IMPORTS.search(source) is not None


def shadowed(modules: Iterable[str], directory: Path) -> str | None:
    """Return the first of the top-level *modules* that *directory* has a file of, or None.

    There the file is what a fresh process imports.
    """
    wanted = set(modules)
    try:
        entries = list(os.scandir(directory))
    except OSError:
        return None
    for entry in entries:
        stem = entry.name.partition(".")[0]
        if stem not in wanted:
            continue
        is_package = "." not in entry.name and Path(entry.path, "__init__.py").exists()
        if is_package or entry.name.endswith((".py", ".pyc", ".so", ".pyd")):
            return stem
    return None


class Stamp:
    """When places on disk were last changed; compared later.

    A directory of installed packages changes whenever one is installed, upgraded or removed.
    """

    def __init__(self) -> None:
        self._seen: dict[str, int | None] = {}

    def add(self, places: Iterable[str | os.PathLike[str]]) -> None:
        """Note *places*, also those that do not exist; what was noted before stays."""
        for place in places:
            self._seen.setdefault(os.fspath(place), _changed_at(os.fspath(place)))

    def changed(self) -> str | None:
        """Return the first place that is not as it was, or None."""
        return next((place for place, at in self._seen.items() if _changed_at(place) != at), None)


def installation(paths: Iterable[str]) -> list[str]:
    """Return those of an import path that hold installed packages: a checkout changes all the time."""
    return [path for path in paths if Path(path).name in {"site-packages", "dist-packages", "lib-dynload"}]


def _changed_at(place: str) -> int | None:
    try:
        return os.stat(place).st_mtime_ns  # noqa: PTH116 - called often
    except OSError:
        return None
