"""Temporary directories of runs: removed when their owner is done, and by the next run if it was killed.

Whether an owner lives is told by a lock that the system lets go of with its process. A pid would not do: in
another container with the same ``/tmp`` it means another process.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from jupyter_flows.runtime.kernel_memory import descendants
from jupyter_flows.runtime.processes import start_ticks

PREFIX = "jupyter-flows-"
LOCK = "owner.lock"
PROCESS = "process"
"""In a kernel's directory: its pid, and when it started."""


class OwnedDirectory:
    """A private temporary directory that is there no longer than this process.

    Parameters
    ----------
    prefix : str
        What its name begins with, after ``jupyter-flows-``.
    place : Path, optional
        Where it is made; default: the directory for temporary files.

    Examples
    --------
    >>> with OwnedDirectory() as path:
    ...     path.is_dir()
    True
    >>> path.exists()
    False
    """

    def __init__(self, *, prefix: str = "", place: Path | None = None) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{prefix}", dir=place))
        self._lock = _locked(self.path)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Remove it with all that is in it; a second time does nothing."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def remove_abandoned(places: Iterable[Path]) -> list[Path]:
    """Remove directories in *places* whose owner was killed, and kill what is left of its kernels.

    Only those of this user that were made by :class:`OwnedDirectory`.

    Returns
    -------
    What was removed.
    """
    removed = []
    for place in dict.fromkeys(places):
        for path in _ours(place):
            lock = _taken(path / LOCK)
            if lock is None:
                continue
            try:
                for note in [*path.glob(PROCESS), *path.glob(f"*/{PROCESS}")]:
                    _kill(note)
                shutil.rmtree(path, ignore_errors=True)
                removed.append(path)
            finally:
                os.close(lock)
    return removed


def note_process(directory: Path, pid: int) -> None:
    """Write down a process that must not outlive the owner of a directory."""
    with contextlib.suppress(OSError):
        (directory / PROCESS).write_text(f"{pid} {start_ticks(pid)}", "ascii")


def _locked(path: Path) -> int | None:
    """Make the lock of a new directory, held; None where there are no such locks: then it is never swept."""
    beside = path / f"{LOCK}.new"
    lock = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        os.close(lock)
        return None
    # Nobody ever sees it without its lock.
    beside.rename(path / LOCK)
    return lock


def _taken(lock: Path) -> int | None:
    """Take the lock of a directory whose owner is gone; None: it lives, or there is none."""
    try:
        import fcntl

        fd = os.open(lock, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd


def _ours(place: Path) -> Iterator[Path]:
    if not hasattr(os, "geteuid"):
        return
    try:
        entries = list(os.scandir(place))
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(PREFIX):
            with contextlib.suppress(OSError):
                found = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
                    yield Path(entry.path)


def _kill(note: Path) -> None:
    with contextlib.suppress(OSError, ValueError):
        number, began = note.read_text("ascii").split()
        pid = int(number)
        if start_ticks(pid) == began:
            for left in (*descendants(pid), pid):
                with contextlib.suppress(OSError):
                    os.kill(left, signal.SIGKILL)
