"""Which modules a notebook imports by statements of its own, each time and before anything else can fail.

Only statements at the top level of a cell count: what is imported in a function, a branch or a ``try`` may
never be imported at all.
"""

from __future__ import annotations

import ast

from jupyter_flows.notebook.read import NotebookCells
from jupyter_flows.runtime.known_imports import MODULES_TOGETHER, KnownImports
from jupyter_flows.runtime.started_ahead import cells_change_imports

NOT_AHEAD = frozenset({"__future__", "eventlet", "gevent", "jupyter_flows", "kaggle", "prefect"})
"""Imported at another moment or in another directory, these do something else."""


def known_imports(cells: NotebookCells, *, kernel: str) -> KnownImports:
    """Return what is worth remembering of a notebook.

    Examples
    --------
    >>> from jupyter_flows.notebook.read import CodeCell
    >>> cell = CodeCell(id="a", index=1, position=0, source="import numpy as np, os.path")
    >>> known_imports(NotebookCells(path="x", cells=(cell,)), kernel="python3").modules
    ('numpy', 'os.path')
    """
    alone = any(cells_change_imports(cell.source) for cell in cells.cells)
    names: dict[str, None] = {}
    for cell in cells.cells if not alone else ():
        try:
            body = ast.parse(cell.plain().source).body
        except (SyntaxError, ValueError, RecursionError):
            continue
        for statement in body:
            names.update(dict.fromkeys(_modules(statement)))
    kept = [name for name in names if name.partition(".")[0] not in NOT_AHEAD]
    return KnownImports(kernel=kernel, modules=tuple(kept[:MODULES_TOGETHER]), alone=alone)


def _modules(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    if isinstance(statement, ast.ImportFrom) and statement.module and statement.level == 0:
        return [statement.module]
    return []
