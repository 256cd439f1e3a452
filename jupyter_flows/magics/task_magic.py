"""``%%task``: the line is read and taken off, the body runs as the ordinary cell it is.

The line is taken off before IPython looks for magics, not by a magic that runs the body: so ``await``, the
last expression, tracebacks, line numbers and *Run All* are those of an ordinary cell.
"""

from __future__ import annotations

import ast
import contextlib
from typing import TYPE_CHECKING, Any

from jupyter_flows.errors import FlowsError
from jupyter_flows.runtime.cell_code import code_for_kernel

if TYPE_CHECKING:
    from jupyter_flows.analysis import TaskOptions
    from jupyter_flows.engine.cell_options import CellWrapper


class _UnderWay:
    """A cell that runs."""

    def __init__(self, execution: object) -> None:
        self.execution = execution
        self.wrapper: CellWrapper | None = None
        self.is_skipped = False
        self.has_failed = False
        """Whether a cell that it ran has failed: ``%%capture`` ends well all the same."""


class TaskLines:
    """An input transformer of a shell: lines of a cell in, lines of a cell out.

    A cell can run others: ``%%capture`` runs its body as one, ``%%time`` has its body transformed as one.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._refusal = ""
        self._when: str | None = None
        self._options: TaskOptions | None = None
        self._under_way: list[_UnderWay] = []
        self.skipped = False
        """Whether the condition of the cell that ended last was false."""

    def __call__(self, lines: list[str]) -> list[str]:
        """Take the line off; a line that cannot be read becomes a cell that only says so."""
        self._when, self._options = None, None
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
                self._options = parse_task_line(magic, where="This cell")
                self._when = self._options.when
            except FlowsError as error:
                self._refusal = str(error)
                return ["get_ipython().run_line_magic('_flows_refuse', '')\n"]
        return code.splitlines(keepends=True)

    def visit(self, tree: ast.Module) -> ast.Module:
        """Leave out a cell whose ``--when`` is false; as an AST transformer, just before the cell runs."""
        when, self._when = self._when, None
        options, self._options = self._options, None
        if when is None:
            return self._wrapped(tree, options)
        condition = ast.parse(when, mode="eval")
        try:
            holds = bool(eval(compile(condition, "<--when>", "eval"), self._shell.user_ns))  # noqa: S307 - the user's expression, on purpose
        except Exception:  # noqa: BLE001 - evaluated again as the cell, so that its traceback is the user's
            return ast.fix_missing_locations(ast.Module([ast.Expr(condition.body)], []))
        if holds:
            return self._wrapped(tree, options)
        if self._under_way:
            self._under_way[-1].is_skipped = True
        print(f"(skipped: {when} is false)")  # noqa: T201
        return ast.Module([], [])

    def _wrapped(self, tree: ast.Module, options: TaskOptions | None) -> ast.Module:
        """Do ``--map`` and ``--cache-for`` as a run does them."""
        if options is None or not (options.map or options.cache_for_s):
            return tree
        from jupyter_flows.engine.cell_options import CellWrapper
        from jupyter_flows.engine.namespace import in_directory

        wrapping: dict[str, Any] | None = {"map": options.map, "out_map": options.out_map}
        if options.cache_for_s:
            # What the cell reads is known of the notebook as a whole; one that makes no flow caches nothing.
            with contextlib.suppress(FlowsError):
                task = self._shell.jupyter_flows_recorder.running_task()
                wrapping = task.wrapping if task is not None else wrapping
        assert wrapping is not None
        # A cell that is run by hand is not tried again: its author looks at it.
        wrapper = CellWrapper(
            {**in_directory(wrapping), "retries": 0},
            self._shell.user_ns,
            shell=self._shell if hasattr(self._shell, "kernel") else None,
        )
        if self._under_way:
            self._under_way[-1].wrapper = wrapper
        return wrapper.visit(tree)

    def begins(self, execution: object) -> None:
        """A cell is about to run; *execution* tells its end from that of what it runs itself."""
        self._under_way.append(_UnderWay(execution))

    def ended(self, execution: object, *, well: bool = True) -> None:
        """The cell has run; *well*: without an error."""
        self.skipped = False
        if not self._under_way or self._under_way[-1].execution is not execution:
            return  # of an empty cell only the end is told
        cell = self._under_way.pop()
        self.skipped = cell.is_skipped
        wrapper = cell.wrapper
        if self._under_way and not well:
            self._under_way[-1].has_failed = True
        if wrapper is not None and well and not cell.has_failed:
            wrapper.ended()
        elif wrapper is not None:
            wrapper.stop()

    def refuse(self, line: str) -> None:
        """Say why a cell was not run; IPython shows this kind of error without a traceback."""
        del line
        from IPython.core.error import UsageError

        raise UsageError(self._refusal)


def _asks_for_help(lines: list[str]) -> bool:
    """Whether the cell is ``%%task?``."""
    said = [line.strip() for line in lines if line.strip()]
    return len(said) == 1 and said[0].endswith("?")
