"""A run's directory in the home: whose it is while he lives, and the card that says who keeps the run."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import msgspec

from jupyter_flows.agent.crew import crew_marker

CARD_NAME = "keeper.json"


class KeeperCard(msgspec.Struct, frozen=True, kw_only=True):
    """``keeper.json``: who keeps the run, and what another needs to finish the delivery (0600)."""

    run_id: str
    run_name: str
    token: int
    run_token: str
    api_url: str
    follow: bool = False
    pid: int
    started: str
    on_lost: str
    marker: str
    crew: str = ""
    """The spare crew that the run took, whose processes and files are the run's."""

    @property
    def markers(self) -> tuple[str, ...]:
        """Markers of every process of the run."""
        return (self.marker, crew_marker(self.crew)) if self.crew else (self.marker,)


def lock_directory(directory: Path) -> int | None:
    """Take the run directory for this process, as long as it lives; None if another has it."""
    fd = os.open(directory / "keeper.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with open(temporary, "wb", opener=private) as stream:
        stream.write(data)
    temporary.replace(path)


def private(path: str, flags: int) -> int:
    """Open a file that only its owner reads; to be given to ``open`` as opener."""
    return os.open(path, flags, 0o600)
