"""Cells that run at once in one kernel, each in a thread of it: Jupyter's subshells (protocol 5.5).

All share one namespace, so the graph has order edges besides (``passing.sharing``). Good for cells that wait
for files, networks and databases; Python that computes runs one thread at a time.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
import time
from collections.abc import Callable
from typing import Any

from jupyter_flows.errors import KernelDidNotStart
from jupyter_flows.runtime import kernel_figures, kernel_threads
from jupyter_flows.runtime.kernel_answers import Connection
from jupyter_flows.runtime.kernels import Kernel
from jupyter_flows.runtime.seats import Seat, Seats

ANSWER_S = 10.0
"""How long a kernel may take to open a thread."""


class KernelThread:
    """A thread of a kernel, to whoever runs cells in it a kernel of its own.

    Parameters
    ----------
    kernel : Kernel
        A started kernel.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.name = kernel.name
        self.manager = kernel.manager
        # What one thread of a process uses cannot be told from what another does.
        self.memory = None
        self.memory_limit_bytes = kernel.memory_limit_bytes
        self.client: Any = None
        self._ident = ""
        self._connection: Connection | None = None

    def start(self) -> None:
        """Open the thread.

        Raises
        ------
        KernelDidNotStart : the kernel has no subshells.
        """
        client = self.manager.blocking_client()
        client.start_channels(stdin=False, hb=False)
        client.allow_stdin = False
        # Messages of the other threads' cells come to this client too, once it listens.
        client.wait_for_ready(timeout=ANSWER_S)
        self._keep_apart(client)
        reply = _control(client, "create_subshell_request", {})
        if reply.get("status") != "ok":
            client.stop_channels()
            msg = (
                f"kernel {self.name!r} cannot run cells in threads (it has no subshells, which ipykernel 7 "
                "has); run with --parallel processes"
            )
            raise KernelDidNotStart(msg)
        self._connection = Connection(client.shell_channel.socket)
        self.client = _SubshellClient(client, reply["subshell_id"])

    def _keep_apart(self, client: Any) -> None:
        """Have the kernel tell apart what cells of several threads leave in IPython's shell."""
        install = "names['install'](get_ipython())"
        code = "\n".join(
            f"(lambda names: (exec({source!r}, names), {install}))({{'__name__': 'threads'}})"
            for source in _threads_sources()
        )
        answer = client.execute(code, silent=True, store_history=False, reply=True, timeout=ANSWER_S)
        reply = answer["content"]
        if reply["status"] != "ok":
            client.stop_channels()
            msg = (
                f"kernel {self.name!r} cannot run cells in threads ({reply.get('ename') or reply['status']}: "
                f"{reply.get('evalue') or 'no reason given'}); run with --parallel processes"
            )
            raise KernelDidNotStart(msg)

    def knows_thread(self, ident: str) -> None:
        """Take the identity that Python gives the thread."""
        self._ident = ident

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the thread at its next line of Python.

        A signal would reach the kernel's main thread alone. A thread inside a C function hears of it when
        that returns.
        """
        if not self._ident:
            return
        raised = (
            "__import__('ctypes').pythonapi.PyThreadState_SetAsyncExc("
            f"__import__('ctypes').c_ulong({self._ident}), "
            "__import__('ctypes').py_object(KeyboardInterrupt))"
        )
        # The main shell is free: no cell runs there while there are threads.
        self.client.main.execute(raised, silent=True, store_history=False, allow_stdin=False)

    def is_alive(self) -> bool:
        """Whether the kernel's process lives."""
        return self.kernel.is_alive()

    def kill(self) -> None:
        """Kill the kernel, and with it the cells of its other threads: there is no other way."""
        self.kernel.kill()

    def is_connected(self) -> bool:
        """Whether the kernel's end of our socket for requests is open."""
        return self._connection is None or self._connection.is_open()

    def give_up(self) -> None:
        """Kill the kernel, since this thread of it will not answer."""
        self.kernel.give_up()

    def over_limit(self, now: float) -> bool:
        """Whether the kernel was over its memory limit and was killed."""
        return self.kernel.over_limit(now)

    def ending(self) -> str:
        """Say how the process ended."""
        return self.kernel.ending()

    def stop(self, *, now: bool = False) -> None:
        """Let go of our end; the kernel goes on."""
        del now
        if self.client is not None:
            with contextlib.suppress(Exception):
                if self._connection is not None:
                    self._connection.close()
                self.client.main.stop_channels()
            self.client = None


class _SubshellClient:
    """A client whose cells go to one thread of the kernel."""

    def __init__(self, main: Any, subshell_id: str) -> None:
        self.main = main
        self._subshell_id = subshell_id

    def __getattr__(self, name: str) -> Any:
        return getattr(self.main, name)

    def execute(
        self,
        code: str,
        *,
        silent: bool = False,
        store_history: bool = True,
        user_expressions: dict[str, str] | None = None,
        allow_stdin: bool = False,
        stop_on_error: bool = False,
    ) -> str:
        """Send a cell to the thread; return the message's id."""
        content = {
            "code": code,
            "silent": silent,
            "store_history": store_history,
            "user_expressions": user_expressions or {},
            "allow_stdin": allow_stdin,
            "stop_on_error": stop_on_error,
        }
        message = self.main.session.msg("execute_request", content)
        message["header"]["subshell_id"] = self._subshell_id
        self.main.shell_channel.send(message)
        found: str = message["header"]["msg_id"]
        return found


class ThreadSeats(Seats):
    """All threads of one kernel; what is known of its namespace they share."""

    _keeps_joint = False

    def __init__(self, *, first: Kernel, another: Callable[[], Kernel], limit: int, **options: Any) -> None:
        super().__init__(first=first, another=another, limit=limit, is_alone=True, **options)
        self._base = first
        self._opening = threading.Lock()
        self._is_started = False
        self._seats = []
        self._shared = Seat(0, first, deadline_at=self._deadline_at)

    def _fitting(self, slug: str) -> Seat | None:
        del slug
        free = [seat for seat in self._seats if seat.is_free]
        if free:
            return free[0]
        return self._one_more() if len(self._seats) < self._limit else None

    def _one_more(self) -> Seat:
        seat = Seat(self._count, self._base, deadline_at=self._deadline_at)
        self._count += 1
        self._seats.append(seat)
        self._share(seat)
        return seat

    def _share(self, seat: Seat) -> None:
        seat.versions, seat.channels, seat.replayed = (
            self._shared.versions,
            self._shared.channels,
            self._shared.replayed,
        )

    def _open(self, seat: Seat) -> None:
        with self._opening:
            thread = self._opened()
            seat.kernel = thread
            seat.runner = self._runner(thread)
        thread.knows_thread(seat.ask("str(__import__('threading').get_ident())"))

    def _opened(self) -> Any:
        """Return a new thread of the kernel; of a fresh one if another thread's cell has just ended it."""
        while True:
            if self._is_started and not self._base.is_alive():
                self._renew()
            if not self._is_started:
                self._shared.kernel = self._base
                super()._open(self._shared)
                self._is_started = True
            thread = KernelThread(self._base)
            try:
                thread.start()
            except (RuntimeError, KernelDidNotStart):
                if self._base.is_alive():
                    raise
            else:
                return thread

    def _renew(self) -> None:
        with contextlib.suppress(Exception):
            self._base.stop(now=True)
        self._shared.versions.clear()
        self._shared.channels.clear()
        self._shared.replayed.clear()
        self._live.clear()
        self._base = self._another()
        self._is_started = False

    def _replace(self, seat: Seat) -> None:
        with self._opening:
            if seat.runner is not None:
                seat.kernel.stop()
            seat.runner = None

    def close(self) -> None:
        """End the kernel, and our ends of its threads."""
        until = time.monotonic() + ANSWER_S
        for seat in self._seats:
            with contextlib.suppress(Exception):
                seat.kernel.stop(now=True)
            if time.monotonic() > until:
                break
        with contextlib.suppress(Exception):
            self._base.stop()


@functools.cache
def _threads_sources() -> tuple[str, ...]:
    return inspect.getsource(kernel_threads), inspect.getsource(kernel_figures)


def _control(client: Any, kind: str, content: dict[str, Any]) -> dict[str, Any]:
    message = client.session.msg(kind, content)
    client.control_channel.send(message)
    until = time.monotonic() + ANSWER_S
    while time.monotonic() < until:
        if client.control_channel.socket.poll(200):
            reply = client.control_channel.get_msg(timeout=1)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                found: dict[str, Any] = reply["content"]
                return found
    return {"status": "no answer"}
