"""One process owns a SQLite file: an operating system lock on ``<file>.lock``, which names its pid.

Two writing processes are not only slow: SQLite before 3.51.3 can corrupt a database in WAL mode when two
connections write and checkpoint at once, and Debian 12's is older.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from jupyter_flows.errors import DatabaseInUse, DatabaseUnusable


class FileLock:
    """Holds the lock from :meth:`take` to :meth:`release`, or to the death of the process."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._path = database.with_name(database.name + ".lock")
        self._fd: int | None = None

    def take(self) -> None:
        """Take the lock at once, or say who has it.

        Raises
        ------
        DatabaseInUse : another process has it.
        """
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise DatabaseUnusable(f"{self._path} cannot be written: {error.strerror}") from error
        if not _try_lock(fd):
            owner = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise DatabaseInUse(
                f"{self._database} is in use by the server with pid {owner}; use that one, stop it first, "
                "or use PostgreSQL for several servers"
            )
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Give the lock back."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _try_lock(fd: int) -> bool:
    if sys.platform == "win32":
        import msvcrt

        try:
            os.lseek(fd, 1 << 20, os.SEEK_SET)
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
