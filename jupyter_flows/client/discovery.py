"""Which server a client of this machine talks to, and with which token."""

from __future__ import annotations

from typing import Literal

from jupyter_flows.client.api import FlowsApi
from jupyter_flows.client.transport import Transport
from jupyter_flows.errors import InvalidRequest, NotAuthorised, ServerNotRunning
from jupyter_flows.schema.base import from_json
from jupyter_flows.schema.server import ServerFile
from jupyter_flows.settings import Settings, load_settings

Role = Literal["admin", "agent"]


def connect(settings: Settings | None = None, *, role: Role = "admin") -> FlowsApi:
    """Return the API of the server that the settings, else ``<home>/server.json``, name.

    Nothing is sent yet: a server that does not answer is told by the first call.

    Parameters
    ----------
    settings : Settings, optional
        Default: read from the environment.
    role : {"admin", "agent"}
        Whose token of ``<home>/tokens`` to use where the settings name none.

    Raises
    ------
    ServerNotRunning : no server is configured, and none of this home is running.
    NotAuthorised : there is no token for it.
    """
    settings = settings or load_settings()
    return FlowsApi(Transport(find_url(settings), token=find_token(settings, role=role)))


def find_url(settings: Settings) -> str:
    """Return the address of the server, without a slash at the end."""
    if settings.api_url:
        return settings.api_url.rstrip("/")
    file = settings.home / "server.json"
    try:
        return from_json(file.read_bytes(), ServerFile).url.rstrip("/")
    except (OSError, InvalidRequest):
        raise ServerNotRunning(
            f"no server is running for {settings.home}; "
            "start one with `jupyter flows up`, or set JUPYTER_FLOWS_API_URL"
        ) from None


def find_token(settings: Settings, *, role: Role = "admin") -> str:
    """Return the token for *role*: the configured one, else the one in ``<home>/tokens``."""
    if settings.api_token:
        return settings.api_token
    file = settings.home / "tokens" / f"{role}.token"
    try:
        return file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise NotAuthorised(
            f"there is no token: {file} cannot be read; set JUPYTER_FLOWS_API_TOKEN "
            f"to one made by `jupyter flows server token create --kind {role} --name NAME`"
        ) from None
