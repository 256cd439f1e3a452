"""Tokens as hashes: of people and agents, and of single runs."""

from __future__ import annotations

from datetime import datetime

import msgspec
import sqlalchemy as sa

from jupyter_flows.schema.server import TokenRecord
from jupyter_flows.server.store.database import Transaction
from jupyter_flows.server.store.tables import run_tokens, tokens


class TokenRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``tokens``."""

    id: str
    hash: str
    kind: str
    name: str
    labels: str
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def record(self) -> TokenRecord:
        """Return the token without its secret."""
        return TokenRecord(
            id=self.id,
            kind=self.kind,
            name=self.name,
            created_at=self.created_at,
            expires_at=self.expires_at,
            last_used_at=self.last_used_at,
        )


def add_token(tx: Transaction, row: TokenRow) -> None:
    """Insert a token."""
    tx.connection.execute(sa.insert(tokens).values(**msgspec.structs.asdict(row)))


def token_by_hash(tx: Transaction, digest: str) -> TokenRow | None:
    """Return the token with this hash, or None."""
    row = tx.connection.execute(sa.select(tokens).where(tokens.c.hash == digest)).mappings().first()
    return None if row is None else TokenRow(**row)


def list_tokens(tx: Transaction) -> list[TokenRow]:
    """Return the tokens that were not revoked, oldest first."""
    query = sa.select(tokens).where(tokens.c.revoked_at.is_(None)).order_by(tokens.c.created_at, tokens.c.id)
    return [TokenRow(**row) for row in tx.connection.execute(query).mappings()]


def revoke(tx: Transaction, token_id: str) -> None:
    """Make a token useless from now on."""
    tx.connection.execute(sa.update(tokens).where(tokens.c.id == token_id).values(revoked_at=tx.now))


def used(tx: Transaction, token_id: str) -> None:
    """Note that a token was used."""
    tx.connection.execute(sa.update(tokens).where(tokens.c.id == token_id).values(last_used_at=tx.now))


def add_run_token(tx: Transaction, *, digest: str, run_id: str, token: int) -> None:
    """Insert the token of one run under one fencing token."""
    tx.connection.execute(sa.insert(run_tokens).values(hash=digest, run_id=run_id, token=token))


def run_by_token(tx: Transaction, digest: str) -> tuple[str, int] | None:
    """Return the run and the fencing token that a run's token stands for, or None."""
    row = tx.connection.execute(
        sa.select(run_tokens.c.run_id, run_tokens.c.token).where(run_tokens.c.hash == digest)
    ).first()
    return None if row is None else (row.run_id, row.token)
