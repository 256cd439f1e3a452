"""The ground of all records: frozen, bounded, JSON in and out. Knows no record by name.

Records are the only thing that crosses a process or a language. Limits written in ``Meta`` are
checked when a record is *decoded*; :func:`check` checks one that was built here, before it is sent.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from jupyter_flows.errors import InvalidRequest


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """A frozen record that is answered or stored; unknown fields are skipped (an older reader)."""


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A frozen record that is sent to the server; unknown fields are refused."""


Id = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
OptionalName = Annotated[str, Meta(max_length=200)]
"""A name that may be empty: not known."""
Word = Annotated[str, Meta(min_length=1, max_length=100)]
Text = Annotated[str, Meta(max_length=1000)]
LongText = Annotated[str, Meta(max_length=8000)]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Label = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$")]
Labels = Annotated[tuple[Label, ...], Meta(max_length=64)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Scalar = (
    None | bool | Annotated[int, Meta(ge=-(2**53), le=2**53)] | float | Annotated[str, Meta(max_length=2048)]
)
"""What a parameter or an option may be: a JSON scalar of at most 2 kB."""
OptionValue = Scalar | Annotated[list[Scalar], Meta(max_length=1000)]
Options = Annotated[dict[Word, OptionValue], Meta(max_length=64)]
Parameters = Annotated[dict[Name, OptionValue], Meta(max_length=200)]
UtcTime = Annotated[datetime, Meta(tz=True)]

LABEL_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
PARAMETERS_LIMIT_BYTES = 16_384

R = TypeVar("R")


def new_id() -> str:
    """Return a fresh random id of 32 hexadecimal digits."""
    return secrets.token_hex(16)


def utc_now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)


def to_json(value: Any) -> bytes:
    """Encode a record (or plain data) as JSON."""
    return msgspec.json.encode(value)


def from_json(data: bytes | str, kind: type[R]) -> R:
    """Decode and check JSON.

    Raises
    ------
    InvalidRequest : with the path of the first field that is wrong.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(str(error) or type(error).__name__) from error


def check(record: R) -> R:
    """Return *record* after checking every limit, as the receiver will.

    Raises
    ------
    InvalidRequest : with the path of the first field that is wrong.
    """
    return from_json(to_json(record), type(record))


def canonical_json(value: Any) -> bytes:
    """Encode a record (or plain data) as JSON with sorted keys: the same content, the same bytes."""
    return msgspec.json.encode(value, order="sorted")


def canonical_digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of a record or plain data."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
