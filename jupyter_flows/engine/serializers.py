"""How results become bytes, and bytes results again; names are Prefect 1's."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, ClassVar

from jupyter_flows.errors import InvalidTask, PackageMissing

__all__ = [
    "CompressedSerializer",
    "DateTimeSerializer",
    "JSONSerializer",
    "PandasSerializer",
    "PickleSerializer",
    "Serializer",
]


class Serializer:
    """Turns values into bytes and back; equal to any other of its kind and options."""

    def serialize(self, value: Any) -> bytes:
        """Return the value as bytes."""
        raise NotImplementedError

    def deserialize(self, value: bytes) -> Any:
        """Return the value that the bytes are."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash(type(self))


class PickleSerializer(Serializer):
    """By cloudpickle, which takes almost everything. Reading a pickle executes it.

    Examples
    --------
    >>> PickleSerializer().deserialize(PickleSerializer().serialize({1, 2}))
    {1, 2}
    """

    def serialize(self, value: Any) -> bytes:
        """Pickle."""
        import cloudpickle

        data: bytes = cloudpickle.dumps(value)
        return data

    def deserialize(self, value: bytes) -> Any:
        """Unpickle."""
        import cloudpickle

        return cloudpickle.loads(value)


class JSONSerializer(Serializer):
    """As JSON: for what other programs read.

    Examples
    --------
    >>> JSONSerializer().serialize({"rows": 2})
    b'{"rows": 2}'
    """

    def serialize(self, value: Any) -> bytes:
        """Write JSON."""
        return json.dumps(value).encode()

    def deserialize(self, value: bytes) -> Any:
        """Read JSON."""
        return json.loads(value)


class DateTimeSerializer(Serializer):
    """A time, as ISO 8601 text.

    Examples
    --------
    >>> DateTimeSerializer().deserialize(b"2030-01-31T06:00:00+00:00").year
    2030
    """

    def serialize(self, value: datetime) -> bytes:
        """Write the time."""
        return value.isoformat().encode()

    def deserialize(self, value: bytes) -> datetime:
        """Read the time."""
        return datetime.fromisoformat(value.decode())


class PandasSerializer(Serializer):
    """A data frame, in a format that pandas writes and reads: ``csv``, ``json``, ``parquet``, ...

    Parameters
    ----------
    file_type : str
        As in ``DataFrame.to_<file_type>`` and ``pandas.read_<file_type>``.
    deserialize_kwargs, serialize_kwargs : dict, optional
        Options of those.

    Raises
    ------
    InvalidTask : pandas knows no such format.
    PackageMissing : when a value is written or read: the format needs another package, as Arrow's
        ``parquet`` and ``feather`` need pyarrow.

    Examples
    --------
    >>> import pandas
    >>> rows = pandas.DataFrame({"a": [1, 2]})
    >>> kept = PandasSerializer("csv", serialize_kwargs={"index": False})
    >>> kept.deserialize(kept.serialize(rows))["a"].tolist()
    [1, 2]
    """

    def __init__(
        self,
        file_type: str,
        deserialize_kwargs: dict[str, Any] | None = None,
        serialize_kwargs: dict[str, Any] | None = None,
    ) -> None:
        import pandas as pd

        if not hasattr(pd, f"read_{file_type}") or not hasattr(pd.DataFrame, f"to_{file_type}"):
            msg = (
                f"PandasSerializer: pandas does not write and read {file_type!r}; use csv, json, parquet, ..."
            )
            raise InvalidTask(msg)
        self.file_type = file_type
        self.deserialize_kwargs = deserialize_kwargs or {}
        self.serialize_kwargs = serialize_kwargs or {}

    def serialize(self, value: Any) -> bytes:
        """Write the frame."""
        write: Callable[..., Any] = getattr(value, f"to_{self.file_type}")
        if self.file_type in {"csv", "json", "html", "xml"}:
            # These write text.
            with self._needing_packages():
                return str(write(**self.serialize_kwargs)).encode()
        buffer = io.BytesIO()
        with self._needing_packages():
            write(buffer, **self.serialize_kwargs)
        return buffer.getvalue()

    def deserialize(self, value: bytes) -> Any:
        """Read the frame."""
        import pandas as pd

        with self._needing_packages():
            return getattr(pd, f"read_{self.file_type}")(io.BytesIO(value), **self.deserialize_kwargs)

    @contextmanager
    def _needing_packages(self) -> Iterator[None]:
        try:
            yield
        except ImportError as error:
            package = {"excel": "openpyxl", "hdf": "tables", "html": "lxml", "xml": "lxml"}.get(
                self.file_type, "pyarrow"
            )
            msg = f"a result as {self.file_type} needs a package that is not installed: pip install {package}"
            raise PackageMissing(msg) from error


class CompressedSerializer(Serializer):
    """Compresses what another serializer makes.

    Parameters
    ----------
    serializer : Serializer
    format : {"bz2", "gzip", "lzma", "zlib"}, optional
    compress, decompress : callable, optional
        Of bytes; in place of a format.
    compress_kwargs, decompress_kwargs : dict, optional
        Options of those.

    Raises
    ------
    InvalidTask : another format, or not either a format or both functions.

    Examples
    --------
    >>> packed = CompressedSerializer(JSONSerializer(), "gzip")
    >>> packed.deserialize(packed.serialize([1, 2]))
    [1, 2]
    """

    COMPRESSIONS: ClassVar[dict[str, Any]] = {"bz2": bz2, "gzip": gzip, "lzma": lzma, "zlib": zlib}

    def __init__(  # noqa: PLR0917 - Prefect 1's signature
        self,
        serializer: Serializer,
        format: str | None = None,  # noqa: A002
        compress: Callable[..., bytes] | None = None,
        decompress: Callable[..., bytes] | None = None,
        compress_kwargs: dict[str, Any] | None = None,
        decompress_kwargs: dict[str, Any] | None = None,
    ) -> None:
        functions = [one for one in (compress, decompress) if one is not None]
        if bool(functions) == (format is not None) or len(functions) == 1:
            msg = "CompressedSerializer takes either a format, or both compress and decompress"
            raise InvalidTask(msg)
        if format is not None and format not in self.COMPRESSIONS:
            msg = f"CompressedSerializer: format is {format!r}; use {', '.join(self.COMPRESSIONS)}"
            raise InvalidTask(msg)
        self.serializer = serializer
        self.format = format
        self.functions = tuple(functions)
        self.compress_kwargs = compress_kwargs or {}
        self.decompress_kwargs = decompress_kwargs or {}

    def _functions(self) -> tuple[Callable[..., bytes], Callable[..., bytes]]:
        # A module cannot be pickled: it is looked up by its name where it is needed.
        if self.format is None:
            return self.functions[0], self.functions[1]
        found = self.COMPRESSIONS[self.format]
        return found.compress, found.decompress

    def serialize(self, value: Any) -> bytes:
        """Serialize and compress."""
        compress, _ = self._functions()
        return compress(self.serializer.serialize(value), **self.compress_kwargs)

    def deserialize(self, value: bytes) -> Any:
        """Decompress and deserialize."""
        _, decompress = self._functions()
        return self.serializer.deserialize(decompress(value, **self.decompress_kwargs))
