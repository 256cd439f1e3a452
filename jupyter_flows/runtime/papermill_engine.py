"""The papermill engine ``flows``: a notebook executed as the flow it is.

``papermill --engine flows in.ipynb out.ipynb -p k v`` works by itself, with no server; the run of an
agent uses the same class with a :class:`NotebookRun` of its own. papermill's conventions are kept: the
parameters cell, the metadata of cells and notebook, the output path.
"""

from __future__ import annotations

import logging
from typing import Any

from papermill.engines import Engine

from jupyter_flows.runtime.known_secrets import run_secrets
from jupyter_flows.runtime.notebook_run import NotebookRun
from jupyter_flows.runtime.notebook_states import TimedManager
from jupyter_flows.runtime.run_options import RunOptions
from jupyter_flows.runtime.whole_files import keep_whole

log = logging.getLogger("papermill")


class FlowsEngine(Engine):  # type: ignore[misc]
    """Executes a notebook's cells as tasks of a flow: independent ones go on when one fails."""

    @classmethod
    def execute_notebook(  # noqa: PLR0917 - papermill's own signature
        cls,
        nb: Any,
        kernel_name: str,
        output_path: str | None = None,
        progress_bar: Any = True,  # noqa: FBT002
        log_output: bool = False,  # noqa: FBT001, FBT002
        autosave_cell_every: int = 30,
        **kwargs: Any,
    ) -> Any:
        """Execute *nb*; called by papermill.

        Parameters
        ----------
        output_path : str, optional
            Where the notebook is saved as it goes: a file of this machine every 2 s, anything else that
            papermill writes every 30 s.
        run : NotebookRun, optional
            (keyword) The run of an agent; default: a run that nobody listens to.
        """
        manager = TimedManager(
            nb,
            output_path=output_path,
            progress_bar=progress_bar,
            log_output=log_output,
            autosave_cell_every=autosave_cell_every,
            mask=run_secrets(nb, context=run.context if (run := kwargs.get("run")) is not None else {}),
        )
        manager.notebook_start()
        try:
            cls.execute_managed_notebook(manager, kernel_name, log_output=log_output, **kwargs)
        finally:
            manager.cleanup_pbar()
            manager.notebook_complete()
            if run is not None:
                run.end(manager.nb)
            manager.redact()
            manager.save_now(final=True)
            if run is not None:
                run.unsaved = manager.unsaved
            elif output_path is not None:
                keep_whole(output_path)
        return manager.nb

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: TimedManager,
        kernel_name: str,
        *,
        log_output: bool = False,
        stdout_file: Any = None,
        stderr_file: Any = None,
        start_timeout: float = 60,
        execution_timeout: float | None = None,
        run: NotebookRun | None = None,
        options: RunOptions | None = None,
        **kwargs: Any,
    ) -> None:
        """Run the cells of an open notebook."""
        alone = run is None
        run = run or NotebookRun(options=options)
        run.execute(
            nb_man,
            kernel_name,
            start_timeout_s=float(start_timeout),
            cell_timeout_s=execution_timeout or kwargs.get("timeout") or None,
            allow_errors=bool(kwargs.get("allow_errors", False)),
            on_output=_output_writer(log_output=log_output, stdout_file=stdout_file, stderr_file=stderr_file),
        )
        if alone and run.state not in {"Success", "Skipped"}:
            _let_papermill_know(nb_man)


def _let_papermill_know(manager: TimedManager) -> None:
    """Papermill looks for marks at cells; a flow can fail without one, by a trigger."""
    cells = [cell for cell in manager.nb.cells if cell.cell_type == "code"]
    if not any(cell.metadata.papermill.get("exception") for cell in cells):
        for cell in cells:
            if cell.metadata.get("jupyter_flows", {}).get("state") not in {None, "Success", "Skipped"}:
                manager.cell_exception(cell)
                return


def _output_writer(*, log_output: bool, stdout_file: Any, stderr_file: Any) -> Any:
    """Papermill's options --log-output, --stdout-file and --stderr-file."""
    if not (log_output or stdout_file or stderr_file):
        return None

    def write(output: Any) -> None:
        if output["output_type"] == "stream":
            text = output["text"]
            if log_output:
                log.log(logging.INFO if output["name"] == "stdout" else logging.WARNING, "%s", text)
            file = stdout_file if output["name"] == "stdout" else stderr_file
            if file:
                file.write(text)
                file.flush()
        elif log_output and "text/plain" in output.get("data", {}):
            log.info("%s", output["data"]["text/plain"])

    return write
