"""Results in object stores, by fsspec: install the file system that you need (s3fs, gcsfs, adlfs)."""

from __future__ import annotations

from typing import Any

from jupyter_flows.engine.results.base import Location, Result
from jupyter_flows.engine.serializers import Serializer
from jupyter_flows.errors import EnvironmentFault


class UrlResult(Result):
    """A value below an address that fsspec understands.

    Parameters
    ----------
    base_url : str
        E.g. ``s3://bucket`` or ``memory://results``.
    options : dict, optional
        Of the file system.
    location, serializer, value
        Of :class:`~jupyter_flows.engine.results.Result`.
    """

    def __init__(
        self,
        base_url: str,
        options: dict[str, Any] | None = None,
        *,
        location: Location | None = None,
        serializer: Serializer | None = None,
        value: Any = None,
    ) -> None:
        super().__init__(value, location, serializer)
        self.base_url = base_url.rstrip("/")
        self.options = options or {}

    def _open(self, location: str) -> tuple[Any, str]:
        kind = self.base_url.partition("://")[0]
        try:
            import fsspec

            found: tuple[Any, str] = fsspec.core.url_to_fs(f"{self.base_url}/{location}", **self.options)
        except ImportError as error:
            package = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}.get(kind, "fsspec")
            msg = f"results at {self.base_url} need a package that is not installed: pip install {package}"
            raise EnvironmentFault(msg) from error
        return found

    def read_bytes(self, location: str) -> bytes:
        """Read the object."""
        system, path = self._open(location)
        data: bytes = system.cat_file(path)
        return data

    def write_bytes(self, location: str, data: bytes) -> None:
        """Write the object; stores show it when it is whole."""
        system, path = self._open(location)
        system.makedirs(path.rpartition("/")[0], exist_ok=True)
        system.pipe_file(path, data)

    def has_bytes(self, location: str) -> bool:
        """Whether the object is there."""
        system, path = self._open(location)
        return bool(system.exists(path))


class S3Result(UrlResult):
    """An object of an S3 bucket; needs s3fs.

    Parameters
    ----------
    bucket : str
    location, serializer, options
        Of :class:`UrlResult`; credentials are found as s3fs finds them.
    """

    def __init__(self, bucket: str, location: Location | None = None, **options: Any) -> None:
        super().__init__(f"s3://{bucket}", location=location, **options)


class GCSResult(UrlResult):
    """An object of a Google Cloud Storage bucket; needs gcsfs."""

    def __init__(self, bucket: str | None = None, location: Location | None = None, **options: Any) -> None:
        super().__init__(f"gs://{bucket}", location=location, **options)


class AzureResult(UrlResult):
    """A blob of an Azure container; needs adlfs."""

    def __init__(self, container: str, location: Location | None = None, **options: Any) -> None:
        super().__init__(f"az://{container}", location=location, **options)
