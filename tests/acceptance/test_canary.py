"""The server never gets code or data: canaries placed in both are looked for everywhere it could keep them."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

import pytest

from jupyter_flows.schema.runs import CreateRun

from .conftest import write_notebook

PLACES = (
    "COMMENT",
    "DOCSTRING",
    "CONSTANT",
    "SOURCE",
    "OUTPUT",
    "EXCEPTION",
    "VALUE",
    "MARKDOWN",
    "LOCAL",
    "KEY",
)


def canary(place: str) -> str:
    """A string that stands nowhere else; 'q' and 'x' keep it from being made by accident."""
    assert place in PLACES
    return f"qxcanary{place.lower()}qx"


class RecordingProxy:
    """Passes bytes between clients and the server, and keeps a copy of all of them."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.seen = bytearray()
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with self._listener:
            while True:
                try:
                    client, _ = self._listener.accept()
                except OSError:
                    return
                thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        # The server stops before the agent does: its last calls find nobody.
        with (
            client,
            contextlib.suppress(ConnectionRefusedError),
            socket.create_connection(self._target) as upstream,
        ):
            back = threading.Thread(target=self._copy, args=(upstream, client), daemon=True)
            back.start()
            self._copy(client, upstream)
            back.join()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.seen += data
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=10)


GOOD = f'''%%task good --retries 1 --retry-delay 1s
# {canary("COMMENT")}
def inner(n):
    """{canary("DOCSTRING")}"""
    return n
good_value = "{canary("CONSTANT")}" + str(inner({canary("SOURCE")!r}))
print("{canary("OUTPUT")}")
good_value'''
BAD = f'''%%task bad
local = "{canary("LOCAL")}" + good_value
try:
    {{}}["{canary("KEY")}"]
finally:
    raise ValueError("{canary("EXCEPTION")}" + local)'''

SCRIPT = f'''
# {canary("COMMENT")}
from jupyter_flows import Flow, task

@task
def good():
    """{canary("DOCSTRING")}"""
    print("{canary("OUTPUT")}")
    return "{canary("CONSTANT")}" + {canary("SOURCE")!r}

@task
def bad(value):
    local = "{canary("LOCAL")}" + value
    try:
        {{}}["{canary("KEY")}"]
    finally:
        raise ValueError("{canary("EXCEPTION")}" + local)

with Flow("NAME") as flow:
    bad(good("{canary("VALUE")}") if False else good())
'''


def _end(api, run_id: str):
    for event in api.events(run=run_id, after=0):
        run = getattr(event.body, "run", None)
        if run is not None and run.state.type in {"Success", "Failed", "Cancelled", "Skipped"}:
            return api.get_run(run_id)
    pytest.fail("the stream ended before the run")


def test_no_canary_reaches_the_server(server, cli, start_agent, tmp_path):
    """Source, docstring, constants, comments, outputs, values and tracebacks stay on the user's side."""
    host, port = server.url.removeprefix("http://").split("/")[0].split(":")
    proxy = RecordingProxy((host, int(port)))
    through = {
        "JUPYTER_FLOWS_API_URL": f"http://127.0.0.1:{proxy.port}",
        "JUPYTER_FLOWS_API_TOKEN": (server.settings.home / "tokens" / "admin.token").read_text().strip(),
    }
    notebook = write_notebook(tmp_path / "book.ipynb", GOOD, BAD)
    script = tmp_path / "scripted.py"
    script.write_text(SCRIPT.replace("NAME", "scripted"))
    pickled = tmp_path / "pickled.py"
    pickled.write_text(SCRIPT.replace("NAME", "pickled"))
    for arguments in (
        (str(notebook),),
        (str(notebook), "--storage", "pickle", "--name", "book-pickle"),
        (str(script),),
        (str(pickled), "--storage", "pickle"),
    ):
        done = cli("register", *arguments, env=through)
        assert done.returncode == 0, done.stderr
    agent_token = (server.settings.home / "tokens" / "agent.token").read_text().strip()
    start_agent(env={**through, "JUPYTER_FLOWS_API_TOKEN": agent_token})

    runs = [
        server.api.create_run(name, CreateRun()) for name in ("book", "book-pickle", "scripted", "pickled")
    ]
    ended = [_end(server.api, run.id) for run in runs]
    for run in ended:
        assert run.state.type == "Failed", (run.flow_name, run.state)
        states = {task.name: task.state for task in server.api.list_task_runs(run.id)}
        assert states["good"].type == "Success", run.flow_name
        assert states["bad"].type == "Failed"
        assert "ValueError" in states["bad"].message
    home = server.settings.home
    server.stop()
    proxy.close()

    # The control: canaries are where they belong, so this test can fail.
    stored = b"".join(path.read_bytes() for path in (home / "storage").rglob("*") if path.is_file())
    kept = b"".join(path.read_bytes() for path in (home / "runs").rglob("*") if path.is_file())
    assert canary("COMMENT").encode() in stored
    assert canary("EXCEPTION").encode() in kept
    assert b"register_flow" in proxy.seen or b"/flows" in proxy.seen

    keeps: dict[str, bytes] = {"HTTP traffic": bytes(proxy.seen)}
    for path in [*home.glob("flows.db*"), *(home / "logs").rglob("*")]:
        if path.is_file():
            keeps[str(path.relative_to(home))] = path.read_bytes()
    assert "flows.db" in keeps
    found = {
        (place, where)
        for place in PLACES
        for where, data in keeps.items()
        if canary(place).encode() in data.lower()
    }
    assert found == set()


def test_receipt_does_not_quote_code(server, cli, tmp_path):
    notebook = write_notebook(Path(tmp_path / "book.ipynb"), GOOD)
    done = cli("register", str(notebook))
    assert done.returncode == 0, done.stderr
    assert not any(canary(place) in done.stdout for place in PLACES)
