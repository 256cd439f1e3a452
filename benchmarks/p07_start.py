"""P7: from "run now" to the first cell executing, with an agent that waits; beside papermill's command."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

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


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        home, witness = directory / "home", directory / "witness"
        source = notebook(directory / "one.ipynb", witness)
        os.environ["JUPYTER_FLOWS_HOME"] = str(home)
        with process("server", "start", "--port", "0", home=home):
            api = connected(home, agents=0)
            with process("agent", "start", home=home):
                connected(home, agents=1)
                flow = register_notebook(source, api=api).flow_name
                own = [ours(api, flow, witness) for _ in range(ROUNDS)]
        theirs = [by_papermill(source, directory / "out.ipynb", witness) for _ in range(ROUNDS)]
    first, done = (statistics.median(pair[n] for pair in own) for n in (0, 1))
    first_pm, done_pm = (statistics.median(pair[n] for pair in theirs) for n in (0, 1))
    print(f"P7  run now -> first cell: ours {first:.2f} s · papermill {first_pm:.2f} s")
    print(f"    run now -> done:       ours {done:.2f} s · papermill {done_pm:.2f} s")
    print(f"    papermill / ours = {first_pm / first:.1f} (promise: first cell <= 2 s cold, <= 0.3 s warm)")


if __name__ == "__main__":
    main()
