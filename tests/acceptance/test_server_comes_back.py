"""A server that is killed and comes back: the run goes on, and so does the command that looks on."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
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

    def start(self, *arguments: str, module: str = "jupyter_flows") -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", module, *arguments],
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


def test_closing_jupyterlab_kills_no_headless_run(tmp_path):
    """The server part ends with JupyterLab; the agent's run ends by itself, and is told to the next one."""
    book = write_notebook(
        tmp_path / "book.ipynb",
        "%%task wait\nfrom pathlib import Path\nimport time\n"
        "Path('begun').touch()\nwhile not Path('go').exists():\n    time.sleep(0.05)\nPath('ended').touch()",
    )
    processes = Processes(tmp_path / "home")

    def open_lab() -> subprocess.Popen[str]:
        lab = processes.start(
            "--no-browser", "--allow-root", f"--port={free_port()}", f"--ServerApp.root_dir={tmp_path}",
            "--IdentityProvider.token=secret", module="jupyterlab",
        )  # fmt: skip
        read_until(lab, "token=")
        return lab

    try:
        lab = open_lab()
        agent = processes.start("agent", "start")
        read_until(agent, "waits for runs")
        registered = processes.start("register", str(book))
        assert 0 == registered.wait(60), registered.communicate()
        assert 0 == processes.start("run", "book", "--name", "held").wait(60)
        wait_for(tmp_path / "begun")
        lab.terminate()
        assert 0 == lab.wait(30)
        (tmp_path / "go").touch()
        wait_for(tmp_path / "ended")
        open_lab()
        following = processes.start("logs", "held", "-f")
        assert 0 == following.wait(60)
        shown = processes.start("runs", "held")
        assert "Success" in shown.communicate(timeout=30)[0]
    finally:
        for process in processes.all:
            process.terminate()
        for process in processes.all:
            process.communicate(timeout=60)


def wait_for(path: Path) -> None:
    """Return when a file is there; the test's own time limit is the run's."""
    until = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < until, f"{path} did not come"
        time.sleep(0.05)
