"""One worker process, as the process that started it holds it: asked, heard, stopped, killed.

An interpreter of its own, started afresh: nothing of this process (threads, locks, connections, a
``__main__`` without a guard) is in it, and what its bodies break is its own. It leads a process group, so
that what its bodies start ends with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from typing import Any

from jupyter_flows.errors import RunNotStarted
from jupyter_flows.executors.workers.ending import ending
from jupyter_flows.executors.workers.sending import Call, Part, Recent

_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[3]); "
    "from jupyter_flows.executors.workers.child import main; main(int(sys.argv[1]), int(sys.argv[2]))"
)
DIE_LIMIT_S = 5.0
"""How long a killed process may take to be gone."""


class Worker:
    """A process that makes one call at a time.

    Raises
    ------
    RunNotStarted : the system starts no process.

    Examples
    --------
    >>> from jupyter_flows.executors.workers.carry import unpacked
    >>> from jupyter_flows.executors.workers.sending import Sender
    >>> worker = Worker()
    >>> worker.ask("a sum", Sender().call(sum, ([1, 2],)))
    >>> kinds = [worker.receive() for _ in range(3)]
    >>> unpacked(kinds[-1][1], "a sum")
    3
    >>> worker.close()
    """

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        end, self._lifeline = os.pipe()
        # Only ends of ours stay open here; Python opens all of them so that programs do not inherit them.
        with theirs, contextlib.ExitStack() as stack:
            stack.callback(os.close, end)
            paths = json.dumps([path or os.getcwd() for path in sys.path])  # noqa: PTH109 - text as it is
            try:
                self._process = subprocess.Popen(  # noqa: S603 - our own interpreter, a constant program
                    [sys.executable, "-c", _PROGRAM, str(theirs.fileno()), str(end), paths],
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(), end),
                    process_group=0,
                )
            except OSError as error:
                ours.close()
                os.close(self._lifeline)
                msg = f"no worker process could be started: {error.strerror}"
                raise RunNotStarted(msg) from error
        self.connection = Connection(ours.detach())
        self.pid = self._process.pid
        self.pidfd = os.pidfd_open(self.pid) if hasattr(os, "pidfd_open") else None
        """Readable when the process is gone, where the system has that."""
        self.is_ready = False
        """Whether it has come up; one that ends before that could not be started."""
        self._has = Recent()

    def is_alive(self) -> bool:
        """Whether the process runs. It is not reaped: until then its number stays that of its group."""
        if self._process.returncode is not None:
            return False
        if not hasattr(os, "waitid"):  # macOS, before Python 3.13
            return self._process.poll() is None
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        except ChildProcessError:  # somebody else reaped it
            return False

    def ask(self, name: str, call: Call) -> None:
        """Send a call; parts that the process has are not sent again.

        Raises
        ------
        OSError : it is gone.
        """
        parts = []
        for number, data in call.parts:
            if number is not None and self._has.get(number) is not None:
                parts.append(Part(number, b""))
                continue
            if number is not None:
                self._has.put(number, True)
            parts.append(Part(number, data))
        self.connection.send_bytes(pickle.dumps((name, call._replace(parts=tuple(parts)))))

    def receive(self) -> tuple[Any, ...] | None:
        """Wait for ``("ready",)``, ``("begun",)``, ``("line", line)``, ``("done", carried)``; None: gone."""
        try:
            message: tuple[Any, ...] = pickle.loads(self.connection.recv_bytes())  # noqa: S301 - ours
        except (EOFError, OSError):
            return None
        if message[0] == "ready":
            self.is_ready = True
        return message

    def how_it_ended(self) -> str:
        """Bury a process that is gone, and say how it ended."""
        self._wait(DIE_LIMIT_S)
        self.kill()
        return ending(self._process.returncode)

    def failed(self, name: str) -> str:
        """Bury a process that is gone, and say of *name*, which it ran, why there is no result."""
        how = self.how_it_ended()
        if not self.is_ready:
            return (
                f"{name} was not run: its worker process ended as it started ({how}); "
                "what it wrote to standard error says why"
            )
        hint = ", perhaps by the system for want of memory" if how == "killed by signal 9" else ""
        return f"{name} failed: the process it ran in ended ({how}{hint})"

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the body, and in the programs it runs."""
        if self.is_alive():
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGINT)

    def let_go(self) -> None:
        """Tell the process to end after what it does now."""
        with contextlib.suppress(OSError):
            self.connection.close()

    def close(self, limit_s: float = 1.0) -> None:
        """Let the process end by itself for *limit_s*, then kill it; what its bodies started is killed."""
        self.let_go()
        self._wait(limit_s)
        self.kill()

    def kill(self) -> None:
        """Kill the process and everything it started, also what left its process group."""
        if self._lifeline < 0:
            return
        left = _descendants(self.pid) if self.is_alive() else []
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(DIE_LIMIT_S)
        self.let_go()
        if self.pidfd is not None:
            os.close(self.pidfd)
        os.close(self._lifeline)
        self._lifeline = -1

    def _wait(self, limit_s: float) -> None:
        until = time.monotonic() + limit_s
        while self.is_alive() and time.monotonic() < until:
            if self.pidfd is None:
                time.sleep(0.005)
            else:
                select.select([self.pidfd], [], [], max(0.0, until - time.monotonic()))


def _descendants(pid: int) -> list[int]:
    import psutil

    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []
