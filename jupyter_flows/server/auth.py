"""Who asks, and whether they may. Tokens are kept as hashes; every row of the endpoint table names its scope.

Nothing is allowed by default: a row without a scope does not load, a kind without a scope has none.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import string
import zlib
from datetime import timedelta
from pathlib import Path
from typing import Literal

import msgspec

from jupyter_flows.errors import InvalidRequest, NotAuthorised, NotFound
from jupyter_flows.schema.base import new_id
from jupyter_flows.schema.endpoints import Scope
from jupyter_flows.server.store import Transaction
from jupyter_flows.server.store import runs as run_store
from jupyter_flows.server.store import tokens as store

Kind = Literal["admin", "viewer", "operator", "author", "agent", "run"]

_READ: frozenset[Scope] = frozenset({"flows:read", "runs:read"})
SCOPES: dict[str, frozenset[Scope]] = {
    "viewer": _READ,
    "operator": _READ | {"runs:write"},
    "author": _READ | {"runs:write", "flows:write"},
    "admin": _READ | {"runs:write", "flows:write", "tokens:write"},
    # The two below see single runs only; see authorise().
    "agent": frozenset({"runs:claim", "runs:report", "runs:read"}),
    "run": frozenset({"runs:report", "runs:read"}),
}
LIFETIMES = {"agent": timedelta(days=365)}
PERSON_LIFETIME = timedelta(days=90)
MOST_TOKENS = 1000

_ALPHABET = string.digits + string.ascii_letters
_TOKEN = re.compile(r"jf_(admin|viewer|operator|author|agent|run)_[0-9A-Za-z]{1,64}(?:_[0-9A-Za-z]{1,8})?")


class Forbidden(NotAuthorised):
    """Known, but may not do this."""


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks. ``run_id`` and ``fence`` are those of a run's own token."""

    kind: Kind
    name: str
    token_id: str = ""
    run_id: str | None = None
    fence: int | None = None


def mint(kind: Kind) -> str:
    """Return a fresh token; its end is a checksum, so that scanners for secrets know it.

    Examples
    --------
    >>> mint("agent").startswith("jf_agent_"), looks_like_token(mint("run"))
    (True, True)
    """
    body = f"jf_{kind}_" + "".join(secrets.choice(_ALPHABET) for _ in range(32))
    return f"{body}_{_checksum(body)}"


def _checksum(text: str) -> str:
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(6):
        number, rest = divmod(number, 62)
        digits = _ALPHABET[rest] + digits
    return digits


def looks_like_token(text: str) -> bool:
    """Tell whether *text* has the form of one of our tokens (a Jupyter server's own has not)."""
    return text.startswith("jf_")


def token_hash(token: str) -> str:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def bearer(header: str | None) -> str:
    """Return the token of an ``Authorization`` header, or nothing."""
    scheme, _, token = (header or "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def authenticate(tx: Transaction, token: str) -> Principal:
    """Return whose token this is.

    Raises
    ------
    NotAuthorised : no, unknown, expired or revoked token. The sentence never repeats it.
    """
    if not token:
        raise NotAuthorised("this needs a token: set JUPYTER_FLOWS_API_TOKEN, or use the server's own home")
    digest = token_hash(token)
    if _TOKEN.fullmatch(token) and token.startswith("jf_run_"):
        found = store.run_by_token(tx, digest)
        if found is None:
            raise NotAuthorised("the run's token is not known here; its run may have been deleted")
        return Principal(kind="run", name="run", run_id=found[0], fence=found[1])
    row = store.token_by_hash(tx, digest)
    if row is None or not hmac.compare_digest(row.hash, digest):
        raise NotAuthorised(
            "the token is not known to this server; check JUPYTER_FLOWS_API_TOKEN, or make a new one with "
            "`jupyter flows server token create`"
        )
    if row.revoked_at is not None:
        raise NotAuthorised(f"token {row.name!r} was revoked; make a new one")
    if row.expires_at is not None and row.expires_at <= tx.now:
        raise NotAuthorised(f"token {row.name!r} expired on {row.expires_at:%Y-%m-%d}; make a new one")
    return Principal(kind=_kind(row.kind), name=row.name, token_id=row.id)


def authorise(tx: Transaction, principal: Principal, scope: Scope, *, run: str | None = None) -> None:
    """Say nothing if *principal* may do what needs *scope*.

    Parameters
    ----------
    run : the run that is asked about, where the path names one.

    Raises
    ------
    Forbidden : with the kind of token and the scope it lacks.
    """
    if scope == "public":
        return
    if scope not in SCOPES.get(principal.kind, frozenset()):
        raise Forbidden(f"a token of kind {principal.kind!r} may not do this; it needs the scope {scope}")
    if scope == "runs:claim" or principal.kind not in {"run", "agent"}:
        return
    row = None if run is None else run_store.find_run(tx, run)
    if principal.kind == "run" and (row is None or row.id != principal.run_id):
        raise Forbidden("a run's own token is for that run only")
    if principal.kind == "agent" and (row is None or row.holder_token_id != principal.token_id):
        raise Forbidden("an agent's token is for the runs that it was given")


def new_token(
    tx: Transaction, *, kind: str, name: str, expires_in_days: int | None, token: str | None = None
) -> tuple[str, store.TokenRow]:
    """Make a token; return its secret, which is nowhere else, and its row.

    Raises
    ------
    InvalidRequest : an unknown kind, a name that is taken, a life of no days.
    """
    if kind not in SCOPES or kind == "run":
        kinds = ", ".join(sorted(set(SCOPES) - {"run"}))
        raise InvalidRequest(f"there is no kind of token {kind!r}; kinds are {kinds}")
    if expires_in_days is not None and not 1 <= expires_in_days <= 3650:
        raise InvalidRequest(f"a token lives 1 to 3650 days, not {expires_in_days}")
    existing = store.list_tokens(tx)
    if any(row.name == name for row in existing):
        raise InvalidRequest(
            f"there is a token named {name!r} already; revoke it first, or take another name"
        )
    if len(existing) >= MOST_TOKENS:
        raise InvalidRequest(f"there are {len(existing)} tokens, which is the most; revoke some")
    life = (
        LIFETIMES.get(kind, PERSON_LIFETIME) if expires_in_days is None else timedelta(days=expires_in_days)
    )
    secret = token or mint(_kind(kind))
    row = store.TokenRow(
        id=new_id(),
        hash=token_hash(secret),
        kind=kind,
        name=name,
        labels="[]",
        created_at=tx.now,
        expires_at=None if token else tx.now + life,
    )
    store.add_token(tx, row)
    return secret, row


def find_token(tx: Transaction, name: str) -> store.TokenRow:
    """Return a token by id or name."""
    for row in store.list_tokens(tx):
        if name in {row.id, row.name}:
            return row
    raise NotFound(f"there is no token {name[:100]!r}; see `jupyter flows server token ls`")


def prepare_home_tokens(tx: Transaction, home: Path) -> None:
    """Make ``tokens/admin.token`` and ``tokens/agent.token``, where they are missing, and know them.

    They do not expire: whoever can read the files is the user of this home.
    """
    directory = home / "tokens"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    kinds: tuple[Kind, ...] = ("admin", "agent")
    for kind in kinds:
        file = directory / f"{kind}.token"
        secret = file.read_text("ascii").strip() if file.is_file() else ""
        if not _TOKEN.fullmatch(secret) or not secret.startswith(f"jf_{kind}_"):
            secret = mint(kind)
            _write_private(file, secret)
        row = store.token_by_hash(tx, token_hash(secret))
        if row is not None and row.revoked_at is not None:
            secret, row = mint(kind), None
            _write_private(file, secret)
        if row is None:
            taken = {entry.name for entry in store.list_tokens(tx)}
            name = f"{kind} of {home}"[:190]
            while name in taken:
                name = f"{name[:190]} {secrets.token_hex(2)}"
            new_token(tx, kind=kind, name=name, expires_in_days=None, token=secret)


def _write_private(file: Path, text: str) -> None:
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as handle:
        handle.write(text + "\n")
    temporary.replace(file)


def _kind(text: str) -> Kind:
    for kind in ("admin", "viewer", "operator", "author", "agent", "run"):
        if kind == text:
            return kind
    raise InvalidRequest(f"there is no kind of token {text!r}")
