"""Which modules the flows of this machine import, remembered for kernels that are started ahead.

One small file a flow in ``<home>/imports``: names of modules, never code. Written by the run, which has
read the notebook; read by the agent, which has not.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

FLOWS_KEPT = 100
FLOWS_TOGETHER = 3
"""One spare kernel serves the last few flows: it has the modules of all of them."""
MODULES_TOGETHER = 40


class KnownImports(msgspec.Struct, frozen=True, kw_only=True):
    """What one flow's notebook imports, and in which kernel.

    Parameters
    ----------
    alone : bool
        The notebook may change what its imports give (sets variables, installs packages), so nothing is
        imported for it.
    """

    kernel: str
    modules: tuple[str, ...] = ()
    alone: bool = False


def remember(home: Path, flow_id: str, known: KnownImports) -> None:
    """Keep what a flow imports; a disk that is full or read-only costs speed, not the run."""
    directory = home / "imports"
    path = directory / f"{flow_id}.json"
    data = msgspec.json.encode(known)
    with contextlib.suppress(OSError):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists() and path.read_bytes() == data:
            os.utime(path)
            return
        temporary = directory / f".{flow_id}.{os.getpid()}.tmp"
        temporary.write_bytes(data)
        temporary.chmod(0o600)
        temporary.replace(path)
        for old in _newest_first(directory)[FLOWS_KEPT:]:
            old.unlink(missing_ok=True)


def recalled(home: Path, flow_id: str) -> KnownImports | None:
    """Return what is known of a flow, or None."""
    return _read(home / "imports" / f"{flow_id}.json")


def lately(home: Path, kernel: str) -> tuple[str, ...]:
    """Return the modules that the last flows of *kernel* import, those of the last one first."""
    known = [found for found in _all(home) if found.kernel == kernel][:FLOWS_TOGETHER]
    if not known or known[0].alone:
        return ()
    names = dict.fromkeys(name for found in known for name in found.modules)
    return tuple(names)[:MODULES_TOGETHER]


def last_kernel(home: Path) -> str | None:
    """Return the kernel of the flow that ran last here, or None."""
    return next((found.kernel for found in _all(home)), None)


def _all(home: Path) -> Iterator[KnownImports]:
    for path in _newest_first(home / "imports"):
        found = _read(path)
        if found is not None:
            yield found


def _newest_first(directory: Path) -> list[Path]:
    found = []
    with contextlib.suppress(OSError):
        for path in directory.glob("*.json"):
            with contextlib.suppress(OSError):
                found.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(found, reverse=True)]


def _read(path: Path) -> KnownImports | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=KnownImports)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError):
        return None
