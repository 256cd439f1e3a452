"""An agent's way to the server, which may move: JupyterLab's server comes back under another port.

Where the address was not configured but found in ``<home>/server.json``, the file is read again each
time nobody answers; a configured address is kept, come what may.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jupyter_flows.client.api import FlowsApi
from jupyter_flows.client.discovery import find_token, find_url
from jupyter_flows.client.transport import Transport
from jupyter_flows.errors import ServerNotRunning
from jupyter_flows.settings import Settings


class ServerLink(FlowsApi):
    """The server's API, found again when the server moves.

    Parameters
    ----------
    settings : Settings
        Where the server is: configured, or of this home. With an address they are enough by themselves.
    token : str
        Whose voice we speak with.
    last_url : str
        Where the server was last, if its address is not configured.
    """

    def __init__(self, settings: Settings, *, token: str, last_url: str = "") -> None:
        super().__init__(Transport(settings.api_url or last_url or find_url(settings), token=token))
        self._settings = settings
        self._token = token

    @property
    def is_configured(self) -> bool:
        """Whether the address was given by the user, rather than found."""
        return bool(self._settings.api_url)

    def _call(self, name: str, kind: Any, **given: Any) -> Any:
        try:
            return super()._call(name, kind, **given)
        except ServerNotRunning:
            if self.is_configured:
                raise
            url = find_url(self._settings)
            if url == self.url:
                raise
            self._transport = Transport(url, token=self._token)
            return super()._call(name, kind, **given)


def agent_link(settings: Settings) -> ServerLink:
    """Return the link of an agent of this home.

    Raises
    ------
    ServerNotRunning, NotAuthorised
    """
    url = find_url(settings)
    return ServerLink(settings, token=find_token(settings, role="agent"), last_url=url)


def run_link(settings: Settings, *, run_token: str, url: str, follow: bool) -> ServerLink:
    """Return the link of one run, which has its own token.

    Parameters
    ----------
    follow : bool
        The address was found, not configured: look again when nobody answers there.
    """
    return ServerLink(
        replace(settings, api_url="" if follow else url, api_token=""), token=run_token, last_url=url
    )
