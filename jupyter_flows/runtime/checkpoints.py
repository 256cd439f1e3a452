"""Where runs of agents keep what their cells gave, and for how long."""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path

from jupyter_flows.settings import Settings

NAME = "checkpoint"
_DAY_S = 86400.0


def checkpoint_of(run_directory: Path, run_id: str, *, settings: Settings) -> Path | None:
    """Return the directory for a run's checkpoint; None: nothing is kept. Old ones are removed.

    Parameters
    ----------
    run_directory : Path
        The run's own directory; others' stand beside it.
    run_id : str
    settings : Settings
    """
    if settings.checkpoint_days <= 0:
        return None
    shared = Path(settings.checkpoint_dir).expanduser() if settings.checkpoint_dir else None
    oldest = time.time() - settings.checkpoint_days * _DAY_S
    for other in shared.glob("*") if shared is not None else run_directory.parent.glob(f"*/{NAME}"):
        with contextlib.suppress(OSError):
            if other.is_dir() and other.stat().st_mtime < oldest:
                shutil.rmtree(other, ignore_errors=True)
    return shared / run_id if shared is not None else run_directory / NAME


def keep_or_remove(checkpoint: Path | None, executed: Path, *, has_succeeded: bool) -> None:
    """Remove the checkpoint of a run that succeeded; put the executed notebook beside that of another.

    A retry on another machine finds the outputs of what stands there.
    """
    if checkpoint is None or not checkpoint.is_dir():
        return
    if has_succeeded:
        shutil.rmtree(checkpoint, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        shutil.copyfile(executed, checkpoint / executed.name)
        (checkpoint / executed.name).chmod(0o600)
