"""``<home>/server.json``: how programs of one machine find the server that is running."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from jupyter_flows.errors import InvalidRequest
from jupyter_flows.schema.base import from_json, to_json, utc_now
from jupyter_flows.schema.server import ServerFile


def announce(home: Path, *, url: str, kind: str) -> ServerFile:
    """Write that this process serves at *url*."""
    record = ServerFile(url=url, pid=os.getpid(), started_at=utc_now(), kind=kind)
    file = home / "server.json"
    temporary = file.with_name(f".server.json.{secrets.token_hex(4)}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as handle:
        handle.write(to_json(record) + b"\n")
    temporary.replace(file)
    return record


def announced(home: Path) -> ServerFile | None:
    """Return what the file says, or None if there is none that can be read."""
    try:
        return from_json((home / "server.json").read_bytes(), ServerFile)
    except (OSError, InvalidRequest):
        return None


def withdraw(home: Path, record: ServerFile) -> None:
    """Remove the file, if it is still this one."""
    if announced(home) == record:
        (home / "server.json").unlink(missing_ok=True)


def is_alive(record: ServerFile) -> bool:
    """Tell whether the process that wrote the file is still there."""
    try:
        os.kill(record.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
