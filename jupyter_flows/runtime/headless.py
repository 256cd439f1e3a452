"""The notebook of an agent's run: parameters in, executed notebook out, papermill's conventions kept.

The same steps as ``papermill.execute_notebook``, with papermill's own functions, but the end is the
flow's: a cell may fail and the flow succeed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_flows.errors import FlowsError
from jupyter_flows.notebook.write import (
    NotebookFile,
    add_banner,
    banner_text,
    mark_notebook,
    run_facts,
    unmark,
)
from jupyter_flows.runtime.book import BOOK
from jupyter_flows.runtime.checkpoints import checkpoint_of, keep_or_remove
from jupyter_flows.runtime.earlier import Earlier, earlier_attempt
from jupyter_flows.runtime.opening import DEFAULT_KERNEL, opened, parameterised, working_in
from jupyter_flows.runtime.report_pipe import ReportPipe
from jupyter_flows.schema.agents import Claim
from jupyter_flows.schema.base import utc_now
from jupyter_flows.schema.runs import StateName
from jupyter_flows.settings import load_settings

if TYPE_CHECKING:
    from jupyter_flows.notebook.read import NotebookCells
    from jupyter_flows.runtime.kernels import Kernel
    from jupyter_flows.runtime.spare_kernel import SpareKernel


def execute_notebook(
    source: Path,
    target: Path,
    *,
    claim: Claim,
    kernel_name: str | None,
    cwd: Path,
    pipe: ReportPipe,
    context: Mapping[str, Any],
    home: Path,
    spare: SpareKernel | None = None,
) -> tuple[StateName, str]:
    """Execute the verified notebook *source*; write and report the executed one, *target*.

    Parameters
    ----------
    home : Path
        Where is remembered what the notebook imports, for the next time.
    spare : SpareKernel, optional
        A kernel that was started before the run was known; used if it is as a fresh one would be.

    Returns
    -------
    The flow's final state and its message.

    Raises
    ------
    InvalidNotebook, KernelNotFound, KernelDidNotStart : nothing ran.
    KeyboardInterrupt : the run was told to stop; the notebook shows how far it came.
    """
    from jupyter_flows.runtime.spare import KernelSource

    text = source.read_text("utf-8-sig")
    cells = None if kernel_name and spare is None else _parse(text, claim)
    name = kernel_name or (cells.kernel if cells else None) or DEFAULT_KERNEL
    kernels = KernelSource(target.parent, spare=spare, say=lambda line: pipe.log("INFO", line))
    # A fresh kernel's process starts while this one imports papermill: each takes half a second and more.
    kernel = kernels.take(
        name, cwd=cwd, source="\n".join(cell.source for cell in cells.cells) if cells else ""
    )
    try:
        _remember(cells or _parse(text, claim), kernel.name, claim=claim, home=home)
        return _execute(text, target, claim=claim, kernel=kernel, cwd=cwd, pipe=pipe, context=context)
    finally:
        kernel.stop(now=True)
        kernels.close()


def _execute(
    text: str,
    target: Path,
    *,
    claim: Claim,
    kernel: Kernel,
    cwd: Path,
    pipe: ReportPipe,
    context: Mapping[str, Any],
) -> tuple[StateName, str]:
    from papermill.engines import papermill_engines
    from papermill.exceptions import PapermillExecutionError
    from papermill.execute import prepare_notebook_metadata, raise_for_execution_errors, remove_error_markers

    from jupyter_flows.runtime.known_secrets import run_secrets
    from jupyter_flows.runtime.notebook_run import NotebookRun
    from jupyter_flows.runtime.notebook_states import not_saved
    from jupyter_flows.runtime.papermill_engine import FlowsEngine
    from jupyter_flows.runtime.run_options import RunOptions

    papermill_engines.register("flows", FlowsEngine)
    checkpoint = checkpoint_of(target.parent, claim.run.id, settings=load_settings())
    nb = opened(text, location=claim.spec.storage.location)
    unmark(nb)
    if claim.run.parameters:
        nb = parameterised(nb, claim.run.parameters, kernel_name=kernel.name)
    nb = prepare_notebook_metadata(nb, claim.spec.storage.location, str(target))
    nb = remove_error_markers(nb)
    run = NotebookRun(
        pipe=pipe,
        flow_name=claim.spec.name,
        directory=target.parent,
        kernel=kernel,
        context=context,
        all_cells=claim.spec.storage.options.get("all_cells") is True,
        by_heading=claim.spec.storage.options.get("by_heading") is True,
        options=RunOptions(checkpoint=checkpoint, earlier=_earlier(checkpoint, target, pipe)),
    )
    run.check(nb)
    began = utc_now()
    state: StateName = "Cancelled"
    message = "interrupted"
    try:
        with working_in(cwd):
            FlowsEngine.execute_notebook(
                nb, kernel.name, output_path=str(target), progress_bar=False, run=run
            )
        state, message = run.state, run.message
        if state == "Failed":
            # papermill's marks at the failed cell; its exception repeats what the state says.
            with contextlib.suppress(PapermillExecutionError):
                raise_for_execution_errors(nb, None)
    finally:
        ended = utc_now()
        mark_notebook(
            nb,
            {
                "flow": claim.spec.name,
                "version": claim.run.version,
                "run": claim.run.name,
                "run_id": claim.run.id,
                "state": state,
                "message": message,
                "started_at": began.isoformat(),
                "ended_at": ended.isoformat(),
                **run_facts(
                    cwd,
                    all_cells=claim.spec.storage.options.get("all_cells") is True,
                    by_heading=claim.spec.storage.options.get("by_heading") is True,
                    checkpoint=None if state in {"Success", "Skipped"} else checkpoint,
                ),
            },
        )
        text = banner_text(
            state=state,
            message=message,
            flow=claim.spec.name,
            version=claim.run.version,
            run=claim.run.name,
            ended_at=ended,
        )
        add_banner(nb, text)
        try:
            NotebookFile(target, mask=run_secrets(nb, context=context)).save(nb, final=True)
        except OSError as error:
            # How the flow ended is no matter of the disk; what was saved before still stands.
            pipe.log("ERROR", not_saved(target, error))
        if target.exists():
            pipe.result("notebook", str(target))
        keep_or_remove(checkpoint, target, has_succeeded=state in {"Success", "Skipped"})
    return state, message


def _earlier(checkpoint: Path | None, target: Path, pipe: ReportPipe) -> Earlier | None:
    """Return what an earlier attempt of the run left, if there is anything to go on from."""
    if checkpoint is None or not (checkpoint / BOOK).is_file():
        return None
    attempts = sorted(target.parent.glob(f"{target.stem}.attempt-*{target.suffix}"), key=_changed_at)
    try:
        return earlier_attempt(checkpoint, [checkpoint / target.name, *reversed(attempts)])
    except FlowsError as error:
        pipe.log("WARNING", f"the run begins anew: {error}")
        return None


def _changed_at(path: Path) -> float:
    return path.stat().st_mtime


def _parse(text: str, claim: Claim) -> NotebookCells:
    # Says in a sentence what nbformat says in ten exceptions.
    from jupyter_flows.notebook.read import parse_notebook

    return parse_notebook(text, path=claim.spec.storage.location)


def _remember(cells: NotebookCells, kernel: str, *, claim: Claim, home: Path) -> None:
    if cells.language == "python":
        from jupyter_flows.runtime.known_imports import remember
        from jupyter_flows.runtime.notebook_imports import known_imports

        remember(home, claim.run.flow_id, known_imports(cells, kernel=kernel))


def rehearse() -> None:
    """Do once, with a notebook of our own and no kernel, what reads schemas and grammars at first use."""
    import nbformat
    from papermill.engines import papermill_engines
    from papermill.parameterize import parameterize_notebook

    from jupyter_flows.notebook.build import build_flow
    from jupyter_flows.notebook.read import parse_notebook
    from jupyter_flows.runtime.papermill_engine import FlowsEngine

    papermill_engines.register("flows", FlowsEngine)
    spec = {"name": DEFAULT_KERNEL, "language": "python", "display_name": "Python 3"}
    nb = nbformat.v4.new_notebook(metadata={"kernelspec": spec})
    nb.cells = [nbformat.v4.new_code_cell("%%task a\nx = 1", metadata={"tags": ["parameters"]})]
    text = nbformat.writes(nb)
    parameterize_notebook(
        opened(text, location="rehearsal"), {"x": 2}, kernel_name=DEFAULT_KERNEL, engine_name="flows"
    )
    build_flow(parse_notebook(text, path="rehearsal"), "rehearsal").sorted_tasks()
