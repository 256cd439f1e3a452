"""The only place where the endpoint table meets tornado; both coats use it. The async file.

One dispatcher does identity, limits, decoding and errors; endpoint functions never do.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, ClassVar, Protocol

import msgspec
from tornado import web
from tornado.iostream import StreamClosedError

from jupyter_flows.errors import (
    FlowsError,
    InvalidRequest,
    NotAuthorised,
    NotFound,
    Refused,
    ServerNotRunning,
    YourFault,
)
from jupyter_flows.schema.base import to_json
from jupyter_flows.schema.endpoints import API_PREFIX, ENDPOINTS, Endpoint
from jupyter_flows.schema.server import Problem
from jupyter_flows.server.auth import Forbidden, Principal
from jupyter_flows.server.service import FlowsService

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 15.0
_QUERY_LIMIT = 500
COATS_OWN = frozenset({"_xsrf", "no_track_activity", "token"})
"""Arguments that Jupyter reads; none of them means anything here."""
_VARIABLE = re.compile(r"\{(\w+)\}")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request as the coat let it through: a token to look up, or a principal that it knows."""

    token: str = ""
    principal: Principal | None = None


class Backend(Protocol):
    """What answers: the service in this process, or another server to pass requests to."""

    async def answer(
        self, handler: web.RequestHandler, row: Endpoint, path: dict[str, str], asked: Asked
    ) -> None:
        """Write the answer to one row's request."""

    async def stream(self, handler: web.RequestHandler, asked: Asked) -> None:
        """Write the event stream until the reader goes."""


class ServiceBackend:
    """Answers from the service in this process."""

    def __init__(self, service: FlowsService) -> None:
        self.service = service

    async def answer(
        self, handler: web.RequestHandler, row: Endpoint, path: dict[str, str], asked: Asked
    ) -> None:
        """Decode, ask the service, write the answer."""
        with self.service.answering():
            result = await self.service.answer(
                row,
                token=asked.token,
                principal=asked.principal,
                path=path,
                query=_query(handler, row),
                body=handler.request.body or b"",
            )
            with suppress(StreamClosedError):
                await write_json(handler, 200, to_json(result))

    async def stream(self, handler: web.RequestHandler, asked: Asked) -> None:
        """Write events as they are committed. Nothing is queued for a slow reader: it is waited for."""
        with self.service.answering():
            await self._stream(handler, asked)

    async def _stream(self, handler: web.RequestHandler, asked: Asked) -> None:
        check_stream_arguments(handler)
        service = self.service
        last = handler.request.headers.get("Last-Event-ID") or handler.get_query_argument("after", None)
        after, run_id, flow_id = await service.open_stream(
            token=asked.token,
            principal=asked.principal,
            run=handler.get_query_argument("run", None),
            flow=handler.get_query_argument("flow", None),
            after=None if last is None else _whole("after", last),
        )
        begin_stream(handler)
        handler.write(b": connected\nretry: 2000\n\n")
        try:
            await handler.flush()
            while not service.is_stopping:
                seen = service.events_bell.count
                events = await service.read_stream(after=after, run_id=run_id, flow_id=flow_id)
                if events:
                    after = events[-1].id
                    handler.write(b"".join(b"id: %d\ndata: %s\n\n" % (e.id, to_json(e)) for e in events))
                else:
                    await service.wait_for_events(seen, KEEP_ALIVE_S)
                    if service.events_bell.count == seen:
                        handler.write(b": still here\n\n")
                await handler.flush()
        except StreamClosedError:
            return


Authenticate = Callable[[web.RequestHandler, Endpoint | None], Awaitable[Asked]]


class Dispatcher:
    """Mixed into a coat's handler class; the coat says who asks and where to pass it."""

    rows: ClassVar[dict[str, Endpoint]]
    _answering: asyncio.Future[None] | None = None

    def backend(self) -> Backend:
        """Return what answers."""
        raise NotImplementedError

    async def asked_by(self, row: Endpoint | None) -> Asked:
        """Return who asks, or raise NotAuthorised. *row* None: the event stream."""
        raise NotImplementedError

    async def dispatch(self, path: dict[str, str]) -> None:
        """Answer a request of one row of the table; tornado has unquoted *path*."""
        handler: Any = self
        row = self.rows.get(handler.request.method)
        try:
            if row is None:
                handler.set_header("Allow", ", ".join(sorted(self.rows)))
                write_problem(handler, web.HTTPError(405))
                return
            asked = await self.asked_by(row)
            check_body(handler, row)
            self._answering = asyncio.ensure_future(self.backend().answer(handler, row, path, asked))
            await self._answering
        except asyncio.CancelledError:
            # Whoever asked is gone; a long poll must not be given a run for a dead agent.
            return
        except Exception as error:  # noqa: BLE001 - everything becomes a problem with one sentence
            write_problem(handler, error)

    def on_connection_close(self) -> None:
        """End a long poll whose agent is gone."""
        if self._answering is not None:
            self._answering.cancel()

    async def dispatch_stream(self) -> None:
        """Answer the event stream."""
        handler: Any = self
        try:
            await self.backend().stream(handler, await self.asked_by(None))
        except Exception as error:  # noqa: BLE001 - everything becomes a problem with one sentence
            if handler._headers_written:  # noqa: SLF001 - the answer has begun: all that is left is to end it
                return
            write_problem(handler, error)


def patterns(prefix: str = API_PREFIX) -> list[tuple[str, dict[str, Endpoint]]]:
    """Return each path of the table as a regular expression, with its rows by method."""
    found: dict[str, dict[str, Endpoint]] = {}
    for row in ENDPOINTS:
        found.setdefault(row.path, {})[row.method] = row
    return [
        (
            re.escape(prefix)
            + _VARIABLE.sub(r"(?P<\1>[^/]+)", re.escape(path).replace(r"\{", "{").replace(r"\}", "}")),
            rows,
        )
        for path, rows in found.items()
    ]


def check_body(handler: web.RequestHandler, row: Endpoint) -> None:
    """Refuse a body that is too large or no JSON."""
    size = len(handler.request.body or b"")
    if size > row.body_limit:
        raise web.HTTPError(413, log_message=f"{row.name} takes at most {row.body_limit} bytes, not {size}")
    kind = handler.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if row.method == "POST" and kind != "application/json":
        # Also what keeps a foreign page's form out: it cannot send JSON without asking first.
        raise web.HTTPError(415, log_message="send JSON, with the header Content-Type: application/json")
    if handler.request.headers.get("Content-Encoding", "identity") != "identity":
        raise web.HTTPError(415, log_message="send the body uncompressed")


def _query(handler: web.RequestHandler, row: Endpoint) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in handler.request.query_arguments:
        if name not in row.query:
            if name in COATS_OWN:
                continue
            known = ", ".join(row.query) or "none"
            raise InvalidRequest(f"{row.name} knows no argument {name[:50]!r}; it knows {known}")
        value = handler.get_query_argument(name)
        if len(value) > _QUERY_LIMIT:
            raise InvalidRequest(f"argument {name} is longer than {_QUERY_LIMIT} characters")
        found[name] = _whole(name, value) if row.query[name] is int else value
    return found


def _whole(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidRequest(f"{name} is {text[:40]!r}, which is no whole number")
    return int(text)


def check_stream_arguments(handler: web.RequestHandler) -> None:
    """Refuse arguments that the event stream does not know."""
    for name in handler.request.query_arguments:
        if name not in {"run", "flow", "after"} | COATS_OWN:
            raise InvalidRequest(f"events knows no argument {name[:50]!r}; it knows run, flow, after")


def begin_stream(handler: web.RequestHandler) -> None:
    """Say that an event stream follows, to the reader and to proxies in between."""
    handler.set_status(200)
    handler.set_header("Content-Type", "text/event-stream; charset=utf-8")
    handler.set_header("Cache-Control", "no-store")
    handler.set_header("X-Accel-Buffering", "no")


def write_json(handler: web.RequestHandler, status: int, body: bytes) -> Awaitable[None]:
    """Finish an answer; wait for what is returned to know that it is out."""
    handler.set_status(status)
    handler.set_header("Content-Type", "application/json; charset=utf-8")
    handler.set_header("X-Content-Type-Options", "nosniff")
    handler.set_header("Cache-Control", "no-store")
    return web.RequestHandler.finish(handler, body)


def write_problem(handler: web.RequestHandler, error: BaseException) -> None:
    """Finish an answer with what went wrong: a status, a stable code, one sentence."""
    status, problem = problem_of(error)
    if status == 500:
        log.error("answering %s failed", handler.request.method, exc_info=error)
    if status == 401:
        handler.set_header("WWW-Authenticate", 'Bearer realm="jupyter_flows"')
    if status in {429, 503}:
        handler.set_header("Retry-After", "1")
    try:
        write_json(handler, status, to_json(problem))
    except (StreamClosedError, RuntimeError):
        return


def problem_of(error: BaseException) -> tuple[int, Problem]:
    """Return the HTTP status and the problem that tells *error*."""
    if isinstance(error, FlowsError):
        return _status(error), Problem(code=error.code, message=str(error)[:8000])
    if isinstance(error, web.HTTPError):
        message = error.log_message or _WORDS.get(error.status_code) or "this is not possible"
        code = _CODES.get(error.status_code, "invalid_request")
        return error.status_code, Problem(code=code, message=str(message)[:8000])
    return 500, Problem(code="bug", message="the server made a mistake; its log has the details")


def _status(error: FlowsError) -> int:
    if isinstance(error, Forbidden):
        return 403
    for kind, status in (
        (NotAuthorised, 401),
        (NotFound, 404),
        (Refused, 409),
        (ServerNotRunning, 503),
        (InvalidRequest, 400),
        (YourFault, 400),
    ):
        if isinstance(error, kind):
            return 507 if status == 503 and "no space" in str(error) else status
    return 500


_WORDS = {
    401: "this needs a login",
    403: "this is not allowed",
    404: "there is nothing at this address",
    405: "this address does not take that method",
}
_CODES = {
    401: "not_authorised",
    403: "not_authorised",
    404: "not_found",
    502: "server_unavailable",
    503: "server_unavailable",
}
