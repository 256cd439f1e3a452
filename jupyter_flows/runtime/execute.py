"""The run of a claim, from fetching the code to its final state. One function a kind of storage.

A user's mistake or an environment's fault becomes the run's final state with one sentence; nothing of an
exception's own text leaves this machine (``traceback.txt`` in the run's directory has it).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from jupyter_flows.errors import FlowsError
from jupyter_flows.run_configs.base import run_config_from_ref
from jupyter_flows.runtime import load
from jupyter_flows.runtime.report_pipe import ReportPipe
from jupyter_flows.runtime.reporting import TRACEBACKS, keep_traceback
from jupyter_flows.schema.agents import Claim
from jupyter_flows.schema.runs import StateName
from jupyter_flows.settings import Settings

if TYPE_CHECKING:
    from jupyter_flows.runtime.spare_kernel import SpareKernel


class Ended(msgspec.Struct, frozen=True):
    """How a run ended."""

    state: StateName
    message: str


def execute(claim: Claim, *, pipe: ReportPipe, settings: Settings, spare: SpareKernel | None = None) -> Ended:
    """Run the flow of *claim* in this process; report states, log lines and results on the way.

    Parameters
    ----------
    spare : SpareKernel, optional
        A kernel that was started before the run was known.

    Returns
    -------
    Ended
        The final state. Errors that are ours or the user's are in it, not raised.

    Raises
    ------
    KeyboardInterrupt : the run was told to stop.
    """
    directory = settings.home / "runs" / claim.run.id
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        code = load.fetch_code(claim.spec.storage, directory / "code")
        size = code.stat().st_size
        sha256 = claim.spec.storage.sha256
        pinned = f"digest {sha256[:8]} as registered" if sha256 else "not pinned"
        pipe.log("INFO", f"code fetched from {claim.spec.storage.location} ({size} bytes), {pinned}")
        load.compare_environment(
            claim.spec,
            policy=settings.environment_policy,  # type: ignore[arg-type]
            say=pipe.log,
        )
        if claim.spec.storage.kind == "notebook":
            return _execute_notebook(
                claim, code, pipe=pipe, directory=directory, home=settings.home, spare=spare
            )
        if spare is not None:
            spare.stop()
            spare = None
        return _execute_flow(claim, code, pipe=pipe, directory=directory)
    except FlowsError as error:
        pipe.log("ERROR", str(error))
        keep_traceback(directory, error)
        return Ended("Failed", str(error))
    except Exception as error:  # noqa: BLE001 - ours or a loaded flow's: the run must end with a reason
        keep_traceback(directory, error)
        return Ended("Failed", f"{type(error).__name__} outside of any task; see {TRACEBACKS}")
    finally:
        if spare is not None:
            # Nothing is left of it if a run took it.
            spare.stop()


def _execute_notebook(
    claim: Claim,
    code: Path,
    *,
    pipe: ReportPipe,
    directory: Path,
    home: Path,
    spare: SpareKernel | None,
) -> Ended:
    """Run a notebook with papermill's conventions and our engine; its kernel is the registered one."""
    from jupyter_flows.runtime.headless import execute_notebook

    config = run_config_from_ref(claim.spec.run_config)
    fingerprint = claim.spec.fingerprint
    kernel = getattr(config, "kernel_name", None) or (fingerprint.kernel if fingerprint else None)
    return Ended(
        *execute_notebook(
            code,
            directory / "executed.ipynb",
            claim=claim,
            kernel_name=kernel,
            cwd=working_directory(claim, directory),
            pipe=pipe,
            context=context_of(claim),
            home=home,
            spare=spare,
        )
    )


def _execute_flow(claim: Claim, code: Path, *, pipe: ReportPipe, directory: Path) -> Ended:
    """Run a pickled flow, or a script's, in this process."""
    from jupyter_flows.engine.flow_runner import FlowRunner
    from jupyter_flows.runtime.reporting import EngineReporter, final_message

    cwd = working_directory(claim, directory)
    os.chdir(cwd)
    # As in a kernel or ``python script.py``: modules that lie beside the flow's source are found.
    sys.path.insert(0, str(cwd))
    flow = load.load_flow(code, claim.spec)
    runner = FlowRunner(flow, reporter=EngineReporter(pipe, directory=directory))
    final = runner.run(claim.run.parameters, context=context_of(claim), reraise=True)
    state, message = final_message(flow, final)
    if (directory / TRACEBACKS).exists():
        pipe.result("traceback", str(directory / TRACEBACKS))
    return Ended(state, message)


def working_directory(claim: Claim, directory: Path) -> Path:
    """Where the code runs: as configured, else where its source lay if that is here, else the run's own."""
    configured = getattr(run_config_from_ref(claim.spec.run_config), "working_dir", None)
    if configured:
        return Path(configured).expanduser()
    source = claim.spec.storage.options.get("source")
    if isinstance(source, str) and Path(source).is_absolute() and Path(source).parent.is_dir():
        return Path(source).parent
    return directory


def context_of(claim: Claim) -> dict[str, Any]:
    """Return what the code may ask of its run (Prefect 1's ``context``)."""
    return {
        "flow_id": claim.run.flow_id,
        "flow_name": claim.spec.name,
        "flow_run_id": claim.run.id,
        "checkpointing": True,
        "flow_run_name": claim.run.name,
        "flow_run_version": claim.run.version,
        "project_name": claim.run.project,
        "parameters": dict(claim.run.parameters),
        "scheduled_start_time": claim.run.scheduled_at,
        "flow_run_count": claim.run.attempt,
    }
