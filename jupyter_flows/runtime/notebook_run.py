"""A notebook executed once, as a flow: its graph, its kernel, its states, its end.

The flow engine runs in this process, the cells in a kernel of their own: a kernel that dies is a failed
task with a cause, not the end of the report. A notebook whose graph cannot be built (a cell that does
not parse) is run from top to bottom, as papermill would.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_flows.errors import KernelDied
from jupyter_flows.notebook.read import CodeCell, notebook_cells
from jupyter_flows.notebook.write import unmark
from jupyter_flows.runtime.cell_code import is_skipped
from jupyter_flows.runtime.kernel_backend import CellFailed, CellRunner, CellTimedOut
from jupyter_flows.runtime.kernels import Kernel
from jupyter_flows.runtime.notebook_states import NotebookStates, TimedManager
from jupyter_flows.runtime.report_pipe import ReportPipe
from jupyter_flows.schema.runs import StateName


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

    Attributes
    ----------
    state, message
        The flow's final state and why, after :meth:`execute`.
    """

    def __init__(
        self,
        *,
        pipe: ReportPipe | None = None,
        flow_name: str = "notebook",
        directory: Path | None = None,
        kernel: Kernel | None = None,
    ) -> None:
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
        cells = [
            cell
            for cell in notebook_cells(nb, path=self._flow_name).cells
            if cell.source.strip() and not is_skipped(cell.source)
        ]
        with self._kernel(kernel_name, start_timeout_s) as kernel:
            self._pipe.log("INFO", f"kernel {kernel_name} started")
            runner = CellRunner(
                nb,
                kernel,
                allow_errors=allow_errors,
                on_output=on_output,
                on_change=manager.changed_now,
                on_silence=manager.save_if_due,
            )
            try:
                self._run_plain(manager, runner, cells, cell_timeout_s)
            finally:
                if not runner.dead:
                    with contextlib.suppress(Exception):
                        nb.metadata["language_info"] = runner.language_info()
                runner.outputs.set_widgets_metadata()

    @contextlib.contextmanager
    def _kernel(self, name: str, start_timeout_s: float) -> Any:
        with tempfile.TemporaryDirectory(prefix="jupyter-flows-") as temporary:
            kernel = self._launched or Kernel(
                name,
                directory=(self._directory or Path(temporary)) / "kernel",
                start_timeout_s=start_timeout_s,
            )
            kernel.start()
            try:
                yield kernel
            finally:
                kernel.stop()

    def _run_plain(
        self,
        manager: TimedManager,
        runner: CellRunner,
        cells: list[CodeCell],
        cell_timeout_s: float | None,
    ) -> None:
        """Run from top to bottom; stop at the first failure."""
        names = {f"cell-{cell.index}": cell.position for cell in cells}
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
                self.keep_traceback(error)
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

    def keep_traceback(self, error: BaseException) -> None:
        """Write a failed cell's traceback into the run's directory: it stays on this machine."""
        if self._directory is None or not isinstance(error, CellFailed):
            return
        with (self._directory / "traceback.txt").open("a", encoding="utf-8", errors="replace") as stream:
            stream.write(f"{error}\n{error.traceback}\n\n")
