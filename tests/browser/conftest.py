"""A real JupyterLab with its own directories, a real agent, a real browser."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/bin"))
CHROMIUM = next(
    filter(None, (shutil.which(name, path=PLACES) for name in ("chromium", "google-chrome"))), None
)
NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SCREENSHOTS = os.environ.get("JUPYTER_FLOWS_SCREENSHOTS", "")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


def pytest_collection_modifyitems(items):
    """All of this directory needs a browser. It is not skipped without one: that would look like success."""
    here = [item for item in items if Path(__file__).parent in Path(item.path).parents]
    if here and CHROMIUM is None:
        msg = "tests/browser needs chromium (apt-get install chromium); leave it out with --ignore=tests/browser"
        raise pytest.UsageError(msg)
    for item in here:
        item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser_type_launch_args():
    return {"executable_path": CHROMIUM, "args": FLAGS, "headless": True}


@pytest.fixture
def browser_context_args():
    return {"viewport": {"width": 1440, "height": 960}, "permissions": ["clipboard-read", "clipboard-write"]}


@dataclass(frozen=True)
class Lab:
    """Where the running JupyterLab is, and what it shows."""

    url: str
    token: str
    root: Path
    home: Path

    def copy(self, notebook: str) -> str:
        """Put a notebook of the repository into the shown directory; a name of its own for each test."""
        shutil.copy(NOTEBOOKS / notebook, self.root / notebook)
        return notebook

    def write(self, name: str, *cells: str, parameters: str = "") -> str:
        """Write a notebook of these code cells; *parameters* is the cell tagged so."""
        from nbformat import v4, write

        notebook = v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
        if parameters:
            notebook.cells.append(v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
        notebook.cells += [v4.new_code_cell(text) for text in cells]
        write(notebook, self.root / name)
        return name

    def address(self, path: str = "", *, reset: bool = True) -> str:
        """Return the address that opens *path* in an empty workspace."""
        tree = f"/tree/{path}" if path else ""
        return f"{self.url}/lab{tree}?token={self.token}{'&reset' if reset else ''}"


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_for(ready, process: subprocess.Popen[bytes], log: Path, *, within_s: float = 60.0) -> None:
    end = time.monotonic() + within_s
    while not ready():
        if process.poll() is not None or time.monotonic() > end:
            pytest.fail(f"not ready:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=15)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab on a free port with nothing of this user, and an agent that takes its runs."""
    base = tmp_path_factory.mktemp("lab")
    root = base / "work"
    # Below the shown directory, and not hidden: an executed notebook can be opened from there.
    home = root / "flows-home"
    token = secrets.token_hex(16)
    env = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}
    private = {
        "JUPYTER_CONFIG_DIR": base / "config",
        "JUPYTER_DATA_DIR": base / "data",
        "JUPYTER_RUNTIME_DIR": base / "runtime",
        "JUPYTERLAB_SETTINGS_DIR": base / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": base / "workspaces",
        "IPYTHONDIR": base / "ipython",
    }
    for directory in (root, *private.values()):
        directory.mkdir(parents=True)
    env |= {name: str(directory) for name, directory in private.items()} | {"JUPYTER_FLOWS_HOME": str(home)}
    page_config = base / "config" / "labconfig" / "page_config.json"
    page_config.parent.mkdir()
    page_config.write_text(
        json.dumps({"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}})
    )
    url = f"http://127.0.0.1:{(port := _free_port())}"
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, *arguments: str) -> tuple[subprocess.Popen[bytes], Path]:
        log = base / f"{name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments], cwd=root, env=env, stdout=out, stderr=subprocess.STDOUT
            )
        started.append(process)
        return process, log

    def answers() -> bool:
        request = urllib.request.Request(
            f"{url}/flows/api/v1/agents", headers={"Authorization": f"token {token}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                agents = json.load(response)["agents"]
        except OSError:
            return False
        return len(started) == 1 or any(agent["alive"] for agent in agents)

    try:
        jupyter = start(
            "jupyterlab",
            "jupyterlab",
            "--no-browser",
            f"--port={port}",
            "--ip=127.0.0.1",
            f"--IdentityProvider.token={token}",
            f"--ServerApp.root_dir={root}",
            "--ServerApp.allow_root=True",
            "--LabApp.expose_app_in_browser=True",
            "--LabApp.extension_manager=readonly",
            "--LabApp.news_url=None",
        )
        _wait_for(answers, *jupyter)
        agent = start("agent", "jupyter_flows", "agent", "start")
        _wait_for(answers, *agent)
        yield Lab(url, token, root, home)
    finally:
        for process in reversed(started):
            _stop(process)


@pytest.fixture
def look(page, request, tmp_path):
    """``look("name")`` keeps a picture of the page, in JUPYTER_FLOWS_SCREENSHOTS if that is set."""
    directory = Path(SCREENSHOTS) if SCREENSHOTS else tmp_path
    directory.mkdir(parents=True, exist_ok=True)

    def keep(name: str) -> None:
        page.screenshot(path=directory / f"{name}.png")

    return keep
