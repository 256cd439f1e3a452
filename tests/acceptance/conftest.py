"""Real parts side by side: a server, agents as processes, the command line as its users type it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


def environment(home: Path, **more: str) -> dict[str, str]:
    """The environment of a user whose jupyter_flows lives in *home*."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER_FLOWS_")}
    return {**kept, "JUPYTER_FLOWS_HOME": str(home), "PYTHONWARNINGS": "default", **more}


def write_notebook(path: Path, *cells: str, parameters: str | None = None, kernel: str = "python3") -> Path:
    """Write a notebook whose first cell loads the extension; ids are stable."""
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {"name": kernel, "display_name": kernel, "language": "python"}
    sources = ["%load_ext jupyter_flows", *cells]
    notebook.cells = [nbformat.v4.new_code_cell(source, id=f"cell-{n}") for n, source in enumerate(sources)]
    if parameters is not None:
        notebook.cells.insert(
            1, nbformat.v4.new_code_cell(parameters, id="cell-parameters", metadata={"tags": ["parameters"]})
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


@pytest.fixture
def cli(server) -> Cli:
    """Type a command: ``cli("ls", "--json")``; env and cwd may be given."""

    def run(
        *arguments: str, env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "jupyter_flows", *arguments],
            env=environment(server.settings.home, **(env or {})),
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


@pytest.fixture
def start_agent(server, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start agents as their users do; all are stopped at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*options: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        log = (tmp_path / f"agent-{len(started)}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyter_flows", "agent", "start", *options],
            env=environment(server.settings.home, **(env or {})),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        log.close()
        started.append(process)
        return process

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
    for process in started:
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
