"""What the server says of itself, its tokens, and its errors."""

from __future__ import annotations

from jupyter_flows.schema.base import (
    Count,
    Id,
    Labels,
    LongText,
    Name,
    OptionalName,
    Record,
    Request,
    UtcTime,
    Word,
)


class VersionInfo(Record, frozen=True, kw_only=True):
    """Who answers here."""

    version: Word
    api: Word = "v1"
    server_id: OptionalName = ""
    kind: Word = "standalone"
    started_at: UtcTime | None = None


class Problem(Record, frozen=True, kw_only=True):
    """An error as the API answers it: a stable code and one sentence."""

    code: Word
    message: LongText


class TokenRecord(Record, frozen=True, kw_only=True):
    """A token by name; its secret is shown once, when it is made."""

    id: Id
    kind: Word
    name: Name
    labels: Labels = ()
    created_at: UtcTime
    expires_at: UtcTime | None = None
    last_used_at: UtcTime | None = None


class CreateToken(Request, frozen=True, kw_only=True):
    """Make a token of a kind (``admin``, ``viewer``, ``operator``, ``author`` or ``agent``)."""

    kind: Word
    name: Name
    expires_in_days: int | None = None


class NewToken(Record, frozen=True, kw_only=True):
    """The one answer that carries the secret."""

    token: str
    record: TokenRecord


class TokenPage(Record, frozen=True, kw_only=True):
    """All tokens."""

    tokens: tuple[TokenRecord, ...]


class Nothing(Record, frozen=True, kw_only=True):
    """An empty answer."""


class ServerFile(Record, frozen=True, kw_only=True):
    """``<home>/server.json``: where the server of this home listens, for clients on the same machine."""

    url: Name
    pid: Count
    started_at: UtcTime
    kind: Word = "standalone"
