"""The only place of the project that speaks HTTP as a client. Knows no endpoint.

Repeats nothing and follows no redirect: whether a request may be sent again is its caller's to know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from jupyter_flows.errors import (
    Bug,
    FlowsError,
    InvalidRequest,
    NotAuthorised,
    Refused,
    ServerFault,
    ServerNotRunning,
    ServerUnavailable,
)
from jupyter_flows.schema.base import from_json
from jupyter_flows.schema.endpoints import API_PREFIX
from jupyter_flows.schema.server import Problem

if TYPE_CHECKING:
    import urllib3
    from urllib3.response import BaseHTTPResponse

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 40.0
ANSWER_LIMIT_BYTES = 256 * 1_048_576
_TEMPORARY = {429, 502, 503, 504, 507}


def _by_code(base: type[FlowsError]) -> dict[str, type[FlowsError]]:
    found: dict[str, type[FlowsError]] = {}
    for child in base.__subclasses__():
        found |= _by_code(child)
    # A code belongs to the class that names it, not to children that only inherit it.
    return found | {base.code: base}


class Transport:
    """Sends requests to one server with one token.

    Parameters
    ----------
    url : address of the server, without the API's prefix.
    token : sent as ``Authorization: Bearer``; never part of an address.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InvalidRequest(f"{url!r} is no address of a server; write it as http://HOST:PORT")
        if parts.username or parts.password:
            raise InvalidRequest(
                "the server's address carries a user name; put the token in JUPYTER_FLOWS_API_TOKEN"
            )
        self.url = url.rstrip("/")
        self.token = token
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._pool: urllib3.PoolManager | None = None

    def request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: bytes | None = None,
        read_timeout_s: float | None = None,
    ) -> bytes:
        """Send one request below the API's prefix; return the body of a 2xx answer.

        Raises
        ------
        ServerNotRunning : nobody answers (``ServerUnavailable``: somebody did, but cannot serve now).
        FlowsError : the class whose code the server named.
        """
        with self._open(method, path, query, body, read_timeout_s, stream=False) as answer:
            return answer.data

    @contextmanager
    def stream(
        self, path: str, *, query: dict[str, str] | None = None, read_timeout_s: float
    ) -> Iterator[Iterator[bytes]]:
        """Open an answer that goes on; yields its pieces as they come."""
        with self._open("GET", path, query, None, read_timeout_s, stream=True) as answer:
            yield self._pieces(answer)

    def _pieces(self, answer: BaseHTTPResponse) -> Iterator[bytes]:
        import urllib3

        try:
            while piece := answer.read1(65536):
                yield piece
        except urllib3.exceptions.HTTPError as error:
            raise ServerUnavailable(f"the connection to {self.url} broke ({_cause(error)})") from error

    @contextmanager
    def _open(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None,
        body: bytes | None,
        read_timeout_s: float | None,
        *,
        stream: bool,
    ) -> Iterator[BaseHTTPResponse]:
        import urllib3

        if self._pool is None:
            self._pool = urllib3.PoolManager(maxsize=4, retries=False)
        address = self.url + API_PREFIX + path + ("?" + urlencode(query) if query else "")
        headers = {"Accept": "text/event-stream" if stream else "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        timeout = urllib3.Timeout(
            connect=self._connect_timeout_s, read=read_timeout_s or self._read_timeout_s
        )
        try:
            answer = self._pool.request(
                method,
                address,
                body=body,
                headers=headers,
                timeout=timeout,
                redirect=False,
                preload_content=not stream,
            )
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
            raise ServerNotRunning(self._nobody(_cause(error))) from error
        except urllib3.exceptions.ReadTimeoutError as error:
            raise ServerUnavailable(f"the server at {self.url} did not answer in time") from error
        except urllib3.exceptions.HTTPError as error:
            raise ServerUnavailable(f"the connection to {self.url} broke ({_cause(error)})") from error
        try:
            if not 200 <= answer.status < 300 or not _is_ours(answer):
                raise self._refusal(answer)
            yield answer
        finally:
            if stream:
                answer.close()
            answer.release_conn()

    def close(self) -> None:
        """Close idle connections."""
        if self._pool is not None:
            self._pool.clear()

    def _nobody(self, cause: str) -> str:
        return (
            f"no server answers at {self.url} ({cause}); "
            "start one with `jupyter flows up`, or set JUPYTER_FLOWS_API_URL"
        )

    def _refusal(self, answer: BaseHTTPResponse) -> FlowsError:
        """Return what the server said as the exception that says it here."""
        status, text = answer.status, answer.data[:65536]
        try:
            problem = from_json(text, Problem)
        except InvalidRequest:
            problem = None
        if problem is not None and _is_ours(answer):
            kind = _by_code(FlowsError).get(problem.code)
            if kind is None or kind in {FlowsError, Bug}:
                kind = ServerUnavailable if status in _TEMPORARY else ServerFault
            return kind(problem.message)
        who = _gateway(answer, text)
        if status in {401, 403}:
            return NotAuthorised(
                f"{who} at {self.url} wants a login (HTTP {status}); is the address right, and the token of "
                "JUPYTER_FLOWS_API_TOKEN for this server?"
            )
        if status in _TEMPORARY or status >= 500:
            return ServerUnavailable(
                f"{who} at {self.url} answered HTTP {status}, not a jupyter_flows server"
            )
        if 300 <= status < 400:
            return Refused(
                f"{who} at {self.url} redirects elsewhere (HTTP {status}); set JUPYTER_FLOWS_API_URL to the "
                "final address"
            )
        return ServerFault(
            f"{who} at {self.url} answered HTTP {status} without JSON: no jupyter_flows server is there"
        )


def _is_ours(answer: BaseHTTPResponse) -> bool:
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return kind in {"application/json", "application/problem+json", "text/event-stream"}


def _gateway(answer: BaseHTTPResponse, text: bytes) -> str:
    """Name what answered instead of the server."""
    server = answer.headers.get("Server", "")
    title = re.search(rb"<title>([^<]{1,80})</title>", text, re.IGNORECASE)
    known = re.sub(r"[^\w ./:-]", "", server)[:60]
    said = re.sub(r"[^\w ./:-]", "", title[1].decode("utf-8", "replace"))[:60] if title else ""
    if known and said:
        return f"a gateway ({known}: {said!r})"
    return f"a gateway ({known or said})" if known or said else "something else"


def _cause(error: Exception) -> str:
    """Return the innermost reason as words, without Python's wrapping."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror.lower()
        inner = inner.__cause__ or inner.__context__
    text = str(error)
    if "timed out" in text:
        return "timed out"
    if "IncompleteRead" in text or "Connection broken" in text:
        return "closed in the middle of an answer"
    return text.rpartition(": ")[2][:200] or type(error).__name__
