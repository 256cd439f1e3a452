"""A notebook executed by hand, with no server: parameters in, executed notebook out, as papermill does it.

What ``jupyter flows execute`` does. The executed notebook is the record of the run; what its cells gave lies
in a hidden directory beside it until the run has succeeded.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from jupyter_flows.notebook.write import mark_notebook, run_facts
from jupyter_flows.runtime.earlier import checkpoint_beside, earlier_run
from jupyter_flows.runtime.opening import DEFAULT_KERNEL, opened, parameterised, working_in
from jupyter_flows.runtime.report_pipe import ReportPipe
from jupyter_flows.schema.base import utc_now
from jupyter_flows.schema.runs import StateName
from jupyter_flows.settings import load_settings

if TYPE_CHECKING:
    from jupyter_flows.runtime.run_options import RunOptions


class Executed(msgspec.Struct, frozen=True, kw_only=True):
    """How a notebook's run ended."""

    state: StateName
    message: str
    output: str
    checkpoint: str | None = None
    """Where the run can be gone on from; None: it succeeded, or nothing was kept."""
    unsaved: str = ""
    """Why the executed notebook is not there, or not as it was at the end; empty if it is."""


def execute_alone(
    source: Path,
    output: str,
    *,
    options: RunOptions,
    parameters: Mapping[str, Any] | None = None,
    kernel_name: str | None = None,
    all_cells: bool = False,
    by_heading: bool = False,
    resume: Path | None = None,
    is_forced: bool = False,
    keeps: bool = True,
    pipe: ReportPipe | None = None,
) -> Executed:
    """Execute a notebook.

    Parameters
    ----------
    source : Path
        The notebook, or a script in percent format.
    output : str
        Where the executed notebook is written: a path, or an address that papermill writes to.
    options : RunOptions
    parameters : mapping, optional
        Values for its parameters; default: those of the run that is resumed.
    kernel_name : str, optional
        Default: the notebook's own.
    all_cells, by_heading : bool
        As when registering: which cells are tasks.
    resume : Path, optional
        An executed notebook whose run goes on.
    is_forced : bool
        Take results of cells whose code has changed since.
    keeps : bool
        Whether there is a checkpoint.
    pipe : ReportPipe, optional
        Hears states and log lines.

    Raises
    ------
    InvalidNotebook, NotebookWithoutTasks, CheckpointUnreadable, CannotResume, InvalidFlow, InvalidOption,
    InvalidParameters
        Nothing ran, nothing was written.
    KernelNotFound, KernelDidNotStart : no cell ran.
    KeyboardInterrupt : the executed notebook shows how far it came.
    """
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    import papermill  # noqa: F401 - it loads engines, ours among them, before anything of it is imported
    from papermill.exceptions import PapermillExecutionError
    from papermill.execute import prepare_notebook_metadata, raise_for_execution_errors, remove_error_markers

    from jupyter_flows.notebook.build import require_tasks
    from jupyter_flows.notebook.read import read_notebook
    from jupyter_flows.runtime.before_run import require_kernel_of, require_parameters
    from jupyter_flows.runtime.notebook_run import NotebookRun
    from jupyter_flows.runtime.papermill_engine import FlowsEngine

    read = read_notebook(source)
    name = kernel_name or read.kernel or DEFAULT_KERNEL
    require_kernel_of(read, name, is_asked=kernel_name is not None)
    earlier = earlier_run(resume, is_forced=is_forced) if resume is not None else None
    if earlier is not None and resume is not None and resume.absolute() == Path(output).absolute():
        # The file of that name will be this run's.
        earlier = msgspec.structs.replace(earlier, name="the run before")
    values = {**(earlier.parameters if earlier is not None else {}), **(parameters or {})}
    nb = _opened(source)
    if values:
        nb = parameterised(nb, values, kernel_name=name)
    nb = remove_error_markers(prepare_notebook_metadata(nb, str(source), output))
    checkpoint = _checkpoint_for(output) if keeps else None
    began = utc_now()

    def on_end(nb: Any, state: StateName, message: str) -> None:
        """Write what the run was into its notebook, before that is saved for the last time."""
        if state == "Pending":
            return  # nothing began: the error says why
        if state in {"Success", "Skipped"} and checkpoint is not None:
            shutil.rmtree(checkpoint, ignore_errors=True)
        facts = {
            "flow": source.stem,
            "state": state,
            "message": message,
            "started_at": began.isoformat(),
            "ended_at": utc_now().isoformat(),
            **run_facts(
                source.absolute().parent, all_cells=all_cells, by_heading=by_heading, checkpoint=checkpoint
            ),
        }
        mark_notebook(nb, facts)
        if state == "Failed":
            # papermill's marks at the failed cell; its exception repeats what the state says.
            with contextlib.suppress(PapermillExecutionError):
                raise_for_execution_errors(nb, None)

    run = NotebookRun(
        pipe=pipe,
        flow_name=source.stem,
        all_cells=all_cells,
        by_heading=by_heading,
        options=msgspec.structs.replace(options, checkpoint=checkpoint, earlier=earlier),
        on_end=on_end,
        run_name=Path(output).name,
    )
    graph = run.require_graph(nb)
    if graph is not None:
        require_tasks(graph, read, all_cells=all_cells or by_heading)
    warning = require_parameters(read, graph, parameters or {})
    run.check(nb)
    if warning and pipe is not None:
        pipe.log("WARNING", warning)
    if checkpoint is not None and not (earlier is not None and earlier.directory == checkpoint):
        shutil.rmtree(checkpoint, ignore_errors=True)
    target = output if "://" in output else str(Path(output).absolute())
    with working_in(source.absolute().parent):
        FlowsEngine.execute_notebook(nb, name, output_path=target, progress_bar=False, run=run)
    kept = str(checkpoint) if checkpoint is not None and checkpoint.is_dir() else None
    return Executed(state=run.state, message=run.message, output=output, checkpoint=kept, unsaved=run.unsaved)


def _checkpoint_for(output: str) -> Path:
    if "://" not in output:
        return checkpoint_beside(Path(output).absolute())
    word = hashlib.sha256(output.encode()).hexdigest()[:24]
    return load_settings().home / "checkpoints" / word


def _opened(source: Path) -> Any:
    import nbformat
    from papermill.iorw import load_notebook_node

    from jupyter_flows.notebook.read import notebook_content, read_notebook, read_text

    if source.suffix == ".py":
        read = read_notebook(source)
        nb = nbformat.v4.new_notebook(
            metadata={
                "kernelspec": {"name": DEFAULT_KERNEL, "display_name": "Python 3", "language": "python"}
            }
        )
        nb.cells = [
            nbformat.v4.new_code_cell(cell.source, id=cell.id, metadata={"tags": list(cell.tags)})
            for cell in read.cells
        ]
        return load_notebook_node(nb)
    text = read_text(source)
    notebook_content(text, path=str(source))
    return opened(text, location=str(source))
