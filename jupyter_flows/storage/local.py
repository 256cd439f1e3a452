"""Code in a directory of this machine: a pickled flow, or the script that makes it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from jupyter_flows.errors import StorageUnavailable
from jupyter_flows.schema.refs import StorageRef
from jupyter_flows.storage.base import DirectoryStorage, options_of


class Local(DirectoryStorage, frozen=True, kw_only=True):
    """A pickle of the flow, or with ``stored_as_script`` a pinned copy of its script.

    Parameters
    ----------
    directory : str, optional
        Default: ``storage`` in the home of jupyter_flows.
    path : str, optional
        The script; default: the one the flow was registered from.
    stored_as_script : bool
    add_default_labels : bool
        Whether flows ask for this machine's host name (Prefect 1's rule).

    Examples
    --------
    >>> Local(directory="/srv/flows", add_default_labels=False).default_labels()
    ()
    """

    kind: ClassVar[str] = "local"

    path: str | None = None
    stored_as_script: bool = False

    def put_pickle(self, data: bytes, *, flow_name: str, source: str | None = None) -> StorageRef:
        """Keep a pickled flow; return where it is."""
        location, digest = self.write(data, name=flow_name, suffix=".pickle")
        return StorageRef(
            kind=self.kind,
            location=str(location),
            sha256=digest,
            size_bytes=len(data),
            options=options_of(source=source),
        )

    def put_script(self, script: Path, *, flow_name: str) -> StorageRef:
        """Keep a copy of *script* as it is now; return where it is."""
        try:
            data = script.read_bytes()
        except OSError as error:
            raise StorageUnavailable(f"script {script} cannot be read: {error.strerror}") from error
        location, digest = self.write(data, name=flow_name, suffix=".py")
        return StorageRef(
            kind=self.kind,
            location=str(location),
            sha256=digest,
            size_bytes=len(data),
            options=options_of(stored_as_script=True, source=str(script.absolute())),
        )
