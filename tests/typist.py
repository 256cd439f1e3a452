"""``jupyter flows`` typed many times: each command has a process of its own, forked from one that has imported all.

Starting Python and importing papermill takes longer than most of what is tested by it.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

# The grammar for checking IRIs costs 1.5 s at import, and nothing here checks IRIs.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

IMPORTED = (
    __name__,
    "papermill",
    "jupyter_flows.cli.execute",
    "jupyter_flows.runtime.execute_alone",
    "jupyter_flows.runtime.notebook_run",
)


class Typist:
    """Types commands.

    Parameters
    ----------
    pool : ProcessPoolExecutor
        Its processes do one thing each.
    """

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def type(self, *arguments: str, cwd: Path, environ: Mapping[str, str]) -> tuple[int, str]:
        """Type ``jupyter flows`` and the arguments in *cwd*; return the exit code, and what it said."""
        return self._pool.submit(_typed, arguments, cwd, {**os.environ, **environ}).result()


def _typed(arguments: tuple[str, ...], cwd: Path, environ: Mapping[str, str]) -> tuple[int, str]:
    from jupyter_flows.cli import run_command

    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = run_command(list(arguments))
    return code, said.getvalue()


@contextlib.contextmanager
def hired() -> Iterator[Typist]:
    """Yield a typist; its processes end with the block."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        yield Typist(pool)
