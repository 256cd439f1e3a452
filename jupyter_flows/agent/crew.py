"""A spare crew, as its keeper sees it: a run's process that waits for its run, and the kernel of that.

The crew has a directory and a marker of its own, ``<home>/spares/<id>`` and ``spare-<id>:0``: what is in a
process's environment when it starts stays readable in /proc whatever it does later, so the sweep of a run
that a crew took looks for both markers.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from jupyter_flows.agent.children import MARKER_NAME, marker, sweep
from jupyter_flows.run_configs.base import LaunchPlan
from jupyter_flows.runtime.kernels import places_for_sockets
from jupyter_flows.runtime.processes import ending

CREW_GONE = 76
"""Exit code of a keeper whose crew ended before a run came: whatever was handed to it has not begun."""
CHANGED = 74
"""Exit code of a waiting process that is no more what a fresh one would be."""
BEGUN_FILE = "begun"
"""What a waiting process makes in its directory when it has heard of its run."""


class SpareOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The first line that an agent writes to a keeper that is to have a crew ready."""

    crew: str
    settings: dict[str, Any]
    env: dict[str, str] = {}
    import_paths: tuple[str, ...] = ()
    kernel: str
    modules: tuple[str, ...] = ()


def crew_directory(home: Path, crew: str) -> Path:
    """Where a crew has its sockets and its log."""
    return home / "spares" / crew


def crew_marker(crew: str) -> str:
    """Value of the marker variable with which a crew's processes were started."""
    return marker(f"spare-{crew}", 0)


def remove_crew_files(home: Path, crew: str) -> None:
    """Remove what a crew left on disk."""
    shutil.rmtree(crew_directory(home, crew), ignore_errors=True)
    remove_sockets(crew)


def remove_sockets(name: str) -> None:
    """Remove the sockets that kernels of a run or crew had elsewhere, because its path was too long."""
    for place in places_for_sockets():
        for left in place.glob(f"jupyter-flows-{name[:12]}-*"):
            shutil.rmtree(left, ignore_errors=True)


class Crew:
    """A run's process that waits, started by us, its keeper.

    Parameters
    ----------
    order : SpareOrder
        What to prepare.
    home : Path
        The home directory.
    environ : mapping
        The environment that runs of this agent get.
    """

    def __init__(self, order: SpareOrder, *, home: Path, environ: Mapping[str, str]) -> None:
        self.id = order.crew
        self.marker = crew_marker(order.crew)
        self._home = home
        self._directory = crew_directory(home, order.crew)
        self._environ = dict(environ)
        self._order = order
        self._claim_fd = -1
        self.report_fd = -1
        self.process: subprocess.Popen[bytes]

    def start(self) -> None:
        """Start the process. From the main thread: with it dies who is tied to it."""
        report_read, report_write = os.pipe()
        claim_read, claim_write = os.pipe()
        wanted = {
            "directory": str(self._directory),
            "fd": claim_read,
            "kernel": self._order.kernel,
            "modules": self._order.modules,
        }
        env = {
            **self._environ,
            MARKER_NAME: self.marker,
            "JUPYTER_FLOWS_RUN_ID": self.id,
            "JUPYTER_FLOWS_REPORT_FD": str(report_write),
            "JUPYTER_FLOWS_SPARE": msgspec.json.encode(wanted).decode(),
        }
        with open(self._directory / "process.log", "ab", opener=_private) as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "jupyter_flows.runtime"],
                env=env,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(report_write, claim_read),
                process_group=0,
            )
        os.close(report_write)
        os.close(claim_read)
        self.report_fd, self._claim_fd = report_read, claim_write

    def wait_for_order(self, stream: int) -> bytes:
        """Return what the agent writes; empty if it closed without a word or the crew ended."""
        read = b""
        watched = [stream]
        process_fd = -1
        with contextlib.suppress(OSError, AttributeError):
            process_fd = os.pidfd_open(self.process.pid)
            watched.append(process_fd)
        try:
            while True:
                ready = select.select(watched, [], [], None if process_fd >= 0 else 1.0)[0]
                if stream in ready:
                    piece = os.read(stream, 1 << 16)
                    if not piece:
                        return read
                    read += piece
                elif self.process.poll() is not None and not read:
                    return b""
                elif self.process.poll() is not None:
                    # The order has begun to come: it is carried out by a fresh process.
                    watched = [stream]
        finally:
            if process_fd >= 0:
                os.close(process_fd)

    def begin(self, plan: LaunchPlan, *, env: Mapping[str, str], log: Path) -> bool:
        """Give the process its run; False: it is gone, and nothing has begun.

        Parameters
        ----------
        env : mapping
            Environment of the run; how it reports is known already.
        log : Path
            Where the process's own output is to be found from now on.
        """
        told = {"argv": plan.argv, "env": dict(env), "cwd": plan.cwd}
        try:
            # The file goes on being written, under its new name.
            (self._directory / "process.log").replace(log)
            _write_all(self._claim_fd, msgspec.json.encode(told) + b"\n")
        except OSError:
            return False
        finally:
            os.close(self._claim_fd)
        return True

    def has_begun(self) -> bool:
        """Whether the process has heard of its run: what it was told can be lost if it ended just then."""
        return (self._directory / BEGUN_FILE).exists()

    def last_words(self) -> str:
        """Say why the process ended by itself; empty if it still runs, or was right to end."""
        returncode = self.process.poll()
        if returncode is None or returncode == CHANGED:
            return ""
        with contextlib.suppress(OSError):
            lines = (self._directory / "process.log").read_text("utf-8", "replace").split("\n")
            return f"{ending(returncode)} {next((line for line in reversed(lines) if line), '')}".strip()
        return ending(returncode)

    def dismiss(self) -> None:
        """End the crew: no run needs it."""
        sweep(self.marker, own_children=True)
        remove_crew_files(self._home, self.id)


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
