"""One kernel process of a run: found by name, started over IPC, interrupted, killed, and how it died.

Knows nothing of cells or flows. The kernel speaks over Unix sockets in a private directory, so that no
other user of the machine can reach it, and no port is taken. Sockets are served in the caller's thread:
an event loop between them and us would cost a third of a small cell's time.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from jupyter_flows.errors import KernelDidNotStart, KernelNotFound
from jupyter_flows.runtime import kernel_guard
from jupyter_flows.runtime.kernel_answers import NO_ANSWER, Connection
from jupyter_flows.runtime.kernel_memory import MB, LimitedGroup, MemoryMeter, OomWatch, descendants
from jupyter_flows.runtime.owned_directory import PREFIX, OwnedDirectory, note_process
from jupyter_flows.runtime.processes import ending, start_ticks

OUTPUT_LIMIT_BYTES = 64 * MB
"""Text and data that one executed notebook keeps, and that one cell may send."""

ENDS_WITHIN_S = 5.0
"""How long a killed process is waited for; one in the middle of broken I/O can take longer."""

# sun_path holds 108 bytes on Linux, 104 on macOS; "/kernel-ipc-5" and a closing zero come on top.
_SOCKET_PATH_LIMIT = 88
_MKDTEMP_LETTERS = 8
ENDING_GRACE_S = 5.0
"""How long a kernel that is asked to end may take."""


def installed_kernels() -> tuple[str, ...]:
    """Names of the kernels that can be started here."""
    from jupyter_client.kernelspec import KernelSpecManager

    return tuple(sorted(KernelSpecManager().find_kernel_specs()))


def require_kernel(name: str) -> None:
    """Refuse a kernel that is not installed.

    Raises
    ------
    KernelNotFound : naming those that are.
    """
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        KernelSpecManager().get_kernel_spec(name)
    except NoSuchKernel:
        found = ", ".join(installed_kernels()) or "none"
        msg = (
            f"kernel {name!r} is not installed on {os.uname().nodename}; installed are: {found}. "
            f"Install it there, or name another with run config LocalRun(kernel_name=...)"
        )
        raise KernelNotFound(msg) from None


class Kernel:
    """A kernel's process and our end of its sockets.

    Parameters
    ----------
    name : str
        The kernelspec.
    directory : Path
        Private directory for sockets and connection file; a temporary one is used where its path is
        too long for a socket.
    cwd, env
        Where the kernel starts, and its environment.
    memory_limit_bytes : int, optional
        What the kernel and its children may have resident. A control group of its own enforces it where one
        can be made; in any case the one who runs cells looks, and kills a kernel that is over it.
    """

    def __init__(
        self,
        name: str,
        *,
        directory: Path,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        start_timeout_s: float = 60.0,
        extra_arguments: tuple[str, ...] = (),
        memory_limit_bytes: int | None = None,
    ) -> None:
        self.name = name
        self.memory_limit_bytes = memory_limit_bytes
        self.memory: MemoryMeter | None = None
        self.client: Any = None
        self.manager: Any = None
        self.was_ready = False
        """It was started before its run was known (``spare_kernel.py``)."""
        self._wanted_directory = directory
        self._directory = directory
        self._owned: OwnedDirectory | None = None
        self._cwd = cwd
        self._env = dict(os.environ if env is None else env)
        self._start_timeout_s = start_timeout_s
        self._extra_arguments = extra_arguments
        self._process: Any = None
        self._stopped = False
        self._ends_until: float | None = None
        self._oom: OomWatch | None = None
        self._group: LimitedGroup | None = None
        self._killed_for: str | None = None
        self._connection: Connection | None = None

    # -- life --------------------------------------------------------------------------------------

    def launch(self) -> None:
        """Start the process, without waiting for it: there may be other things to do meanwhile.

        Raises
        ------
        KernelNotFound, KernelDidNotStart
        """
        require_kernel(self.name)
        self._directory, self._owned = _socket_directory(self._wanted_directory)
        try:
            self._launch()
        except BaseException:
            self.stop(now=True)
            raise

    def start(self) -> None:
        """Start the process, if that was not done, and wait until it answers, if it has not yet.

        Raises
        ------
        KernelNotFound, KernelDidNotStart
        """
        if self.client is not None:
            return
        if self.manager is None:
            self.launch()
        try:
            self._wait_until_ready()
            self._guard()
        except BaseException:
            self.stop(now=True)
            raise

    def stop(self, *, now: bool = False) -> None:
        """End the process (politely unless *now*) and leave no file of it."""
        if self._stopped:
            return
        self._stopped = True
        try:
            if self.client is not None:
                if not now:
                    self.ask_to_end()
                    self._wait_until_ended()
                if self._connection is not None:
                    self._connection.close()
                self.client.stop_channels()
                self.client = None
            if self.manager is not None:
                self._end_processes()
                self.manager.cleanup_resources()
        finally:
            if self._group is not None:
                self._group.remove()
            shutil.rmtree(self._directory, ignore_errors=True)
            if self._owned is not None:
                self._owned.remove()

    def ask_to_end(self) -> None:
        """Ask the kernel to end as a program does: it flushes files that cells left open, and says goodbye.

        Several kernels can be asked before :meth:`stop` waits for each.
        """
        if self.client is not None and self._ends_until is None and self.is_alive():
            self._ends_until = time.monotonic() + ENDING_GRACE_S
            # The manager would interrupt it first, and that is logged.
            self.client.shutdown()

    def _wait_until_ended(self) -> None:
        while self._ends_until is not None and self.is_alive() and time.monotonic() < self._ends_until:
            time.sleep(0.005)

    # -- use ---------------------------------------------------------------------------------------

    def is_alive(self) -> bool:
        """Whether the process lives."""
        if self._process is not None:
            return bool(self._process.poll() is None)
        return self.manager is not None and bool(self.manager.is_alive())

    @property
    def pid(self) -> int | None:
        """The process, if there is one on this machine."""
        return None if self._process is None else int(self._process.pid)

    def interrupt(self) -> None:
        """Interrupt what the kernel does (KeyboardInterrupt in Python)."""
        if self.is_alive():
            self.manager.interrupt_kernel()

    def kill(self) -> None:
        """Kill the process at once, and the children of its process group."""
        if self._process is not None:
            # jupyter_client's own kill waits; a stopped kernel would keep it waiting.
            self._end_processes()
        elif self.manager is not None:
            self.manager.shutdown_kernel(now=True)

    def over_limit(self, clock_s: float) -> bool:
        """Whether the kernel has more memory than it may; if so it is killed."""
        if self.memory is None:
            return False
        used = self.memory.sample(clock_s)
        if self.memory_limit_bytes is None or used <= self.memory_limit_bytes:
            return False
        self._killed_for = self._limit_words(self.memory.end().peak_bytes)
        self.kill()
        return True

    def is_connected(self) -> bool:
        """Whether the kernel's end of the socket for requests is open."""
        return self._connection is None or self._connection.is_open()

    def give_up(self) -> None:
        """Kill a kernel that lives, and will not answer what it was asked."""
        self._killed_for = NO_ANSWER
        self.kill()

    def ending(self) -> str:
        """Say how the process ended: by its own exit, a signal, and if we killed it, why."""
        if self._killed_for is not None:
            return self._killed_for
        returncode = self._process.poll() if self._process is not None else None
        oom = self._oom.killed() if self._oom is not None and returncode == -signal.SIGKILL else None
        if oom is not None and self._group is not None:
            return self._limit_words(self._group.peak_bytes() or 0)
        return oom or ending(returncode)

    def _limit_words(self, peak_bytes: int) -> str:
        limit = self.memory_limit_bytes or 0
        # A group of our own stops the kernel at the limit, so that its peak is never above it.
        peak = max(peak_bytes, limit)
        return f"killed: memory limit of {limit / MB:.0f} MB exceeded (peak {peak / MB:.0f} MB)"

    # -- inside ------------------------------------------------------------------------------------

    def _launch(self) -> None:
        from jupyter_client.manager import KernelManager

        manager = KernelManager(kernel_name=self.name)
        if sys.platform != "win32":
            manager.transport = "ipc"
            manager.connection_file = str(self._directory / "kernel.json")
        self.manager = manager
        arguments = list(self._extra_arguments)
        if manager.ipykernel:
            # No history database: a headless run must not write into a person's.
            arguments.append("--HistoryManager.hist_file=:memory:")
        try:
            # In a thread that ends with this process: to that thread the kernel is tied (see _guard).
            _launcher().submit(
                manager.start_kernel, extra_arguments=arguments, cwd=self._cwd, env=self._env
            ).result()
        except (OSError, ValueError) as error:
            msg = f"kernel {self.name!r} could not be started: {type(error).__name__}: {error}"
            raise KernelDidNotStart(msg) from error
        self._process = getattr(manager.provisioner, "process", None)
        if self._process is not None:
            pid = self._process.pid
            note_process(self._directory, pid)
            self.memory = MemoryMeter(pid)
            if self.memory_limit_bytes is not None:
                self._group = LimitedGroup.around(pid, self.memory_limit_bytes)
            self._oom = OomWatch(pid)

    def _guard(self) -> None:
        """Have a kernel of IPython's bound what a cell sends, and end with us; its answer is not awaited."""
        if self.manager.ipykernel:
            install = f"names['install'](get_ipython(), {OUTPUT_LIMIT_BYTES}, {os.getpid()})"
            code = f"(lambda names: (exec({_guard_source()!r}, names), {install}))({{'__name__': 'guard'}})"
            self.client.execute(
                code, silent=True, store_history=False, allow_stdin=False, stop_on_error=False
            )

    def _end_processes(self) -> None:
        """Kill what is left of the kernel: its process, its children, its process group."""
        process = self._process
        if process is None:
            return
        left = [(pid, start_ticks(pid)) for pid in descendants(process.pid)]
        if process.poll() is None:
            process.kill()
        with contextlib.suppress(OSError):
            # The kernel leads a group of its own (jupyter_client starts it in a new session).
            os.killpg(process.pid, signal.SIGKILL)
        for pid, began in left:
            if began is not None and start_ticks(pid) == began:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(ENDS_WITHIN_S)

    def _wait_until_ready(self) -> None:
        self.client = self.manager.blocking_client()
        self.client.start_channels(stdin=False, hb=False)
        self.client.allow_stdin = False
        try:
            self.client.wait_for_ready(timeout=self._start_timeout_s)
        except RuntimeError as error:
            if self.is_alive():
                msg = f"kernel {self.name!r} was not ready after {self._start_timeout_s:g} s"
            else:
                msg = f"kernel {self.name!r} died at its start: {self.ending()}"
            raise KernelDidNotStart(msg) from error
        self._connection = Connection(self.client.shell_channel.socket)


@functools.cache
def _launcher() -> ThreadPoolExecutor:
    """Return the one thread that starts kernels: the system ties a process to the thread that started it."""
    return ThreadPoolExecutor(1, "kernel launcher")


if hasattr(os, "register_at_fork"):
    # A forked process has no threads of its parent's.
    os.register_at_fork(after_in_child=_launcher.cache_clear)


@functools.cache
def _guard_source() -> str:
    return inspect.getsource(kernel_guard)


def places_for_sockets() -> Iterator[Path]:
    """Directories in which a kernel whose wanted directory has too long a path may have its sockets.

    The directory for temporary files comes first; it can itself be too deep, as on a cluster that gives each
    job its own.
    """
    own = os.environ.get("XDG_RUNTIME_DIR")
    # A directory made in them by mkdtemp is private.
    for place in (tempfile.gettempdir(), *([own] if own else []), "/tmp", "/var/tmp"):  # noqa: S108
        if Path(place).is_dir():
            yield Path(place)


def _socket_directory(wanted: Path) -> tuple[Path, OwnedDirectory | None]:
    if len(os.fsencode(wanted)) <= _SOCKET_PATH_LIMIT:
        wanted.mkdir(parents=True, exist_ok=True, mode=0o700)
        return wanted, None
    marker = os.environ.get("JUPYTER_FLOWS_RUN_ID", "")[:12]
    prefix = f"{marker}-" if marker else ""
    for place in places_for_sockets():
        if len(os.fsencode(place / f"{PREFIX}{prefix}")) + _MKDTEMP_LETTERS <= _SOCKET_PATH_LIMIT:
            with contextlib.suppress(OSError):
                owned = OwnedDirectory(prefix=prefix, place=place)
                return owned.path, owned
    msg = (
        f"a kernel cannot have its sockets: their paths may have {_SOCKET_PATH_LIMIT} bytes, "
        f"and {wanted} is longer; set TMPDIR to a directory with a short path that can be written"
    )
    raise KernelDidNotStart(msg)
