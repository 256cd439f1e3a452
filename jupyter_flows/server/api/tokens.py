"""The server itself, and its tokens."""

from __future__ import annotations

from jupyter_flows.schema.server import CreateToken, NewToken, Nothing, TokenPage, VersionInfo
from jupyter_flows.server import auth
from jupyter_flows.server.api.call import Call
from jupyter_flows.server.store import tokens as store
from jupyter_flows.settings import package_version


def get_version(call: Call) -> VersionInfo:
    """Say who answers here."""
    server = call.server
    return VersionInfo(
        version=package_version(),
        server_id=server.server_id,
        kind=server.kind,
        started_at=server.started_at,
    )


def list_tokens(call: Call) -> TokenPage:
    """Return tokens by name, without their secrets."""
    return TokenPage(tokens=tuple(row.record() for row in store.list_tokens(call.tx)))


def create_token(call: Call, request: CreateToken) -> NewToken:
    """Make a token; its secret is shown once."""
    secret, row = auth.new_token(
        call.tx, kind=request.kind, name=request.name, expires_in_days=request.expires_in_days
    )
    return NewToken(token=secret, record=row.record())


def revoke_token(call: Call, *, token: str) -> Nothing:
    """Make a token useless at once."""
    store.revoke(call.tx, auth.find_token(call.tx, token).id)
    return Nothing()
