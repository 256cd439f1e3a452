"""One kernel process of a run: found by name, started over IPC, interrupted, killed, and how it died.

Knows nothing of cells or flows. The kernel speaks over Unix sockets in a private directory, so that no
other user of the machine can reach it, and no port is taken. An event loop in a thread of its own
serves the sockets: the caller's thread stays free to be interrupted.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from jupyter_flows.errors import KernelDidNotStart, KernelNotFound
from jupyter_flows.runtime.processes import ending

T = TypeVar("T")

# sun_path holds 108 bytes on Linux, 104 on macOS; "/kernel-ipc-5" and a closing zero come on top.
_SOCKET_PATH_LIMIT = 88


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
    """A running kernel and the thread that serves it.

    Parameters
    ----------
    name : str
        The kernelspec.
    directory : Path
        Private directory for sockets and connection file; a temporary one is used where its path is
        too long for a socket.
    cwd, env
        Where the kernel starts, and its environment.
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
    ) -> None:
        self.name = name
        self.client: Any = None
        self.manager: Any = None
        self._wanted_directory = directory
        self._directory = directory
        self._cwd = cwd
        self._env = dict(os.environ if env is None else env)
        self._start_timeout_s = start_timeout_s
        self._extra_arguments = extra_arguments
        self._process: Any = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="kernel-loop", daemon=True)
        self._stopped = False

    # -- life --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the process and wait until it answers.

        Raises
        ------
        KernelNotFound, KernelDidNotStart
        """
        require_kernel(self.name)
        self._directory = _socket_directory(self._wanted_directory)
        self._thread.start()
        try:
            self.wait(self._start())
        except BaseException:
            self.stop(now=True)
            raise

    def stop(self, *, now: bool = False) -> None:
        """End the process (politely unless *now*) and leave no file of it."""
        if self._stopped:
            return
        self._stopped = True
        try:
            if self._thread.is_alive():
                self.wait(self._stop(now=now))
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            if self._thread.is_alive():
                self._thread.join(timeout=5)
            if not self._loop.is_running():
                self._loop.close()
            shutil.rmtree(self._directory, ignore_errors=True)

    # -- use ---------------------------------------------------------------------------------------

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the kernel's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the kernel's loop and wait; the wait can be interrupted."""
        return self.submit(work).result()

    async def is_alive(self) -> bool:
        """Whether the process lives."""
        return self.manager is not None and bool(await self.manager.is_alive())

    async def interrupt(self) -> None:
        """Interrupt what the kernel does (KeyboardInterrupt in Python)."""
        if await self.is_alive():
            await self.manager.interrupt_kernel()

    async def kill(self) -> None:
        """Kill the process at once."""
        if self._process is not None:
            # jupyter_client's own kill waits and signals a group; the process alone is certain.
            self._process.kill()
        elif self.manager is not None:
            await self.manager.shutdown_kernel(now=True)

    def ending(self) -> str:
        """Say how the process ended."""
        return ending(self._process.poll() if self._process is not None else None)

    # -- inside ------------------------------------------------------------------------------------

    async def _start(self) -> None:
        from jupyter_client.manager import AsyncKernelManager

        manager = AsyncKernelManager(kernel_name=self.name)
        if sys.platform != "win32":
            manager.transport = "ipc"
            manager.connection_file = str(self._directory / "kernel.json")
        self.manager = manager
        arguments = list(self._extra_arguments)
        if manager.ipykernel:
            # No history database: a headless run must not write into a person's.
            arguments.append("--HistoryManager.hist_file=:memory:")
        try:
            await manager.start_kernel(extra_arguments=arguments, cwd=self._cwd, env=self._env)
        except (OSError, ValueError) as error:
            msg = f"kernel {self.name!r} could not be started: {type(error).__name__}: {error}"
            raise KernelDidNotStart(msg) from error
        self._process = getattr(manager.provisioner, "process", None)
        self.client = manager.client()
        self.client.start_channels(stdin=False, hb=False)
        self.client.allow_stdin = False
        try:
            await self.client.wait_for_ready(timeout=self._start_timeout_s)
        except RuntimeError as error:
            if await self.is_alive():
                msg = f"kernel {self.name!r} was not ready after {self._start_timeout_s:g} s"
            else:
                msg = f"kernel {self.name!r} died at its start: {self.ending()}"
            raise KernelDidNotStart(msg) from error

    async def _stop(self, *, now: bool) -> None:
        if self.client is not None:
            if not now and await self.is_alive():
                await self.manager.shutdown_kernel(now=False)
            self.client.stop_channels()
            self.client = None
        if self.manager is not None:
            if self._process is not None and self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            await self.manager.cleanup_resources()


def _socket_directory(wanted: Path) -> Path:
    if len(os.fsencode(wanted)) <= _SOCKET_PATH_LIMIT:
        wanted.mkdir(parents=True, exist_ok=True, mode=0o700)
        return wanted
    marker = os.environ.get("JUPYTER_FLOWS_RUN_ID", "")[:12]
    return Path(tempfile.mkdtemp(prefix=f"jupyter-flows-{marker}-" if marker else "jupyter-flows-"))
