"""The stand-alone coat: its own tornado server and tokens; no Jupyter, no kernels, no files."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tornado import httpserver, web

from jupyter_flows.errors import CannotListen
from jupyter_flows.schema.endpoints import API_PREFIX, Endpoint
from jupyter_flows.server import auth, discovery
from jupyter_flows.server.service import FlowsService
from jupyter_flows.server.tornado_app import (
    Asked,
    Backend,
    Dispatcher,
    ServiceBackend,
    patterns,
    write_problem,
)
from jupyter_flows.settings import Settings, package_version

log = logging.getLogger(__name__)

DEFAULT_PORT = 8841
_BODY_LIMIT = 33 * 1_048_576
_STOP_S = 2.0
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class _Handler(Dispatcher, web.RequestHandler):
    """A handler of the stand-alone coat."""

    def initialize(self, rows: dict[str, Endpoint] | None = None) -> None:
        """Take the rows of this path."""
        self.rows = rows or {}  # type: ignore[misc]

    def set_default_headers(self) -> None:
        """Send nothing that names the software's version, and what keeps browsers careful."""
        self.clear_header("Server")
        for name, value in _HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        """Refuse a foreign Host (a rebound name) and a foreign page."""
        if not self.settings["host_is_ours"](self.request.host_name):
            raise web.HTTPError(403, log_message="this server is not known by that host name")
        origin = self.request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != self.request.host:
            raise web.HTTPError(403, log_message="requests of other sites' pages are refused")

    def backend(self) -> Backend:
        backend: Backend = self.settings["backend"]
        return backend

    async def asked_by(self, row: Endpoint | None) -> Asked:
        del row
        return Asked(token=auth.bearer(self.request.headers.get("Authorization")))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Tell every error as a problem."""
        info = kwargs.get("exc_info")
        write_problem(self, info[1] if info else web.HTTPError(status_code))

    def log_exception(self, *info: Any) -> None:
        """Write nothing: what matters was logged where it was caught, without the request's body."""


class EndpointHandler(_Handler):
    """All rows of one path."""

    async def get(self, **path: str) -> None:
        """Answer."""
        await self.dispatch(path)

    post = delete = put = patch = get

    async def head(self, **path: str) -> None:
        """Refuse: no row has it."""
        del path
        raise web.HTTPError(405)

    async def options(self, **path: str) -> None:
        """Refuse: other sites' pages have no business here."""
        del path
        raise web.HTTPError(405)


class StreamHandler(_Handler):
    """The event stream."""

    async def get(self) -> None:
        """Write events."""
        await self.dispatch_stream()


class HomeHandler(_Handler):
    """``GET /``: what this is, for a person who opens the address."""

    def get(self) -> None:
        """Answer in plain text."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(
            f"jupyter_flows {package_version()}: the server of notebooks as workflows.\n\n"
            f"Its API is at {API_PREFIX} and needs a token. Look at flows with `jupyter flows ls`, or in\n"
            "JupyterLab's left panel Flows. This server has metadata only; your code is not here.\n"
        )


class HealthHandler(_Handler):
    """``GET /healthz``: alive, and nothing else."""

    def get(self) -> None:
        """Answer."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish("ok\n")


class MissingHandler(_Handler):
    """Any other address."""

    async def prepare(self) -> None:  # type: ignore[override]
        """Refuse."""
        raise web.HTTPError(404)


def make_app(service: FlowsService, *, host_is_ours: Callable[[str], bool]) -> web.Application:
    """Return the tornado application of the stand-alone coat."""
    rules: list[Any] = [(pattern, EndpointHandler, {"rows": rows}) for pattern, rows in patterns()]
    rules += [(API_PREFIX + "/events", StreamHandler), ("/", HomeHandler), ("/healthz", HealthHandler)]
    return web.Application(
        rules,
        default_handler_class=MissingHandler,
        backend=ServiceBackend(service),
        host_is_ours=host_is_ours,
        log_function=_log_request,
        compress_response=False,
    )


def _log_request(handler: web.RequestHandler) -> None:
    """Write method, path without arguments, status and time; never a body, never a header."""
    status = handler.get_status()
    level = logging.WARNING if status >= 500 else logging.DEBUG
    took_ms = 1000 * handler.request.request_time()
    log.log(level, "%s %s %d %.0f ms", handler.request.method, handler.request.path, status, took_ms)


def bind(settings: Settings, *, host: str | None, port: int | None) -> tuple[list[socket.socket], str]:
    """Return listening sockets and the address for clients.

    Parameters
    ----------
    port : as asked for; None: the setting's, or any free one if that is taken; 0: any free one.

    Raises
    ------
    CannotListen : the port is taken, or the address is not this machine's alone.
    """
    host = host or settings.host
    if not _is_loopback(host) and not settings.behind_proxy:
        raise CannotListen(
            f"the server speaks plain HTTP and does not listen on {host!r}: put a TLS proxy before it and "
            "say --behind-proxy, or listen on 127.0.0.1"
        )
    wanted = settings.port if port is None else port
    try:
        sockets = [_listen(host, wanted)]
    except OSError as error:
        # A port set by the user is meant; the default one is only a habit.
        if error.errno == errno.EADDRINUSE and port is None and wanted == DEFAULT_PORT:
            sockets = [_listen(host, 0)]
            log.warning("port %d is taken; listening on %d", wanted, sockets[0].getsockname()[1])
        elif error.errno == errno.EADDRINUSE:
            raise CannotListen(
                f"port {wanted} of {host} is taken by another program; choose another with --port"
            ) from None
        else:
            raise CannotListen(f"cannot listen on {host} port {wanted}: {error.strerror or error}") from None
    number = sockets[0].getsockname()[1]
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared
    return sockets, f"http://[{shown}]:{number}" if ":" in shown else f"http://{shown}:{number}"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=128)
    listening.setblocking(False)
    return listening


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host_check(settings: Settings, host: str | None) -> Callable[[str], bool]:
    """Return what tells our host names; behind a proxy any is, since the proxy checks its own."""
    if settings.behind_proxy:
        return lambda _: True
    known = {"localhost", "127.0.0.1", "::1", "[::1]", (host or settings.host).lower()}
    return lambda name: name.lower() in known or _is_loopback(name.strip("[]"))


class RunningServer:
    """A stand-alone server in a thread of this process; for tests and ``jupyter flows up``."""

    def __init__(self, *, settings: Settings, host: str | None, port: int | None) -> None:
        self.settings = settings
        self._host = host
        self._port = port
        self._ready = threading.Event()
        self._failed: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self.url = ""
        self._thread = threading.Thread(target=self._run, name="jupyter-flows-server", daemon=True)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.url.rpartition(":")[2])

    def start(self) -> RunningServer:
        """Start, and return when requests are answered."""
        self._thread.start()
        self._ready.wait()
        if self._failed is not None:
            self._thread.join()
            raise self._failed
        return self

    def stop(self) -> None:
        """Stop; streams and long polls end, the database is closed, ``server.json`` is removed."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=10)

    def wait(self) -> None:
        """Wait until it has stopped."""
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            if self._ready.is_set():
                log.exception("the server ended by a mistake")
            self._failed = error
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()

        def ready(url: str, _service: FlowsService) -> None:
            self.url = url
            self._ready.set()

        await run_server(self.settings, host=self._host, port=self._port, ready=ready, until=self._stop)


def start_server_thread(
    settings: Settings, host: str | None = None, port: int | None = None
) -> RunningServer:
    """Start a stand-alone server in a thread.

    Examples
    --------
    >>> server = start_server_thread(load_settings(), port=0)  # doctest: +SKIP
    >>> server.url  # doctest: +SKIP
    'http://127.0.0.1:40123'
    """
    return RunningServer(settings=settings, host=host, port=port).start()


def serve(
    settings: Settings,
    *,
    host: str | None = None,
    port: int | None = None,
    ready: Callable[[str, FlowsService], None] | None = None,
) -> None:
    """Serve in this thread until SIGTERM or SIGINT."""

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await run_server(settings, host=host, port=port, ready=ready, until=stop)

    asyncio.run(main())


async def run_server(
    settings: Settings,
    *,
    host: str | None,
    port: int | None,
    ready: Callable[[str, FlowsService], None] | None,
    until: asyncio.Event,
) -> None:
    """Open everything, serve *until*, close everything within five seconds."""
    sockets, url = bind(settings, host=host, port=port)
    service = FlowsService(settings=settings)
    try:
        await asyncio.to_thread(service.open)
    except BaseException:
        for entry in sockets:
            entry.close()
        raise
    server = httpserver.HTTPServer(
        make_app(service, host_is_ours=_host_check(settings, host)),
        max_body_size=_BODY_LIMIT,
        max_buffer_size=_BODY_LIMIT + 1_048_576,
        idle_connection_timeout=300,
        body_timeout=60,
    )
    server.add_sockets(sockets)
    record = discovery.announce(Path(settings.home), url=url, kind="standalone")
    try:
        if ready is not None:
            ready(url, service)
        await until.wait()
    finally:
        discovery.withdraw(Path(settings.home), record)
        server.stop()
        await service.stop_answering(within_s=_STOP_S)
        try:
            async with asyncio.timeout(_STOP_S):
                await server.close_all_connections()
        except TimeoutError:
            log.info("some connections were cut")
        await asyncio.to_thread(service.close)
