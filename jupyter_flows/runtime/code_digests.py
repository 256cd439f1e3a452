"""Digests of what tasks run: their cells, and the parts of setup cells that they use. Pure."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Collection, Iterable, Mapping

from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.notebook.cell_task import CellTask
from jupyter_flows.notebook.transform import plain_python
from jupyter_flows.runtime.passing import Needs


def code_digests(
    graph: FlowGraph, needs: Mapping[str, Needs], codes: Mapping[str, tuple[str, ...]]
) -> dict[str, str]:
    """Return a digest for each task: the same if neither its code nor a function that it uses has changed.

    Parameters
    ----------
    graph : FlowGraph
    needs : mapping
    codes : mapping
        The code of each task's cells, by slug.
    """
    found = {}
    for task, slug in graph.slugs.items():
        if not isinstance(task, CellTask):
            continue
        parts = [_tidy(code) for code in codes[slug]]
        parts.append(repr((task.when, sorted((task.wrapping or {}).items(), key=str))))
        for edge in graph.edges_to(task):
            up = graph.slugs[edge.upstream_task]
            if edge.kind == "data" and needs[up].is_replayed:
                parts += [binding(code, edge.names) for code in codes[up]]
        found[slug] = hashlib.sha256("\n\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
    return found


def binding(source: str, names: Collection[str]) -> str:
    r"""Return the statements of a cell that bind one of *names*; the whole cell if it does not parse.

    Examples
    --------
    >>> binding("import math\ndef f(x):\n    return 2 * x\nk = 3", ["f", "k"])
    'def f(x):\n    return 2 * x\nk = 3'
    """
    plain = plain_python(source).source
    try:
        body = ast.parse(plain).body
    except (SyntaxError, ValueError, RecursionError):
        return _tidy(source)
    wanted = set(names)
    return "\n".join(ast.unparse(statement) for statement in body if wanted & set(_bound(statement)))


def _bound(statement: ast.stmt) -> Iterable[str]:
    for node in ast.walk(statement):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]


def _tidy(source: str) -> str:
    return "\n".join(line.rstrip() for line in source.strip().splitlines())
