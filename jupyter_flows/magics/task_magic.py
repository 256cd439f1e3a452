"""``%%task``: the line is read and taken off, the body runs as the ordinary cell it is.

The line is taken off before IPython looks for magics, not by a magic that runs the body: so ``await``, the
last expression, tracebacks, line numbers and *Run All* are those of an ordinary cell.
"""

from __future__ import annotations

from typing import Any

from jupyter_flows.errors import FlowsError
from jupyter_flows.runtime.cell_code import code_for_kernel


class TaskLines:
    """An input transformer of a shell: lines of a cell in, lines of a cell out."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._refusal = ""

    def __call__(self, lines: list[str]) -> list[str]:
        """Take the line off; a line that cannot be read becomes a cell that only says so."""
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
                parse_task_line(magic, where="This cell")
            except FlowsError as error:
                self._refusal = str(error)
                return ["get_ipython().run_line_magic('_flows_refuse', '')\n"]
        return code.splitlines(keepends=True)

    def refuse(self, line: str) -> None:
        """Say why a cell was not run; IPython shows this kind of error without a traceback."""
        del line
        from IPython.core.error import UsageError

        raise UsageError(self._refusal)


def _asks_for_help(lines: list[str]) -> bool:
    """Whether the cell is ``%%task?``."""
    said = [line.strip() for line in lines if line.strip()]
    return len(said) == 1 and said[0].endswith("?")
