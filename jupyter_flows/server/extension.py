"""The Jupyter coat: the same endpoints inside a Jupyter server, behind its login and its authorizer.

At its start it uses the server that is configured, else one that runs for this home already, and passes
requests on; else it becomes the server itself. Two processes never use one SQLite file. When the server
it passed to is gone, it takes its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, Literal
from urllib.parse import urlsplit

from jupyter_core.utils import ensure_async
from jupyter_server.auth import User
from jupyter_server.auth.identity import IdentityProvider, PasswordIdentityProvider
from jupyter_server.base.handlers import APIHandler
from jupyter_server.extension.application import ExtensionApp
from tornado import web
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from jupyter_flows.errors import DatabaseInUse, FlowsError, NotAuthorised, ServerUnavailable
from jupyter_flows.schema.endpoints import API_PREFIX, Endpoint
from jupyter_flows.schema.server import ServerFile
from jupyter_flows.server import auth, discovery
from jupyter_flows.server.auth import Forbidden, Principal
from jupyter_flows.server.passthrough import PassThrough
from jupyter_flows.server.service import FlowsService
from jupyter_flows.server.tornado_app import (
    Asked,
    Backend,
    Dispatcher,
    ServiceBackend,
    patterns,
    write_problem,
)
from jupyter_flows.settings import Settings, load_settings

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
RESOURCE = "flows"
Action = Literal["read", "write", "execute"]


class Coat:
    """Decides who answers: this process, or another server; and decides again when that one is gone."""

    def __init__(self, *, settings: Settings) -> None:
        self.settings = settings
        self._url = ""
        self._backend: Backend | None = None
        self._service: FlowsService | None = None
        self._announced: ServerFile | None = None
        self._used: ServerFile | None = None
        self._sentence = "the jupyter_flows part of this server is starting"
        self._deciding = asyncio.Lock()
        self._look = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._stopped = False

    def backend(self) -> Backend:
        """Return what answers now."""
        if self._backend is None:
            raise ServerUnavailable(self._sentence)
        return self._backend

    @property
    def is_server(self) -> bool:
        """Whether this process is the server."""
        return self._service is not None

    async def start(self, url: str) -> None:
        """Decide, and go on watching.

        Parameters
        ----------
        url : where agents on this machine reach this Jupyter server; empty: nowhere.
        """
        self._url = url
        await self._decide()
        if not self.settings.api_url:
            self._watching = asyncio.ensure_future(self._watch())

    async def stop(self) -> None:
        """Let go of everything; runs that agents hold go on."""
        self._stopped = True
        if self._watching is not None:
            self._watching.cancel()
        async with self._deciding:
            if isinstance(self._backend, PassThrough):
                self._backend.close()
            self._backend, self._sentence = None, "this server is stopping"
            if self._announced is not None:
                discovery.withdraw(self.settings.home, self._announced)
                self._announced = None
            if self._service is not None:
                service, self._service = self._service, None
                await service.stop_answering(within_s=2.0)
                await asyncio.to_thread(service.close)

    async def _watch(self) -> None:
        """Notice that the other server is gone, also when nobody asks for anything."""
        while not self._stopped:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), LOOK_EVERY_S)
            was_silent = self._look.is_set()
            self._look.clear()
            if self._service is None and not await self._other_lives(ask=was_silent):
                await self._decide()

    async def _other_lives(self, *, ask: bool) -> bool:
        """Tell whether the server in use is there; *ask* it too, since a pid may be another's by now."""
        used = self._used
        if used is None or discovery.announced(self.settings.home) != used or not discovery.is_alive(used):
            return False
        return not ask or await _answers(used.url)

    async def _decide(self) -> None:
        async with self._deciding:
            if self._stopped or self._service is not None:
                return
            if self.settings.api_url:
                self._pass_to(self.settings.api_url, None)
                return
            record = discovery.announced(self.settings.home)
            if record is not None and discovery.is_alive(record) and await _answers(record.url):
                self._pass_to(record.url, record)
                return
            await self._become_server()

    def _pass_to(self, url: str, record: ServerFile | None) -> None:
        if isinstance(self._backend, PassThrough):
            if self._backend.url == url.rstrip("/"):
                self._used = record
                return
            self._backend.close()
        self._used = record
        self._backend = PassThrough(url, token=_own_token(self.settings), on_silence=self._look.set)
        log.info("jupyter_flows: using the server at %s", url)

    async def _become_server(self) -> None:
        service = FlowsService(settings=self.settings, kind="jupyter")
        try:
            await asyncio.to_thread(service.open)
        except DatabaseInUse as error:
            # Another server has the file but does not answer (yet): look again soon.
            self._sentence = str(error)
            return
        except FlowsError as error:
            if self._sentence != str(error):
                log.warning("jupyter_flows: %s", error)
            self._sentence = str(error)
            return
        if isinstance(self._backend, PassThrough):
            self._backend.close()
        self._service, self._used = service, None
        self._backend = ServiceBackend(service)
        if self._url:
            self._announced = discovery.announce(self.settings.home, url=self._url, kind="jupyter")
        log.info("jupyter_flows: this server keeps the flows of %s", self.settings.home)


async def _answers(url: str) -> bool:
    client = SimpleAsyncHTTPClient(force_instance=True)
    try:
        request = HTTPRequest(url + API_PREFIX + "/version", connect_timeout=2, request_timeout=5)
        response = await client.fetch(request, raise_error=False)
    except (OSError, HTTPClientError):
        return False
    finally:
        client.close()
    # A Jupyter server wants a login for it: that is an answer too.
    return response.code in {200, 401, 403}


def _own_token(settings: Settings) -> str:
    if settings.api_token:
        return settings.api_token
    try:
        return (settings.home / "tokens" / "admin.token").read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


class _Handler(Dispatcher, APIHandler):
    """A handler of the Jupyter coat: a person Jupyter knows, or one of our own tokens."""

    auth_resource = RESOURCE

    def initialize(self, rows: dict[str, Endpoint] | None = None) -> None:
        """Take the rows of this path."""
        self.rows = rows or {}  # type: ignore[misc]

    async def prepare(self) -> None:  # type: ignore[override]
        """Let in a person as Jupyter does, XSRF check included; or somebody with one of our tokens."""
        token = auth.bearer(self.request.headers.get("Authorization"))
        if not auth.looks_like_token(token):
            self._token = ""
            await super().prepare()
            return
        if not self.check_host():
            raise web.HTTPError(403, log_message="this server is not known by that host name")
        # No cookie counts on this path, so a foreign page cannot use it. Whether the token is good is
        # asked of the database, in a worker thread, before anything else happens.
        self._token = token
        self.current_user = self._jupyter_current_user = User("jupyter_flows")

    def backend(self) -> Backend:
        coat: Coat = self.settings["jupyter_flows_coat"]
        return coat.backend()

    async def asked_by(self, row: Endpoint | None) -> Asked:
        if self._token:
            return Asked(token=self._token)
        user = self.current_user
        if user is None:
            raise NotAuthorised("log in to Jupyter first, or send a token of jupyter_flows")
        action = _action(row)
        if not await ensure_async(self.authorizer.is_authorized(self, user, action, RESOURCE)):
            raise Forbidden(f"this Jupyter server does not let you {action} flows")
        return Asked(principal=Principal(kind="author", name=_name_of(user, self.identity_provider)))

    def finish(self, *args: Any, **kwargs: Any) -> Any:
        """Finish without calling it a person's activity: a panel that looks is no reason to stay up."""
        kwargs.pop("set_content_type", None)
        return web.RequestHandler.finish(self, *args, **kwargs)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Tell every error as a problem."""
        info = kwargs.get("exc_info")
        write_problem(self, info[1] if info else web.HTTPError(status_code))

    def log_exception(self, *info: Any) -> None:
        """Write nothing: what matters was logged where it was caught, without the request's body."""


class EndpointHandler(_Handler):
    """All rows of one path."""

    @web.authenticated
    async def get(self, **path: str) -> None:
        """Answer."""
        await self.dispatch(path)

    @web.authenticated
    async def post(self, **path: str) -> None:
        """Answer."""
        await self.dispatch(path)

    @web.authenticated
    async def delete(self, **path: str) -> None:
        """Answer."""
        await self.dispatch(path)


class StreamHandler(_Handler):
    """The event stream."""

    @web.authenticated
    async def get(self) -> None:
        """Write events."""
        await self.dispatch_stream()


class MissingHandler(_Handler):
    """Any other address below the API."""

    @web.authenticated
    async def get(self) -> None:
        """Refuse."""
        write_problem(self, web.HTTPError(404))

    post = delete = get


def _action(row: Endpoint | None) -> Action:
    if row is None or row.method == "GET":
        return "read"
    return "execute" if row.scope in {"runs:write", "runs:claim", "runs:report"} else "write"


def _name_of(user: Any, provider: Any) -> str:
    """Return who asks: with Jupyter's plain token login every browser has an invented name, so none."""
    if type(provider) in {IdentityProvider, PasswordIdentityProvider}:
        return "a person in JupyterLab"
    return str(getattr(user, "username", "") or "a person in JupyterLab")[:200]


class FlowsExtension(ExtensionApp):
    """The jupyter_flows extension of a Jupyter server."""

    name = "jupyter_flows"
    app_name = "jupyter_flows"
    description = "Notebooks as scheduled workflows."

    def initialize_settings(self) -> None:
        """Read the settings; nothing is opened yet."""
        self.coat = Coat(settings=load_settings())
        self.settings.update(jupyter_flows_coat=self.coat)

    def initialize_handlers(self) -> None:
        """Mount the endpoint table."""
        self.handlers.extend((pattern, EndpointHandler, {"rows": rows}) for pattern, rows in patterns())
        self.handlers.append((API_PREFIX + "/events", StreamHandler, {}))
        self.handlers.append((API_PREFIX + "/.*", MissingHandler, {}))

    async def _start_jupyter_server_extension(self, serverapp: Any) -> None:
        """Decide who answers; the server listens by now, so its address is known."""
        await self.coat.start(_local_url(serverapp))

    async def stop_extension(self) -> None:
        """Let go of the database."""
        await self.coat.stop()


def _local_url(serverapp: Any) -> str:
    """Return where programs of this machine reach the server, or nothing for a Unix socket."""
    if serverapp.sock:
        return ""
    # local_url ends with the page that opens first (/lab, /tree); the API is below the base URL.
    parts = urlsplit(str(serverapp.local_url))
    return f"{parts.scheme}://{parts.netloc}{serverapp.base_url}".rstrip("/")
