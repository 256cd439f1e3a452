"""What a client makes of every kind of answer, and of none. The other side is a socket that says what it is told."""

from __future__ import annotations

import socket
import threading

import pytest

from jupyter_flows.client.transport import Transport
from jupyter_flows.errors import (
    FlowsError,
    InvalidParameters,
    InvalidRequest,
    NotAuthorised,
    NotFound,
    Refused,
    ServerFault,
    ServerNotRunning,
    ServerUnavailable,
    StaleLease,
)


@pytest.fixture
def says():
    """Listen, answer each request with the given bytes, close; give the address."""
    sockets, threads = [], []

    def start(answer: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        sockets.append(listener)

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener in sockets:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join(timeout=5)


def http(status: str, body: bytes, kind: str = "application/json", *more: str) -> bytes:
    head = [
        f"HTTP/1.1 {status}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *more,
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def refusal(url: str) -> FlowsError:
    with pytest.raises(FlowsError) as caught:
        Transport(url, token="jf_admin_secret").request("GET", "/flows")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        ("401 Unauthorized", "not_authorised", NotAuthorised),
        ("404 Not Found", "not_found", NotFound),
        ("409 Conflict", "refused", Refused),
        ("409 Conflict", "stale_lease", StaleLease),
        ("400 Bad Request", "invalid_parameters", InvalidParameters),
        ("503 Unavailable", "server_unavailable", ServerUnavailable),
        ("418 Teapot", "a_code_of_a_newer_server", ServerFault),
        ("503 Unavailable", "a_code_of_a_newer_server", ServerUnavailable),
        ("500 Internal", "bug", ServerFault),
    ],
)
def test_a_problem_becomes_the_class_of_its_code(says, status, code, kind):
    body = f'{{"code": "{code}", "message": "what, which, what now"}}'.encode()
    error = refusal(says(http(status, body)))
    assert type(error) is kind
    assert str(error) == "what, which, what now"


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (
            http("502 Bad Gateway", b"<html><title>502 Bad Gateway</title>", "text/html", "Server: nginx/1.22.1"),
            ServerUnavailable,
            "a gateway (nginx/1.22.1: '502 Bad Gateway') at http://",
        ),
        (http("200 OK", b"<html><title>Sign in</title>", "text/html"), ServerFault, "a gateway (Sign in) at http://"),
        (http("403 Forbidden", b"<html>", "text/html"), NotAuthorised, "wants a login (HTTP 403)"),
        (http("302 Found", b"", "text/html", "Location: http://evil.example"), Refused, "redirects elsewhere (HTTP 302)"),
        (http("429 Slow down", b"", "text/plain"), ServerUnavailable, "answered HTTP 429"),
        (http("200 OK", b"\x1b]0;x\x07<title>\x1b[31mred</title>", "text/html"), ServerFault, "31mred"),
        (b"nonsense\r\n\r\n", ServerUnavailable, "the connection to http://"),
        (b"", ServerUnavailable, "the connection to http://"),
    ],
)  # fmt: skip
def test_what_is_not_our_server_is_named(says, answer, kind, words):
    """A gateway's page, a login, a redirect, silence: one sentence that says what stands there, free of escapes."""
    error = refusal(says(answer))
    assert type(error) is kind
    assert words in str(error)
    assert "\x1b" not in str(error)


def test_nobody_there_says_how_to_start_a_server():
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    error = refusal(url)
    assert type(error) is ServerNotRunning
    assert str(error) == (
        f"no server answers at {url} (connection refused); start one with `jupyter flows up`, "
        "or set JUPYTER_FLOWS_API_URL"
    )


def test_a_name_that_does_not_resolve_is_told():
    error = refusal("http://no-such-host.invalid:8841")
    assert isinstance(error, ServerNotRunning)
    assert "no server answers at http://no-such-host.invalid:8841" in str(error)


def test_silence_ends_by_the_read_timeout():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(ServerUnavailable, match="did not answer in time"):
            Transport(url, read_timeout_s=0.1).request("GET", "/flows")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("127.0.0.1:8841", "write it as http://HOST:PORT"),
        ("ftp://x", "write it as http://HOST:PORT"),
        ("", "write it as http://HOST:PORT"),
        ("http://user:pw@host", "put the token in JUPYTER_FLOWS_API_TOKEN"),
    ],
)
def test_an_address_that_cannot_be_is_refused(url, words):
    with pytest.raises(InvalidRequest) as caught:
        Transport(url)
    assert words in str(caught.value)
    assert "pw" not in str(caught.value)


def test_a_stream_that_breaks_is_told(says):
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n: hi\n\r\n"
    transport = Transport(says(answer))
    with (
        pytest.raises(ServerUnavailable, match="broke"),
        transport.stream("/events", read_timeout_s=5) as pieces,
    ):
        list(pieces)
