"""Cells of a notebook in one namespace of this process, one at a time, as a kernel would run them.

The namespace is a fresh ``__main__`` of its own: nothing of the notebook that may be open is seen or
changed. What of IPython's syntax a cell uses is ``shell.py``'s business.
"""

from __future__ import annotations
import __future__

import ast
import asyncio
import inspect
import linecache
import sys
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from contextvars import copy_context
from functools import reduce
from operator import or_
from types import CodeType, ModuleType
from typing import Any

from jupyter_flows.core.signals import SKIP, PrefectStateSignal
from jupyter_flows.core.task import Task
from jupyter_flows.engine.cell_options import CellWrapper, ItemsFailed
from jupyter_flows.engine.limits import TaskTimedOut, call_within
from jupyter_flows.engine.shell import Shell, as_python
from jupyter_flows.engine.task_runner import (
    STAYS,
    CellFailed,
    CellKept,
    condition_failed,
    kept_message,
    skip_message,
)
from jupyter_flows.notebook.cell_task import CellTask

_one_at_a_time = threading.RLock()
"""There is one ``sys.modules['__main__']``."""

_NOTHING: Any = object()
"""Stands for no value."""

FUTURES = reduce(or_, (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names))
"""``from __future__ import`` of one cell holds in all later ones, in a kernel and here."""


class NamespaceBackend:
    """Runs :class:`~jupyter_flows.notebook.cell_task.CellTask` bodies in one shared namespace.

    Parameters
    ----------
    parameters : mapping, optional
        Values that replace the defaults of the parameters cell, set right after it (papermill's
        convention); without such a cell they are set before the first.

    Examples
    --------
    >>> cell = CellTask("total", source="total = sum(range(4))", cell_id="c", index=1, writes=["total"])
    >>> NamespaceBackend().call(cell, {}, {}, None)
    {'total': 6}
    """

    def __init__(self, parameters: Mapping[str, Any] | None = None) -> None:
        self._parameters = dict(parameters or {})
        self._has_begun = False
        self._restored: list[tuple[int, dict[str, Any]]] = []
        """What cells made that need not run, by their places in the notebook, where it is not set yet."""
        self._laid: list[tuple[int, dict[str, tuple[Any, Any]]]] = []
        """What is set of them, from top to bottom: by name the value, and what was there before."""
        self.module = ModuleType("__main__", "A notebook that runs as a flow.")
        self._shell = Shell(self.module)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._futures = 0

    def call(
        self, task: Task, inputs: Mapping[str, Any], context: Mapping[str, Any], timeout_s: float | None
    ) -> Any:
        """Run the cell; return ``{name: value}`` of the names it writes.

        Raises
        ------
        CellFailed : the cell raised; tells the class, the cell and the line.
        TaskTimedOut : it took longer than *timeout_s*.
        """
        del inputs
        assert isinstance(task, CellTask)
        with _one_at_a_time, _as_main(self.module):
            if not self._has_begun:
                self._has_begun = True
                self.module.__dict__.update(self._parameters)
            self._set_restored(above=task.index)
            with self._without_restored(below=task.index):
                return self._called(task, context, timeout_s)

    def _called(self, task: CellTask, context: Mapping[str, Any], timeout_s: float | None) -> dict[str, Any]:
        namespace = self.module.__dict__
        if task.when is not None and not self._holds(task, task.when):
            raise SKIP(skip_message(task))
        wrapper = self._wrapper(task, str(context.get("flow_run_name") or "of the flow"))
        try:
            if timeout_s is None:
                self._run(task, wrapper)
            else:
                call_within(timeout_s, lambda: self._run(task, wrapper))
        except BaseException:
            if wrapper is not None:
                wrapper.stop()
            raise
        if task.role == "parameters":
            namespace.update(self._parameters)
        values = {name: namespace[name] for name in sorted(task.writes) if name in namespace}
        if wrapper is not None:
            wrapper.ended()
            if wrapper.hit:
                raise CellKept(kept_message(wrapper.hit), values)
        return values

    def _wrapper(self, task: CellTask, run: str) -> CellWrapper | None:
        if task.wrapping is None:
            return None
        return CellWrapper(
            in_directory(task.wrapping, run=run),
            self.module.__dict__,
            self._shell.show,
            shell=self._shell.kernel_shell(),
        )

    def _holds(self, task: CellTask, when: str) -> bool:
        """Whether the condition of ``--when`` is true now."""
        try:
            return bool(eval(compile(when, f"<--when of {task.name}>", "eval"), self.module.__dict__))  # noqa: S307 - the user's expression, on purpose
        except Exception as error:
            raise CellFailed(condition_failed(type(error).__name__, task), error) from error

    def restore(self, task: Task, result: Any) -> None:
        """Set the names that a cell made in an earlier run, in place of running it.

        They are set when the first cell below it runs: one above must not see what it rebound.
        """
        if isinstance(task, CellTask) and isinstance(result, dict):
            self._has_begun = True
            self._restored.append((task.index, result))

    def _set_restored(self, *, above: int) -> None:
        """Set what the restored cells above cell number *above* made, from top to bottom."""
        self._restored.sort(key=lambda made: made[0])
        while self._restored and self._restored[0][0] < above:
            index, made = self._restored.pop(0)
            namespace = self.module.__dict__
            self._laid.append((index, {name: (made[name], namespace.get(name, _NOTHING)) for name in made}))
            namespace.update(made)

    @contextmanager
    def _without_restored(self, *, below: int) -> Iterator[None]:
        """Take back what restored cells below cell number *below* made, as long as that one runs.

        One that is tried again runs after cells that stand below it.
        """
        namespace = self.module.__dict__
        lifted: list[tuple[dict[str, tuple[Any, Any]], str]] = []
        for index, laid in reversed(self._laid):
            for name, (value, before) in laid.items() if index > below else ():
                # What a cell has put in its place since is not ours to take back.
                if namespace.get(name, _NOTHING) is value:
                    lifted.append((laid, name))
                    if before is _NOTHING:
                        del namespace[name]
                    else:
                        namespace[name] = before
        try:
            yield
        finally:
            for laid, name in reversed(lifted):
                value, _ = laid[name]
                laid[name] = (value, namespace.get(name, _NOTHING))
                namespace[name] = value

    def close(self) -> None:
        """Close the event loop that cells with ``await`` shared."""
        if self._loop is not None:
            self._loop.close()
            self._loop = None

    def _run(self, task: CellTask, wrapper: CellWrapper | None = None) -> None:
        filename = f"<cell {task.index}: {task.name}>"
        try:
            source = as_python(task.source)
            codes = _compiled(source, filename, self._futures, wrapper)
            for code, _ in codes:
                self._futures |= code.co_flags & FUTURES
            with self._shell.lent():
                if any(code.co_flags & inspect.CO_COROUTINE for code, _ in codes):
                    self._in_loop(self._execute_in_loop(codes))
                else:
                    for code, is_shown in codes:
                        value = eval(code, self.module.__dict__)  # noqa: S307 - the user's cell, on purpose
                        self._show(value, is_shown=is_shown)
        except (KeyboardInterrupt, TaskTimedOut, PrefectStateSignal):
            raise
        except SystemExit as error:
            if error.code in {None, 0}:
                return  # papermill's convention: sys.exit() ends a cell, it does not fail it
            raise CellFailed(_sentence(error, task, filename), error) from error
        except Exception as error:
            raise CellFailed(_sentence(error, task, filename), error) from error

    async def _execute_in_loop(self, codes: list[tuple[CodeType, bool]]) -> None:
        for code, is_shown in codes:
            value = eval(code, self.module.__dict__)  # noqa: S307 - the user's cell, on purpose
            if code.co_flags & inspect.CO_COROUTINE:
                value = await value
            self._show(value, is_shown=is_shown)

    def _show(self, value: Any, *, is_shown: bool) -> None:
        if is_shown and value is not None:
            self._shell.show(value)

    def _in_loop(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run a cell with top-level ``await`` in a loop that all cells of the run share, as in a kernel."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        loop = self._loop
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            loop.run_until_complete(coroutine)
            return
        # A kernel's own loop runs in this thread and cannot be entered again: ours turns in another.
        failures: list[BaseException] = []
        context = copy_context()

        def target() -> None:
            try:
                context.run(loop.run_until_complete, coroutine)
            except BaseException as error:  # noqa: BLE001 - raised again by the caller
                failures.append(error)

        thread = threading.Thread(target=target, daemon=True, name="cell with await")
        thread.start()
        try:
            thread.join()
        except BaseException:
            for waiting in asyncio.all_tasks(loop):
                loop.call_soon_threadsafe(waiting.cancel)
            raise
        if failures:
            raise failures[0]


def in_directory(wrapping: dict[str, Any], *, run: str = "") -> dict[str, Any]:
    """Return what a cell's options ask for, with where this user's results are kept, and for which run."""
    if "cache" not in wrapping:
        return wrapping
    from jupyter_flows.settings import load_settings

    settings = load_settings()
    return {
        **wrapping,
        "cache": {
            **wrapping["cache"],
            "directory": str(settings.home / "cache" / "cells"),
            "limit_bytes": settings.cache_mb << 20,
            "run": run,
        },
    }


def _compiled(
    source: str, filename: str, futures: int, wrapper: CellWrapper | None
) -> list[tuple[CodeType, bool]]:
    """Return code to execute, and whether its value is to be shown, as a kernel does it."""
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    tree = ast.parse(source, filename)
    if wrapper is not None:
        tree = wrapper.visit(tree)

    def code(node: ast.Module | ast.Expression, mode: str) -> CodeType:
        # Without dont_inherit, this module's __future__ imports would apply to the user's cells.
        made = compile(node, filename, mode, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | futures, dont_inherit=True)
        assert isinstance(made, CodeType)
        return made

    last = tree.body[-1] if tree.body else None
    codes: list[tuple[CodeType, bool]] = []
    if isinstance(last, ast.Expr):
        del tree.body[-1]
        if tree.body:
            codes.append((code(tree, "exec"), False))
            futures |= codes[0][0].co_flags & FUTURES
        is_quiet = source.rstrip().endswith(";")
        codes.append((code(ast.Expression(last.value), "eval"), not is_quiet))
    elif last is not None:
        codes.append((code(tree, "exec"), False))
    return codes


def _sentence(error: BaseException, task: CellTask, filename: str) -> str:
    line = error.lineno if isinstance(error, SyntaxError) and error.filename == filename else None
    # Of a cell with --map, the line of the first item that failed.
    traceback = (
        error.__cause__ if isinstance(error, ItemsFailed) and error.__cause__ else error
    ).__traceback__
    while traceback is not None:
        frame = traceback.tb_frame
        # The cell's own line, not that of a function of it that was called.
        if frame.f_code.co_filename == filename and frame.f_code.co_name == "<module>":
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    at = f", line {line}" if line else ""
    return f"{type(error).__name__} in cell {task.name}{at}; {STAYS}"


@contextmanager
def _as_main(module: ModuleType) -> Iterator[None]:
    """Let *module* be ``__main__``, so that classes and functions of cells can be pickled."""
    before = sys.modules.get("__main__")
    sys.modules["__main__"] = module
    try:
        yield
    finally:
        if before is None:
            del sys.modules["__main__"]
        else:
            sys.modules["__main__"] = before
