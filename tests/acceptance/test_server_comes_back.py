"""A server that is killed and comes back: the run goes on, and so does the command that looks on."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

from .conftest import environment, write_notebook


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Processes:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.all: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "jupyter_flows", *arguments],
            env=environment(self.home), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.all.append(process)
        return process


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """Return what a process prints, up to the line with *words*."""
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if words in line:
            return text
    raise AssertionError(f"{words!r} is not in: {text}")


def test_a_run_and_who_watches_it_outlive_the_server(tmp_path):
    book = write_notebook(
        tmp_path / "book.ipynb",
        "%%task wait\nfrom pathlib import Path\nimport time\n"
        "Path('begun').touch()\nwhile not Path('go').exists():\n    time.sleep(0.05)",
        "%%task after\nx = 1",
    )
    processes, port = Processes(tmp_path / "home"), str(free_port())
    try:
        server = processes.start("server", "--port", port)
        read_until(server, f":{port}")
        registered = processes.start("register", str(book))
        assert 0 == registered.wait(60), registered.communicate()
        agent = processes.start("agent", "start")
        read_until(agent, "waits for runs")
        watching = processes.start("run", "book", "--watch")
        read_until(watching, "Running")
        server.send_signal(signal.SIGKILL)
        server.wait(20)
        read_until(watching, "the server does not answer; a run that has begun goes on without it")
        (tmp_path / "go").touch()
        server = processes.start("server", "--port", port)
        read_until(server, f":{port}")
        shown = read_until(watching, "the server is back") + read_until(watching, "result:")
        assert "Success after" in " ".join(shown.split())
        assert 0 == watching.wait(20)
    finally:
        for process in processes.all:
            process.terminate()
        for process in processes.all:
            process.communicate(timeout=30)
