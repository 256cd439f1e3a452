"""The inside of a worker process: takes a call, makes it in its main thread, sends back what it gave.

In the main thread, so that a timeout's alarm and an interrupt reach the body. The process lives no longer
than the one that started it: when the lifeline, a pipe that the other holds open, is closed, the system
kills this process and those it started.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import threading
from multiprocessing.connection import Connection
from typing import Any

from jupyter_flows.core.state import Failed
from jupyter_flows.executors.workers.carry import Line, carry, packed
from jupyter_flows.executors.workers.sending import Call, Recent, loaded


def main(connection_fd: int, lifeline_fd: int) -> None:
    """Work until the connection is closed."""
    for fd in (connection_fd, lifeline_fd):
        os.set_inheritable(fd, False)  # what bodies start must not hold them open
    tie_to(lifeline_fd)
    # Whoever starts programs in the background has them ignore it, which children inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    connection = Connection(connection_fd)
    one_at_a_time = threading.Lock()

    def send(*message: Any) -> None:
        with one_at_a_time:
            connection.send_bytes(pickle.dumps(message))

    def tell(line: Line) -> None:
        with contextlib.suppress(OSError):  # a thread that a body left behind, after the run
            send("line", line)

    kept = Recent()
    # An interrupt that comes when a body has just ended is for nobody; the connection will be closed.
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        send("ready")
        while True:
            call: Call
            name, call = pickle.loads(connection.recv_bytes())  # noqa: S301 - from the process that started this
            try:
                function, args = loaded(call, kept)
            except Exception as error:  # noqa: BLE001 - modules are imported here, anything may happen
                send("done", packed(_not_loaded(name, error), name))
                continue
            send("begun")
            carried = carry(function, args, origin=call.origin, tell=tell)
            del function, args
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
            send("done", carried)


def _not_loaded(name: str, error: Exception) -> Failed:
    missing = f" ({error.name})" if isinstance(error, ModuleNotFoundError) and error.name else ""
    return Failed(
        f"{name} cannot be loaded in a worker process: {type(error).__name__}{missing}; "
        "what it uses must be importable there, or defined in the notebook or script",
        error,
    )


def tie_to(lifeline_fd: int) -> None:
    """Have this process group killed when the other end of the pipe is closed, whatever it does then.

    On Linux the system sends the signal (fcntl(2), F_SETSIG), so that not even a loop in C that never lets
    Python run outlives its run; elsewhere a thread waits for the end.
    """
    if sys.platform.startswith("linux"):
        import fcntl

        fcntl.fcntl(lifeline_fd, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline_fd, fcntl.F_SETOWN, -os.getpgrp())
        flags = fcntl.fcntl(lifeline_fd, fcntl.F_GETFL)
        fcntl.fcntl(lifeline_fd, fcntl.F_SETFL, flags | os.O_ASYNC | os.O_NONBLOCK)
        try:
            if os.read(lifeline_fd, 1) == b"":  # it was closed before the tie held
                os.killpg(os.getpgrp(), signal.SIGKILL)
        except BlockingIOError:
            return
    else:

        def wait() -> None:
            os.read(lifeline_fd, 1)
            os.killpg(os.getpgrp(), signal.SIGKILL)

        threading.Thread(target=wait, daemon=True, name="lifeline").start()
