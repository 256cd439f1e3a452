"""What the operating system says of a process: how it ended, who it is, and ties to its parent.

Knows nothing of runs. Linux has all of it; elsewhere the ties are missing and the sweep by marker
(agent/children.py) remains.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

from jupyter_flows.executors.workers.ending import ending

__all__ = ["adopt_orphans", "die_with_parent", "ending", "start_ticks"]

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def die_with_parent(parent_pid: int) -> None:
    """Have the system kill this process when its parent dies; exit now if it already has.

    The tie is to the parent's *thread* that started us (prctl(2)), so a keeper starts its run from
    its main thread.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent_pid and os.getppid() != parent_pid:
        os._exit(137)


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose own parent dies."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def start_ticks(pid: int) -> str | None:
    """When *pid* started, in the system's own unit; None if there is no such process, or a zombie.

    A pid together with this names a process for good: pids alone are used again.
    """
    if not sys.platform.startswith("linux"):
        import psutil

        try:
            process = psutil.Process(pid)
            return None if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
        except psutil.NoSuchProcess:
            return None
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    rest = text[text.rfind(")") + 2 :].split()
    return None if rest[0] in {"Z", "X"} else rest[19]


def _prctl(option: int, value: int) -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
