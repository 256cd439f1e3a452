"""Processes of a run: told to stop, made to stop, and swept so that nothing of the run is left.

A run's processes are found by two traces. All inherit the marker ``JUPYTER_FLOWS_RUN=<id>:<token>`` in
their environment; and the keeper adopts orphans, so that even a daemon that cleared its environment
becomes the keeper's child. Kernels are not in the run's process group, hence the sweep.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

MARKER_NAME = "JUPYTER_FLOWS_RUN"
SWEEP_LIMIT_S = 5.0


def marker(run_id: str, token: int) -> str:
    """Return the value of the marker variable for a run under a token."""
    return f"{run_id}:{token}"


def marked_processes(*values: str) -> list[int]:
    """Pids of the processes whose environment carries one of the markers *values*; never our own."""
    if not sys.platform.startswith("linux"):
        return _marked_by_psutil(values)
    wanted = {f"{MARKER_NAME}={value}".encode() for value in values}
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environ = Path(entry.path, "environ").read_bytes()
        except OSError:
            continue
        if not wanted.isdisjoint(environ.split(b"\0")):
            found.append(int(entry.name))
    return found


def children_of(pid: int) -> list[int]:
    """Pids of the direct children of *pid*, zombies included."""
    if not sys.platform.startswith("linux"):
        import psutil

        with contextlib.suppress(psutil.NoSuchProcess):
            return [child.pid for child in psutil.Process(pid).children()]
        return []
    numbers = (int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit())
    return [number for number in numbers if _parent(number) == pid]


def signal_group(pid: int, sig: signal.Signals) -> None:
    """Signal the process group of *pid*; nothing happens if it is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, sig)


def reap_adopted(*, but: int) -> None:
    """Collect adopted children that ended, so that they do not stay as zombies."""
    for pid in children_of(os.getpid()):
        if pid != but:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def sweep(*values: str, own_children: bool, limit_s: float = SWEEP_LIMIT_S) -> list[str]:
    """Kill every process of a run that is left; return what they were, for the log.

    Parameters
    ----------
    values : str
        The run's markers: its own, and that of the crew which it took.
    own_children : bool
        Kill our own children too: right in a keeper, which has no others.
    """
    swept: dict[int, str] = {}
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        left = set(marked_processes(*values))
        if own_children:
            left.update(children_of(os.getpid()))
        alive = 0
        for pid in left:
            with contextlib.suppress(ChildProcessError):
                if own_children and os.waitpid(pid, os.WNOHANG)[0] == pid:
                    continue
            if _is_zombie(pid):
                continue
            alive += 1
            swept.setdefault(pid, _command(pid))
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if alive == 0:
            break
        # A killed process needs a moment to vanish, and one that forks meanwhile a second round.
        time.sleep(0.01)
    return [f"{name} (pid {pid})" for pid, name in swept.items()]


def _marked_by_psutil(values: tuple[str, ...]) -> list[int]:
    import psutil

    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARKER_NAME) in values:
                found.append(process.pid)
    return found


def _stat(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return []
    return text[text.rfind(")") + 2 :].split()


def _parent(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def _is_zombie(pid: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    fields = _stat(pid)
    return not fields or fields[0] in {"Z", "X"}


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8", "replace").strip()
    except OSError:
        return "a process"
