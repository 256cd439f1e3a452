"""``%%task``: the line is read and taken off, the body runs as the ordinary cell it is.

The line is taken off before IPython looks for magics, not by a magic that runs the body: so ``await``, the
last expression, tracebacks, line numbers and *Run All* are those of an ordinary cell.
"""

from __future__ import annotations

import ast
from typing import Any

from jupyter_flows.errors import FlowsError
from jupyter_flows.runtime.cell_code import code_for_kernel


class TaskLines:
    """An input transformer of a shell: lines of a cell in, lines of a cell out."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._refusal = ""
        self._when: str | None = None
        self.skipped = False
        """Whether the condition of the cell that runs was false."""

    def __call__(self, lines: list[str]) -> list[str]:
        """Take the line off; a line that cannot be read becomes a cell that only says so."""
        self._when, self.skipped = None, False
        if not any(line.startswith("%%") for line in lines) or _asks_for_help(lines):
            return lines
        # Here, not at the top: %load_ext need not wait for the analysis.
        from jupyter_flows.analysis.options import parse_task_line
        from jupyter_flows.notebook.transform import plain_python

        source = "".join(lines)
        code = code_for_kernel(source)
        if code == source:
            return lines
        magic = plain_python(source).magic
        if magic is not None:
            try:
                self._when = parse_task_line(magic, where="This cell").when
            except FlowsError as error:
                self._refusal = str(error)
                return ["get_ipython().run_line_magic('_flows_refuse', '')\n"]
        return code.splitlines(keepends=True)

    def visit(self, tree: ast.Module) -> ast.Module:
        """Leave out a cell whose ``--when`` is false; as an AST transformer, just before the cell runs."""
        when, self._when = self._when, None
        if when is None:
            return tree
        condition = ast.parse(when, mode="eval")
        try:
            holds = bool(eval(compile(condition, "<--when>", "eval"), self._shell.user_ns))  # noqa: S307 - the user's expression, on purpose
        except Exception:  # noqa: BLE001 - evaluated again as the cell, so that its traceback is the user's
            return ast.fix_missing_locations(ast.Module([ast.Expr(condition.body)], []))
        if holds:
            return tree
        self.skipped = True
        print(f"(skipped: {when} is false)")  # noqa: T201
        return ast.Module([], [])

    def refuse(self, line: str) -> None:
        """Say why a cell was not run; IPython shows this kind of error without a traceback."""
        del line
        from IPython.core.error import UsageError

        raise UsageError(self._refusal)


def _asks_for_help(lines: list[str]) -> bool:
    """Whether the cell is ``%%task?``."""
    said = [line.strip() for line in lines if line.strip()]
    return len(said) == 1 and said[0].endswith("?")
