"""P7: from "run now" to the first cell executing, warm and cold; beside papermill and jupyter-scheduler."""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import peers

from jupyter_flows.registering import register_notebook

if TYPE_CHECKING:
    from jupyter_flows.client import FlowsApi

ROUNDS = 5


def notebook(path: Path, witness: Path) -> Path:
    """Write a notebook of one cell that notes when it began."""
    line = f"import time, pathlib; pathlib.Path({str(witness)!r}).write_text(repr(time.time()))"
    cell: dict[str, object] = {
        "cell_type": "code",
        "id": "first",
        "metadata": {},
        "source": f"%%task first\n{line}",
        "outputs": [],
        "execution_count": None,
    }
    # papermill's kernel needs the magic; ours reads it before the kernel does.
    load = {**cell, "id": "load", "source": "%load_ext jupyter_flows"}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    text = json.dumps(
        {"cells": [load, cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    )
    path.write_text(text, encoding="utf-8")
    return path


@contextmanager
def process(*arguments: str, home: Path) -> Iterator[None]:
    """Run a command of ours beside us."""
    environ = {**os.environ, "JUPYTER_FLOWS_HOME": str(home)}
    running = subprocess.Popen(
        [sys.executable, "-m", "jupyter_flows", *arguments],
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(timeout=60)


def connected(home: Path, *, agents: int) -> FlowsApi:
    """Wait until the server and so many agents are there."""
    from jupyter_flows.client import connect
    from jupyter_flows.errors import FlowsError
    from jupyter_flows.settings import load_settings

    for _ in range(600):
        try:
            api = connect(load_settings({**os.environ, "JUPYTER_FLOWS_HOME": str(home)}))
            if sum(agent.alive for agent in api.list_agents().agents) >= agents:
                return api
        except FlowsError:
            pass
        time.sleep(0.05)
    msg = "the server did not start"
    raise TimeoutError(msg)


def ours(api: FlowsApi, flow: str, witness: Path) -> tuple[float, float]:
    """Return the seconds from asking for a run to its first cell, and to its end."""
    witness.unlink(missing_ok=True)
    began = time.time()
    run = api.create_run(flow)
    for event in api.events(run=run.id, after=0):
        state = getattr(getattr(event.body, "run", None), "state", None)
        if state is not None and state.type in {"Success", "Failed", "Cancelled"}:
            ended = time.time()
            break
    return float(witness.read_text()) - began, ended - began


def by_papermill(source: Path, target: Path, witness: Path) -> tuple[float, float]:
    """Return the same for ``papermill in.ipynb out.ipynb``."""
    witness.unlink(missing_ok=True)
    began = time.time()
    subprocess.run(
        [Path(sys.executable).with_name("papermill"), "--no-progress-bar", source, target],
        check=True,
        capture_output=True,
    )
    return float(witness.read_text()) - began, time.time() - began


def by_scheduler(python: str, directory: Path, source: Path, witness: Path) -> list[float]:
    """Return the seconds from jupyter-scheduler's "run now" (REST) to the first cell, for each round."""
    token = "benchmark"
    (directory / "data").mkdir()
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    # Its database goes where its data go.
    environ |= {
        "JUPYTER_DATA_DIR": str(directory / "data"),
        "JUPYTER_RUNTIME_DIR": str(directory / "runtime"),
    }
    port = free_port()
    serving = subprocess.Popen(
        [
            python,
            "-m",
            "jupyter",
            "server",
            "--allow-root",
            "--no-browser",
            f"--ServerApp.port={port}",
            f"--IdentityProvider.token={token}",
            f"--ServerApp.root_dir={source.parent}",
        ],
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def call(path: str, data: dict[str, object] | None = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/scheduler/{path}",
            data=None if data is None else json.dumps(data).encode(),
            headers={"Authorization": f"token {token}"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    try:
        environment = waited(lambda: call("runtime_environments"))[0]["name"]
        figures = []
        for _ in range(ROUNDS):
            witness.unlink(missing_ok=True)
            began = time.time()
            job = call(
                "jobs",
                {
                    "name": "one",
                    "input_uri": source.name,
                    "runtime_environment_name": environment,
                    "output_formats": ["ipynb"],
                },
            )
            figures.append(waited(lambda: float(witness.read_text())) - began)
            waited(partial(ended, call, job["job_id"]))
        return figures
    finally:
        serving.terminate()
        serving.wait(timeout=30)


def ended(call: Callable[[str], Any], job: str) -> bool:
    """Whether a job of jupyter-scheduler is over."""
    return call(f"jobs/{job}")["status"] in {"COMPLETED", "FAILED"}


def free_port() -> int:
    """Return a port that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def waited(look: Callable[[], Any]) -> Any:
    """Wait until *look* finds something; what it raises meanwhile is that it is not there yet."""
    for _ in range(3000):
        try:
            found = look()
        except (OSError, ValueError):
            found = None
        if found:
            return found
        time.sleep(0.02)
    msg = "waited a minute in vain"
    raise TimeoutError(msg)


def measured(
    api: FlowsApi, source: Path, witness: Path, *, home: Path, spares: int
) -> list[tuple[float, float]]:
    """Return our figures with an agent that has so many spares."""
    os.environ["JUPYTER_FLOWS_SPARES"] = str(spares)
    taken: set[Path] = set()

    def new_crew() -> Path | None:
        ready = set(home.glob("spares/*/ready.json")) - taken
        return ready.pop() if ready else None

    with process("agent", "start", home=home):
        connected(home, agents=1)
        flow = register_notebook(source, api=api).flow_name
        figures = []
        for _ in range(ROUNDS):
            if spares:
                taken.add(waited(new_crew))
            figures.append(ours(api, flow, witness))
        return figures


def main() -> None:
    """Print the table."""
    chosen = peers.options(__doc__).parse_args()
    python = peers.scheduler_python(chosen)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        home, witness = directory / "home", directory / "witness"
        source = notebook(directory / "one.ipynb", witness)
        os.environ["JUPYTER_FLOWS_HOME"] = str(home)
        with process("server", "start", "--port", "0", home=home):
            api = connected(home, agents=0)
            cold = measured(api, source, witness, home=home, spares=0)
            warm = measured(api, source, witness, home=home, spares=1)
        theirs = [by_papermill(source, directory / "out.ipynb", witness) for _ in range(ROUNDS)]
        # Its environment has no such package, and the magics are ours.
        plain = directory / "plain.ipynb"
        content = json.loads(source.read_text(encoding="utf-8"))
        content["cells"] = content["cells"][1:]
        content["cells"][0]["source"] = content["cells"][0]["source"].partition("\n")[2]
        plain.write_text(json.dumps(content), encoding="utf-8")
        scheduled = by_scheduler(python, directory, plain, witness) if python else None
    first = {"warm": median(warm, 0), "cold": median(cold, 0)}
    papermill, scheduler = median(theirs, 0), peers.median(scheduled)
    for name, value in first.items():
        beside = "-" if scheduler is None else f"{scheduler / value:.1f}"
        print(
            f"P7  run now -> first cell, {name}: {value:.2f} s · papermill / ours = {papermill / value:.1f}"
            f" · jupyter-scheduler / ours = {beside}"
        )
    scheduler_s = "-" if scheduler is None else f"{scheduler:.2f} s"
    print(
        f"    papermill {papermill:.2f} s · jupyter-scheduler {scheduler_s} (promise: 0.3 s warm, 2 s cold)"
    )
    print(
        f"    run now -> done: warm {median(warm, 1):.2f} s · cold {median(cold, 1):.2f} s"
        f" · papermill {median(theirs, 1):.2f} s"
    )


def median(pairs: list[tuple[float, float]], place: int) -> float:
    """Return the median of the first or second of each pair."""
    return statistics.median(pair[place] for pair in pairs)


if __name__ == "__main__":
    main()
