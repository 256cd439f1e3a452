"""Cells of a notebook in one namespace of this process, one at a time, as a kernel would run them.

IPython's syntax is understood; line magics and shell lines run through the shell that is there, else
through one that is made for them.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import linecache
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from types import CodeType, ModuleType
from typing import Any

from jupyter_flows.core.task import Task
from jupyter_flows.engine.backend import TaskTimedOut, alarm
from jupyter_flows.engine.task_runner import CellFailed
from jupyter_flows.notebook.cell_task import CellTask

_one_at_a_time = threading.RLock()


class NamespaceBackend:
    """Runs :class:`~jupyter_flows.notebook.cell_task.CellTask` bodies in one shared namespace.

    Parameters
    ----------
    parameters : mapping, optional
        Values that replace the defaults of the parameters cell, set right after it.
    """

    def __init__(self, parameters: Mapping[str, Any] | None = None) -> None:
        self._parameters = dict(parameters or {})
        self._injected = False
        self.module = ModuleType("__main__", "A notebook that runs as a flow.")

    def call(
        self, task: Task, inputs: Mapping[str, Any], context: Mapping[str, Any], timeout_s: float | None
    ) -> Any:
        """Run the cell; return ``{name: value}`` of the names it writes."""
        del inputs, context
        assert isinstance(task, CellTask)
        with _one_at_a_time, _as_main(self.module):
            self._inject_unless_there_is_a_cell_for_it(task)
            self._run(task, timeout_s)
            namespace = self.module.__dict__
            if task.role == "parameters":
                namespace.update(self._parameters)
            return {name: namespace[name] for name in sorted(task.writes) if name in namespace}

    def _inject_unless_there_is_a_cell_for_it(self, task: CellTask) -> None:
        """Set parameters before the first cell; the parameters cell, if there is one, is followed by them again."""
        if not self._injected:
            self._injected = True
            if task.role != "parameters":
                self.module.__dict__.update(self._parameters)

    def _run(self, task: CellTask, timeout_s: float | None) -> None:
        filename = f"<cell {task.index}: {task.name}>"
        source = _transformed(task.source)
        main = threading.current_thread() is threading.main_thread()
        limit = alarm(timeout_s) if timeout_s is not None and main else nullcontext()
        try:
            codes = _compiled(source, filename)
            shell = _shell(self.module) if "get_ipython()" in source else nullcontext()
            with shell, limit:
                for code, shown in codes:
                    _execute(code, self.module.__dict__, shown=shown)
        except (KeyboardInterrupt, TaskTimedOut):
            raise
        except SystemExit as error:
            if error.code in {None, 0}:
                return
            raise CellFailed(_sentence(error, task, filename), error) from error
        except BaseException as error:  # every other exception is the cell's
            raise CellFailed(_sentence(error, task, filename), error) from error


def _sentence(error: BaseException, task: CellTask, filename: str) -> str:
    line = error.lineno if isinstance(error, SyntaxError) and error.filename == filename else None
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == filename:
            line = frame.lineno
    at = f", line {line}" if line else ""
    return f"{type(error).__name__} in cell {task.name}{at}; its message and traceback stay where it ran"


def _transformed(source: str) -> str:
    from IPython.core.inputtransformer2 import TransformerManager

    return TransformerManager().transform_cell(source)


def _compiled(source: str, filename: str) -> list[tuple[CodeType, bool]]:
    """Return code to execute, and whether its value is to be shown, as a kernel does it."""
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    tree = ast.parse(source, filename)
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    codes: list[tuple[CodeType, bool]] = []
    body = tree.body
    last = body[-1] if body else None
    if isinstance(last, ast.Expr) and not source.rstrip().endswith(";"):
        tree.body = body[:-1]
        if tree.body:
            codes.append((compile(tree, filename, "exec", flags), False))
        codes.append((compile(ast.Expression(last.value), filename, "eval", flags), True))
    elif body:
        codes.append((compile(tree, filename, "exec", flags), False))
    return codes


def _execute(code: CodeType, namespace: dict[str, Any], *, shown: bool) -> None:
    value = eval(code, namespace)  # noqa: S307 - running the user's cell is the purpose
    if code.co_flags & inspect.CO_COROUTINE:
        value = _await(value)
    if shown and value is not None and _kernel_is_here():
        from IPython.display import display

        display(value)


def _await(coroutine: Any) -> Any:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    # A kernel's own loop runs in this thread; another thread can have one that finishes before we go on.
    outcome: list[Any] = []
    thread = threading.Thread(target=lambda: outcome.append(asyncio.run(coroutine)))
    thread.start()
    thread.join()
    return outcome[0]


def _kernel_is_here() -> bool:
    return "IPython" in sys.modules and getattr(_running_shell(), "kernel", None) is not None


def _running_shell() -> Any:
    from IPython import get_ipython

    return get_ipython()


@contextmanager
def _as_main(module: ModuleType) -> Iterator[None]:
    """Let *module* be ``__main__``, so that classes and functions of cells can be pickled."""
    before = sys.modules.get("__main__")
    sys.modules["__main__"] = module
    try:
        yield
    finally:
        if before is not None:
            sys.modules["__main__"] = before


@contextmanager
def _shell(module: ModuleType) -> Iterator[None]:
    """Let magics and shell lines work on our namespace."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = _running_shell() or InteractiveShell.instance()
    before = shell.user_ns, shell.user_module
    shell.user_ns, shell.user_module = module.__dict__, module
    module.__dict__.setdefault("get_ipython", lambda: shell)
    try:
        yield
    finally:
        shell.user_ns, shell.user_module = before
