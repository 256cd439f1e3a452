"""A run's process that was started before its run is known: everything imported, a kernel ready.

It learns of its run by one line of its keeper. Where it is not what a fresh process would be, it becomes
one: the same pid executes the command line that a run without it would have been started with.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from pathlib import Path
from typing import NoReturn

import msgspec

from jupyter_flows.errors import FlowsError
from jupyter_flows.runtime.spare_kernel import SpareKernel
from jupyter_flows.runtime.started_ahead import (
    OURS,
    Stamp,
    changes,
    installation,
    is_read_at_start,
    shadowed,
)
from jupyter_flows.schema.agents import Claim

LOOK_S = 2.0
"""How often a waiting process looks whether it is still what a fresh one would be."""
CHANGED = 74
"""Exit code: it no more is."""
SPARE_VARIABLE = "JUPYTER_FLOWS_SPARE"
READY_FILE = "ready.json"
BEGUN_FILE = "begun"
"""Made when the run has been heard of: a process that ends without it has begun nothing."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a waiting process prepares; in its environment."""

    directory: str
    fd: int
    """Where its run will be told."""
    kernel: str
    modules: tuple[str, ...] = ()


class Begin(msgspec.Struct, frozen=True, kw_only=True):
    """The run has come: how a fresh process would be started for it."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str | None = None


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """``ready.json`` of a spare crew: what waits there."""

    kernel: str
    modules: tuple[str, ...]
    pid: int
    kernel_pid: int


def wait_for_run(text: str, *, report_fd: int) -> SpareKernel:
    """Prepare what *text* (a :class:`Wanted`) says, wait for the run, and become its process.

    Returns
    -------
    SpareKernel
        The kernel that was started ahead. Does not return if no run comes.
    """
    wanted = msgspec.json.decode(text, type=Wanted)
    os.set_inheritable(wanted.fd, False)
    directory = Path(wanted.directory)
    started_with = dict(os.environ)
    stamp = Stamp()
    stamp.add(installation(sys.path))

    imported = threading.Event()

    def on_ready(spare: SpareKernel) -> None:
        imported.wait()
        ready = Ready(
            kernel=spare.name, modules=tuple(spare.modules), pid=os.getpid(), kernel_pid=spare.pid or 0
        )
        temporary = directory / f".{READY_FILE}"
        temporary.write_bytes(msgspec.json.encode(ready))
        temporary.replace(directory / READY_FILE)

    spare = SpareKernel(
        wanted.kernel,
        directory=directory / "kernel",
        modules=wanted.modules,
        cwd=wanted.directory,
        on_ready=on_ready,
    )
    spare.start()
    _import_all()
    imported.set()
    line = _line(wanted.fd, spare, stamp)
    (directory / BEGUN_FILE).touch()
    begin = msgspec.json.decode(line, type=Begin)
    if stamp.changed() or not _is_same(begin, started_with):
        spare.stop()
        _become_fresh(begin, report_fd)
    for name, value in changes(started_with, begin.env).items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    os.chdir(begin.cwd or directory)
    return spare


def _line(fd: int, spare: SpareKernel, stamp: Stamp) -> bytes:
    """Wait for the keeper's line; end if there will be none, or if this process is of no use any more."""
    read = b""
    while not read.endswith(b"\n"):
        if not select.select([fd], [], [], LOOK_S)[0]:
            if not read and (spare.why_gone() or stamp.changed()):
                spare.stop()
                sys.exit(CHANGED)
            continue
        piece = os.read(fd, 1 << 16)
        if not piece:
            spare.stop()
            sys.exit(0)
        read += piece
    os.close(fd)
    return read


def _is_same(begin: Begin, started_with: dict[str, str]) -> bool:
    """Whether a fresh process for this run would be as this one is."""
    if begin.argv != (sys.executable, "-m", "jupyter_flows.runtime"):
        return False
    changed = set(changes(started_with, begin.env)) - OURS
    if any(is_read_at_start(name) for name in changed):
        return False
    with open(begin.env["JUPYTER_FLOWS_CLAIM"], "rb") as stream:  # noqa: PTH123
        claim = msgspec.json.decode(stream.read(), type=Claim)
    if claim.spec.storage.kind == "notebook":
        # Its cells run in a kernel, which is looked at by itself.
        return True
    # The flow runs in this process: what it imports must not be hidden by what we imported.
    from jupyter_flows.runtime.execute import working_directory

    try:
        cwd = working_directory(claim, Path(begin.env["JUPYTER_FLOWS_CLAIM"]).parent)
    except FlowsError:
        return False
    return not changed and shadowed({name.partition(".")[0] for name in sys.modules}, cwd) is None


def _become_fresh(begin: Begin, report_fd: int) -> NoReturn:
    os.set_inheritable(report_fd, True)
    if begin.cwd is not None:
        os.chdir(begin.cwd)
    env = {**begin.env, "JUPYTER_FLOWS_REPORT_FD": str(report_fd)}
    # The tie to our parent, the process group and the log stay as they are.
    os.execve(begin.argv[0], [begin.argv[0], "-P", *begin.argv[1:]], env)  # noqa: S606 - our own launcher's


def _import_all() -> None:
    """Import what a notebook's run imports, and have each part work once: schemas are read at first use."""
    import importlib

    for name in (
        "cloudpickle",
        "papermill.engines",
        "papermill.execute",
        "papermill.iorw",
        "papermill.parameterize",
        "jupyter_flows.environment",
        "jupyter_flows.executors.local",
        "jupyter_flows.notebook.build",
        "jupyter_flows.run_configs.local",
        "jupyter_flows.run_configs.universal",
        "jupyter_flows.runtime.execute",
        "jupyter_flows.runtime.headless",
        "jupyter_flows.runtime.papermill_engine",
        "jupyter_flows.runtime.report_pipe",
        "jupyter_flows.storage.local",
        "jupyter_flows.storage.notebook",
    ):
        importlib.import_module(name)
    from jupyter_flows.runtime.headless import rehearse

    rehearse()
