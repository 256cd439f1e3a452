"""What a storage is: data that tells where code goes, with ``put`` and ``fetch``.

Bytes are written once, under a name made of their digest, whole or not at all; they are read once, into
a file that only its owner can read. Whoever fetches compares the digest before anything is loaded.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from jupyter_flows.errors import StorageUnavailable
from jupyter_flows.schema.refs import StorageRef
from jupyter_flows.settings import load_settings

LONGEST_LABEL = 100


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the storages; each is one file whose name is its kind."""

    kind: ClassVar[str] = ""

    def default_labels(self) -> tuple[str, ...]:
        """Labels that a flow in this storage asks for by itself."""
        return ()

    def check(self) -> None:
        """Refuse, before anything is sent or written, a place that cannot be written.

        Raises
        ------
        StorageUnavailable : in one sentence.
        """

    def fetch(self, ref: StorageRef, into: Path) -> Path:
        """Copy the bytes that *ref* points to into the directory *into*; return the copy (0600).

        Raises
        ------
        StorageUnavailable : they cannot be read.
        """
        raise NotImplementedError


class DirectoryStorage(Storage, frozen=True, kw_only=True):
    """A storage that keeps files in a directory of this machine.

    Parameters
    ----------
    directory : str, optional
        Default: ``storage`` in the home of jupyter_flows.
    add_default_labels : bool
        Whether flows ask for this machine's host name, which only agents here offer.
    """

    directory: str | None = None
    add_default_labels: bool = True

    def default_labels(self) -> tuple[str, ...]:
        """The host's name: the files can be read only here."""
        return (host_label(),) if self.add_default_labels else ()

    @property
    def root(self) -> Path:
        """The directory, absolute."""
        if self.directory:
            return Path(self.directory).expanduser().absolute()
        return load_settings().storage_path.absolute()

    def folder(self, name: str) -> Path:
        """The directory of the flow called *name*."""
        return self.root / slug(name)

    def check(self) -> None:
        """Refuse a directory that cannot be made or written."""
        root = self.root
        existing = next(path for path in (root, *root.parents) if path.exists())
        if not existing.is_dir():
            raise StorageUnavailable(
                f"storage directory {root} cannot be made: {existing} is a file; name another"
            )
        if not os.access(existing, os.W_OK | os.X_OK):
            raise StorageUnavailable(
                f"storage directory {root} is not writable; "
                "change its permissions or set JUPYTER_FLOWS_STORAGE_DIR"
            )

    def write(self, data: bytes, *, name: str, suffix: str) -> tuple[Path, str]:
        """Keep *data* under the slug of *name* and its digest; return the path and the digest.

        Raises
        ------
        StorageUnavailable : the directory cannot be written, or what was written reads back different.
        """
        digest = hashlib.sha256(data).hexdigest()
        path = self.folder(name) / f"{digest[:16]}{suffix}"
        try:
            _make_private(path.parent)
            if _holds(path, digest):
                # Somebody else's registering may be about to take this file away: it is ours too now.
                os.utime(path)
            else:
                _write_whole(path, data)
        except OSError as error:
            raise StorageUnavailable(f"storage {path.parent} cannot be written: {error.strerror}") from error
        if not _holds(path, digest):
            raise StorageUnavailable(f"what was written to {path} reads back different; check that disk")
        return path, digest

    def fetch(self, ref: StorageRef, into: Path) -> Path:
        """Copy the file."""
        source = Path(ref.location)
        try:
            data = source.read_bytes()
        except OSError as error:
            raise StorageUnavailable(
                f"code at {source} cannot be read: {error.strerror}; register again, or restore the file"
            ) from error
        copy = into / f"code{source.suffix}"
        _write_whole(copy, data)
        return copy


def slug(name: str) -> str:
    """Return a file name made of *name*, which is data: no path of it survives.

    Examples
    --------
    >>> slug("../Etl é")
    'etl'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:64] or "flow"


def host_label() -> str:
    """Return this machine's name as a label."""
    return (
        re.sub(r"[^A-Za-z0-9._:-]", "-", socket.gethostname()).lstrip("._:-")[:LONGEST_LABEL] or "localhost"
    )


def _make_private(directory: Path) -> None:
    """Make *directory* and those above it, each 0700 whatever the umask; ``mkdir`` minds only the last."""
    for missing in reversed([path for path in (directory, *directory.parents) if not path.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def _holds(path: Path, digest: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == digest
    except OSError:
        return False


def _write_whole(path: Path, data: bytes) -> None:
    """Write *data* so that *path* is never half of it, readable by its owner alone."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise


def options_of(**values: Any) -> dict[str, Any]:
    """Return the options that say something."""
    return {name: value for name, value in values.items() if value not in {None, ""}}
