"""Results as files of this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from jupyter_flows.engine.results.base import Location, Result
from jupyter_flows.engine.serializers import Serializer
from jupyter_flows.errors import InvalidTask


class LocalResult(Result):
    """A file below a directory of this machine.

    Parameters
    ----------
    dir : str, optional
        Default: ``results`` in the home directory of jupyter_flows. A relative one begins where the run does.
    validate_dir : bool
        Whether a directory that cannot be made is refused now.
    location, serializer, value
        Of :class:`~jupyter_flows.engine.results.Result`.

    Raises
    ------
    InvalidTask : the directory is a file.

    Examples
    --------
    >>> import tempfile
    >>> result = LocalResult(tempfile.mkdtemp(), location="{name}.pkl").write([1, 2], name="rows")
    >>> result.read(result.location).value
    [1, 2]
    """

    def __init__(
        self,
        dir: str | None = None,  # noqa: A002 - Prefect 1's name
        validate_dir: bool = True,  # noqa: FBT001, FBT002
        *,
        location: Location | None = None,
        serializer: Serializer | None = None,
        value: Any = None,
    ) -> None:
        super().__init__(value, location, serializer)
        self.dir = dir
        if validate_dir and dir is not None and Path(dir).expanduser().is_file():
            msg = f"LocalResult: {dir} is a file; name a directory"
            raise InvalidTask(msg)

    @property
    def directory(self) -> Path:
        """Where files go."""
        if self.dir is not None:
            return Path(self.dir).expanduser()
        from jupyter_flows.settings import load_settings

        return load_settings().home / "results"

    def _path(self, location: str) -> Path:
        return self.directory / location

    def read_bytes(self, location: str) -> bytes:
        """Read the file."""
        return self._path(location).read_bytes()

    def write_bytes(self, location: str, data: bytes) -> None:
        """Write the file beside its place, then move it there."""
        path = self._path(location)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            beside.write_bytes(data)
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise

    def has_bytes(self, location: str) -> bool:
        """Whether the file is there."""
        return self._path(location).is_file()
