"""What every endpoint function is given besides its own arguments."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from jupyter_flows.server.auth import Principal
from jupyter_flows.server.leases import Leases
from jupyter_flows.server.store import Transaction
from jupyter_flows.settings import Settings

MOST_ROWS = 1000


class ServerFacts(Protocol):
    """What endpoint functions may ask of the server they run in."""

    @property
    def settings(self) -> Settings:
        """Its settings."""

    @property
    def leases(self) -> Leases:
        """How it changes runs."""

    @property
    def server_id(self) -> str:
        """What tells it from another server."""

    @property
    def started_at(self) -> datetime:
        """Since when it answers."""

    @property
    def kind(self) -> str:
        """``standalone`` or ``jupyter``."""

    def is_polling(self, agent_id: str) -> bool:
        """Tell whether an agent's long poll is open at this moment."""


class Call:
    """One request: its transaction, who asks, and the server."""

    def __init__(self, *, tx: Transaction, principal: Principal, server: ServerFacts) -> None:
        self.tx = tx
        self.principal = principal
        self.server = server

    @property
    def leases(self) -> Leases:
        """How runs are changed."""
        return self.server.leases


def page_size(limit: int | None, *, default: int) -> int:
    """Return a page size within its bounds."""
    return default if limit is None else max(1, min(limit, MOST_ROWS))
