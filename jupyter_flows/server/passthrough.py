"""Answer by passing requests to another server: what a Jupyter server does when one runs already."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from tornado import web
from tornado.httpclient import HTTPClientError, HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders
from tornado.iostream import StreamClosedError
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from jupyter_flows.errors import ServerUnavailable
from jupyter_flows.schema.endpoints import API_PREFIX, Endpoint, Scope
from jupyter_flows.server.auth import SCOPES, Forbidden
from jupyter_flows.server.tornado_app import (
    COATS_OWN,
    Asked,
    begin_stream,
    check_stream_arguments,
    write_json,
)

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 75.0
_STREAM_TIMEOUT_S = 7 * 86400.0
_ANSWER_LIMIT = 256 * 1_048_576


class PassThrough:
    """Passes requests to the server at *url*.

    Parameters
    ----------
    token : goes with requests of people that Jupyter logged in; others keep their own.
    on_silence : called when nobody answers there.
    """

    def __init__(self, url: str, *, token: str, on_silence: Callable[[], None] | None = None) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._on_silence = on_silence or (lambda: None)
        self._client = SimpleAsyncHTTPClient(
            force_instance=True, max_clients=1000, max_body_size=_ANSWER_LIMIT, max_buffer_size=_ANSWER_LIMIT
        )
        self._closed = asyncio.Event()

    async def answer(
        self, handler: web.RequestHandler, row: Endpoint, path: dict[str, str], asked: Asked
    ) -> None:
        """Pass one request on; nothing of it is looked at here but who may ask."""
        del path
        request = HTTPRequest(
            self._address(handler),
            method=row.method,
            headers=self._headers(asked, row.scope, has_body=row.method == "POST"),
            body=handler.request.body if row.method == "POST" else None,
            connect_timeout=CONNECT_TIMEOUT_S,
            request_timeout=ANSWER_TIMEOUT_S,
            follow_redirects=False,
        )
        response = await self._fetch(request)
        kind = response.headers.get("Content-Type", "")
        if not kind.startswith("application/json"):
            raise ServerUnavailable(
                f"what answers at {self.url} (HTTP {response.code}) is no jupyter_flows server"
            )
        write_json(handler, response.code, response.body)

    async def stream(self, handler: web.RequestHandler, asked: Asked) -> None:
        """Pass the event stream on, piece by piece, at the reader's pace."""
        check_stream_arguments(handler)
        headers = self._headers(asked, "runs:read", has_body=False)
        for name in ("Last-Event-ID", "Accept"):
            if name in handler.request.headers:
                headers[name] = handler.request.headers[name]
        begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        status: list[int] = []

        def on_header(line: str) -> None:
            if line.startswith("HTTP/"):
                status[:] = [int(line.split()[1])]

        refusal = bytearray()

        async def on_piece(piece: bytes) -> None:
            if status == [200]:
                if not begun.done():
                    begun.set_result(None)
                    begin_stream(handler)
                handler.write(piece)
                await handler.flush()
            else:
                refusal.extend(piece[:65536])

        request = HTTPRequest(
            self._address(handler),
            headers=headers,
            connect_timeout=CONNECT_TIMEOUT_S,
            request_timeout=_STREAM_TIMEOUT_S,
            header_callback=on_header,
            streaming_callback=on_piece,
            follow_redirects=False,
        )
        fetching = asyncio.ensure_future(self._client.fetch(request, raise_error=False))
        closing = asyncio.ensure_future(self._closed.wait())
        try:
            both: set[asyncio.Future[Any]] = {fetching, closing}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if fetching.done() and not begun.done():
                response = fetching.result()
                if response.code == 599:
                    self._on_silence()
                    raise ServerUnavailable(self._silence())
                write_json(handler, response.code, bytes(refusal) or response.body)
        except (StreamClosedError, HTTPClientError):
            return
        finally:
            fetching.cancel()
            closing.cancel()

    def close(self) -> None:
        """End streams; keep no connection."""
        self._closed.set()
        self._client.close()

    async def _fetch(self, request: HTTPRequest) -> HTTPResponse:
        try:
            response = await self._client.fetch(request, raise_error=False)
        except (OSError, HTTPClientError) as error:
            self._on_silence()
            raise ServerUnavailable(self._silence()) from error
        if response.code == 599:
            self._on_silence()
            raise ServerUnavailable(self._silence())
        return response

    def _silence(self) -> str:
        return f"the jupyter_flows server at {self.url} does not answer; requests of this JupyterLab go there"

    def _address(self, handler: web.RequestHandler) -> str:
        """Return the same address at the other server; Jupyter's own arguments stay here."""
        below = handler.request.path.partition(API_PREFIX)[2]
        arguments = [
            (name, value)
            for name, values in handler.request.query_arguments.items()
            if name not in COATS_OWN
            for value in values
        ]
        return self.url + API_PREFIX + below + ("?" + urlencode(arguments) if arguments else "")

    def _headers(self, asked: Asked, scope: Scope, *, has_body: bool) -> HTTPHeaders:
        headers = HTTPHeaders({"Accept": "application/json"})
        token = asked.token
        if asked.principal is not None:
            # Our token may more than the person: what the person may is checked on this side.
            if scope != "public" and scope not in SCOPES[asked.principal.kind]:
                raise Forbidden(f"in JupyterLab you may not do this; it needs the scope {scope}")
            token = self._token
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if has_body:
            headers["Content-Type"] = "application/json"
        return headers
