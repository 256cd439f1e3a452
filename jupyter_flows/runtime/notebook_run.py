"""A notebook executed once, as a flow: its graph, its kernel, its states, its end.

The flow engine runs in this process, the cells in a kernel of their own: a kernel that dies is a failed
task with a cause, not the end of the report. A notebook whose graph cannot be built (a cell that does
not parse) is run from top to bottom, as papermill would.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_flows.core.signals import SKIP
from jupyter_flows.engine import cell_options
from jupyter_flows.engine.backend import TaskTimedOut
from jupyter_flows.engine.namespace import in_directory
from jupyter_flows.engine.task_runner import CellFailed as EngineCellFailed
from jupyter_flows.engine.task_runner import CellKept, condition_failed, kept_message, skip_message
from jupyter_flows.errors import FlowsError, KernelDied
from jupyter_flows.notebook.cell_task import CellTask
from jupyter_flows.notebook.read import CodeCell, notebook_cells
from jupyter_flows.notebook.write import unmark
from jupyter_flows.runtime.cell_code import is_skipped
from jupyter_flows.runtime.kernel_backend import CellFailed, CellRunner, CellTimedOut
from jupyter_flows.runtime.kernels import Kernel
from jupyter_flows.runtime.notebook_states import NotebookStates, TimedManager
from jupyter_flows.runtime.report_pipe import ReportPipe
from jupyter_flows.runtime.reporting import EngineReporter, final_message, keep_traceback
from jupyter_flows.schema.runs import StateName

if TYPE_CHECKING:
    from jupyter_flows.core.graph import FlowGraph
    from jupyter_flows.core.task import Task


class NotebookRun:
    """Executes the cells of an open notebook, and remembers how it ended.

    Parameters
    ----------
    pipe : ReportPipe
        Where states and log lines go; default: nowhere.
    flow_name : str
        Name of the flow, for the graph.
    directory : Path, optional
        The run's own directory: sockets of the kernel and ``traceback.txt`` go there; default: a
        temporary one, and no traceback beside the notebook's own.
    kernel : Kernel, optional
        A kernel that was launched already; it is stopped at the end.
    context : mapping
        Keys of the run's context.
    all_cells, by_heading : bool
        Which cells are tasks, as when the notebook was registered.

    Attributes
    ----------
    state, message
        The flow's final state and why, after :meth:`execute`.
    context
        The run's context.
    """

    def __init__(
        self,
        *,
        pipe: ReportPipe | None = None,
        flow_name: str = "notebook",
        directory: Path | None = None,
        kernel: Kernel | None = None,
        context: Mapping[str, Any] | None = None,
        all_cells: bool = False,
        by_heading: bool = False,
    ) -> None:
        self._all_cells = all_cells
        self._by_heading = by_heading
        self.context = dict(context or {})
        self._launched = kernel
        self._pipe = pipe or ReportPipe(None)
        self._flow_name = flow_name
        self._directory = directory
        self.state: StateName = "Pending"
        self.message = ""

    def execute(
        self,
        manager: TimedManager,
        kernel_name: str,
        *,
        start_timeout_s: float = 60.0,
        cell_timeout_s: float | None = None,
        allow_errors: bool = False,
        on_output: Callable[[Any], None] | None = None,
    ) -> None:
        """Run all cells; failures of cells end up in :attr:`state`, not in an exception.

        Raises
        ------
        KernelNotFound, KernelDidNotStart : no cell ran.
        KeyboardInterrupt : the run was interrupted; the cell under way was, too.
        """
        nb = manager.nb
        unmark(nb)
        self._pipe.mask = manager.mask
        manager.say = functools.partial(self._pipe.log, "WARNING")
        with self._kernel(kernel_name, start_timeout_s) as kernel:
            # While the kernel's process comes up: reading the graph of 400 cells takes a third of that.
            document = _Document(nb, self._flow_name)
            graph = self._graph(document)
            kernel.start()
            self._pipe.log("INFO", f"kernel {kernel_name} started")
            manager.outputs.on_output = on_output
            runner = CellRunner(manager.outputs, kernel, allow_errors=allow_errors)
            try:
                if graph is None:
                    self._run_plain(manager, runner, document, cell_timeout_s)
                else:
                    self._run_graph(manager, runner, document, graph=graph, cell_timeout_s=cell_timeout_s)
            finally:
                if not runner.dead:
                    with contextlib.suppress(Exception):
                        nb.metadata["language_info"] = runner.language_info()
                manager.outputs.set_widgets_metadata()

    @contextlib.contextmanager
    def _kernel(self, name: str, start_timeout_s: float) -> Any:
        with tempfile.TemporaryDirectory(prefix="jupyter-flows-") as temporary:
            kernel = self._launched or Kernel(
                name,
                directory=(self._directory or Path(temporary)) / "kernel",
                start_timeout_s=start_timeout_s,
            )
            if self._launched is None:
                kernel.launch()
            try:
                yield kernel
            finally:
                kernel.stop()

    def _graph(self, document: _Document) -> FlowGraph | None:
        from jupyter_flows.notebook.build import build_flow

        if document.language != "python":
            return None
        try:
            graph: FlowGraph = build_flow(
                document.registered, self._flow_name, all_cells=self._all_cells, by_heading=self._by_heading
            )
            graph.sorted_tasks()
        except FlowsError as error:
            text = f"the graph cannot be built, so cells run from top to bottom: {error}"
        except SyntaxError as error:
            text = f"a cell does not parse (line {error.lineno}), so cells run from top to bottom"
        else:
            return graph
        self._pipe.log("WARNING", text)
        return None

    def _run_graph(
        self,
        manager: TimedManager,
        runner: CellRunner,
        document: _Document,
        *,
        graph: FlowGraph,
        cell_timeout_s: float | None,
    ) -> None:
        """Run as the flow that the notebook is: in document order, but past what failed."""
        from jupyter_flows.engine.flow_runner import FlowRunner
        from jupyter_flows.executors.local import LocalExecutor

        positions = {
            slug: tuple(document.positions[number - 1] for number in task.members)
            for task, slug in graph.slugs.items()
            if isinstance(task, CellTask)
        }
        states = NotebookStates(manager, self._pipe, positions)
        final = FlowRunner(
            graph,
            executor=LocalExecutor(),
            backend=KernelBackend(runner, document, cell_timeout_s=cell_timeout_s),
            reporter=EngineReporter(self._pipe, tell=states.state, directory=self._directory),
        ).run(context=self.context, reraise=True)
        self.state, self.message = final_message(graph, final)

    def _run_plain(
        self,
        manager: TimedManager,
        runner: CellRunner,
        document: _Document,
        cell_timeout_s: float | None,
    ) -> None:
        """Run from top to bottom; stop at the first failure."""
        cells = document.plain_cells()
        names = {f"cell-{cell.index}": (cell.position,) for cell in cells}
        states = NotebookStates(manager, self._pipe, names)
        failed = ""
        for cell in cells:
            slug = f"cell-{cell.index}"
            if failed:
                states.state(slug, slug, "TriggerFailed", message=f"not run: {failed} failed")
                continue
            states.state(slug, slug, "Running")
            try:
                runner.call(cell.position, name=slug, timeout_s=cell_timeout_s)
            except (CellFailed, KernelDied, CellTimedOut) as error:
                keep_traceback(self._directory, error)
                failed = slug
                self.state, self.message = "Failed", str(error)
                states.state(
                    slug,
                    slug,
                    "TimedOut" if isinstance(error, CellTimedOut) else "Failed",
                    message=str(error),
                )
            except KeyboardInterrupt:
                states.state(slug, slug, "Cancelled", message="interrupted")
                raise
            else:
                states.state(slug, slug, "Success")
        if not failed:
            self.state, self.message = "Success", f"all {len(cells)} cells ran"


class _Document:
    """The notebook as registered and as parameterised: papermill may have put a cell in between."""

    def __init__(self, nb: Any, name: str) -> None:
        code = [(place, cell) for place, cell in enumerate(nb.cells) if cell.cell_type == "code"]
        self.positions = [place for place, cell in code if not _is_injected(cell)]
        """Place in the notebook of each registered code cell."""
        self.injected = [place for place, cell in code if _is_injected(cell)]
        registered = [cell for cell in nb.cells if not _is_injected(cell)]
        self.registered = notebook_cells({**nb, "cells": registered}, path=name)
        self.language = self.registered.language
        self._all = notebook_cells(nb, path=name)

    def plain_cells(self) -> list[CodeCell]:
        """Every cell that would run from top to bottom."""
        return [cell for cell in self._all.cells if cell.source.strip() and not is_skipped(cell.source)]


def _is_injected(cell: Any) -> bool:
    return "injected-parameters" in cell.metadata.get("tags", [])


class KernelBackend:
    """Calls cell tasks in a kernel; values stay there, so a call returns none."""

    def __init__(self, runner: CellRunner, document: _Document, *, cell_timeout_s: float | None) -> None:
        self._runner = runner
        self._document = document
        self._cell_timeout_s = cell_timeout_s
        self._to_inject = list(document.injected)

    def call(
        self, task: Task, inputs: Mapping[str, Any], context: Mapping[str, Any], timeout_s: float | None
    ) -> None:
        """Run a cell, and what papermill injected where it belongs: after the parameters, else first."""
        del inputs, context
        assert isinstance(task, CellTask)
        limit_s = timeout_s if timeout_s is not None else self._cell_timeout_s
        positions = [self._document.positions[number - 1] for number in task.members]
        while self._to_inject and self._to_inject[0] < positions[0]:
            self._run(self._to_inject.pop(0), "parameters", limit_s)
        if task.when is not None:
            holds, raised = self._runner.ask(task.when)
            if raised:
                raise EngineCellFailed(condition_failed(raised, task))
            if not holds:
                raise SKIP(skip_message(task))
        if task.wrapping is not None:
            self._wrap(task.wrapping)
        for position in positions:
            self._run(position, task.name, limit_s)
        if task.wrapping is not None:
            hit, _ = self._runner.ask(f"({_WRAPPER}.ended(), {_WRAPPER}.hit)[1]")
            if hit:
                raise CellKept(kept_message(task))

    def _wrap(self, wrapping: dict[str, Any]) -> None:
        """Give the kernel, which may have no such package, what does a cell's options."""
        asked = in_directory(wrapping)
        install = f"names['install'](get_ipython(), {asked!r})"
        _, raised = self._runner.ask(f"(lambda names: (exec({_source()!r}, names), {install}))({{}})")
        if raised:
            msg = f"{raised} when the kernel was given the options of a cell; it is no kernel of IPython's"
            raise EngineCellFailed(msg)

    def _run(self, position: int, name: str, timeout_s: float | None) -> None:
        try:
            self._runner.call(position, name=name, timeout_s=timeout_s)
        except CellTimedOut as error:
            msg = f"took longer than {timeout_s or 0:g} s"
            raise TaskTimedOut(msg) from error
        except CellFailed as error:
            raise EngineCellFailed(str(error), error) from error


_WRAPPER = "get_ipython()._flows_wrapper"


@functools.cache
def _source() -> str:
    return inspect.getsource(cell_options)
