"""``%flow check``: the command runs beside the kernel, so that nothing of the user's session is forked."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from jupyter_flows.errors import FlowsError

if TYPE_CHECKING:
    from jupyter_flows.check import Report

_STOP_S = 20.0
"""How long an interrupted check may take to clear up."""
_DONE = frozenset({0, 1})


def check_apart(
    path: Path,
    *,
    runs: str | None,
    seed: str | None,
    budget: str | None,
    cell_timeout: str | None,
    all_cells: bool,
) -> Report:
    """Prove the graph of the notebook at *path* in a process of its own; options are the command's.

    Raises
    ------
    FlowsError : it could not be checked, in the command's own sentence.
    KeyboardInterrupt : the check was told to stop, and has cleared up.
    """
    from jupyter_flows.check import Report

    options = [("--runs", runs), ("--seed", seed), ("--budget", budget), ("--cell-timeout", cell_timeout)]
    words = [word for option, value in options if value is not None for word in (option, value)]
    running = subprocess.Popen(  # noqa: S603 - ourselves
        [
            sys.executable,
            "-m",
            "jupyter_flows",
            "check",
            "--json",
            *words,
            *(["--all-cells"] if all_cells else []),
            "--",
            str(path),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # An interrupt of this kernel reaches its whole group; a second one would disturb the clearing up.
        start_new_session=True,
    )
    try:
        printed, complained = running.communicate()
    except KeyboardInterrupt:
        running.send_signal(signal.SIGINT)
        try:
            running.communicate(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            running.kill()
            running.communicate()
        raise
    if running.returncode not in _DONE:
        lines = complained.strip().splitlines() or [f"the check ended with code {running.returncode}"]
        raise FlowsError(lines[-1].removeprefix("Error: "))
    return msgspec.json.decode(printed, type=Report)
