"""A real server with short times, real agents as processes, notebooks registered by their bytes."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from jupyter_flows.client import FlowsApi, connect
from jupyter_flows.errors import ServerFault
from jupyter_flows.schema.flows import FlowSpec, RegisterFlow
from jupyter_flows.schema.refs import StorageRef
from jupyter_flows.schema.runs import RunRecord
from jupyter_flows.settings import load_settings

TIMES = {
    "JUPYTER_FLOWS_HEARTBEAT_S": "0.5",
    "JUPYTER_FLOWS_LEASE_TTL_S": "4",
    "JUPYTER_FLOWS_KILL_GRACE_S": "1",
    "JUPYTER_FLOWS_AGENT_GRACE_S": "2",
    "JUPYTER_FLOWS_LONG_POLL_S": "2",
    "JUPYTER_FLOWS_SUBMIT_DEADLINE_S": "10",
    # Started ahead only where a test says so: on two cores each would slow down what others measure.
    "JUPYTER_FLOWS_SPARES": "0",
}
ENDED = {"Success", "Failed", "Cancelled", "Skipped"}
LIMIT_S = 60.0


class World:
    """One home: its server, its agents, its runs."""

    def __init__(self, directory: Path, *, warm: bool = False) -> None:
        self.warm = warm
        self.directory = directory
        self.home = directory / "home"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER_FLOWS_")}
        self.environ = {**kept, **TIMES, "JUPYTER_FLOWS_HOME": str(self.home)}
        self.settings = load_settings(self.environ)
        self.agents: list[subprocess.Popen[bytes]] = []
        self.server: Any = None
        self.port = 0

    # -- server ----------------------------------------------------------------------------------

    def start_server(self) -> None:
        """Start the server, on the port it had before."""
        from jupyter_flows.server.standalone import start_server_thread

        self.server = start_server_thread(self.settings, host="127.0.0.1", port=self.port)
        self.port = int(self.server.url.rpartition(":")[2].strip("/"))

    def stop_server(self) -> None:
        """Stop it."""
        self.server.stop()
        self.server = None

    @property
    def api(self) -> FlowsApi:
        """A person's client."""
        return connect(self.settings)

    # -- agents ----------------------------------------------------------------------------------

    def start_agent(self, *options: str, **environ: str) -> subprocess.Popen[bytes]:
        """Start an agent as its users do."""
        log = (self.directory / f"agent-{len(self.agents)}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyter_flows", "agent", "start", *options],
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        log.close()
        self.agents.append(process)
        if self.warm:
            self.crew()
        return process

    def crew(self) -> Crew:
        """Wait until a spare crew is ready that nobody has taken."""

        def look() -> Crew | None:
            taken = {card.get("crew") for card in self._cards()}
            for path in (self.home / "spares").glob("*/ready.json"):
                if path.parent.name not in taken:
                    try:
                        found = json.loads(path.read_bytes())
                        process = psutil.Process(found["pid"])
                        return Crew(path.parent, found["modules"], process, found["kernel_pid"])
                    except (OSError, psutil.Error):
                        continue
            return None

        made: Crew = self.until(look, "a spare crew")
        return made

    def _cards(self) -> Iterator[dict[str, Any]]:
        for path in (self.home / "runs").glob("*/keeper.json"):
            try:
                yield json.loads(path.read_bytes())
            except (OSError, ValueError):
                continue

    def log_of(self, run: RunRecord) -> str:
        """The run's log, as one text."""
        return "\n".join(line.message for line in self.api.list_logs(run.id).logs)

    def agent_log(self, number: int = 0) -> str:
        """What an agent printed."""
        return (self.directory / f"agent-{number}.log").read_text()

    # -- flows and runs --------------------------------------------------------------------------

    def register(self, *sources: str, name: str = "book", **spec: Any) -> Path:
        """Register a notebook of these cells; return its file."""
        path = self.directory / f"{name}.ipynb"
        kernel = {"name": spec.pop("kernel", "python3"), "display_name": "Python 3", "language": "python"}
        cells = [
            {
                "cell_type": "code",
                "id": f"cell-{n}",
                "metadata": {},
                "source": text,
                "outputs": [],
                "execution_count": None,
            }
            for n, text in enumerate(sources)
        ]
        data = json.dumps(
            {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
        ).encode()
        path.write_bytes(data)
        path.chmod(0o600)
        storage = StorageRef(
            kind="notebook",
            location=str(path),
            sha256=hashlib.sha256(data).hexdigest(),
            size_bytes=len(data),
        )
        self.api.register_flow(RegisterFlow(spec=FlowSpec(name=name, storage=storage, **spec)))
        return path

    def run(self, flow: str = "book") -> RunRecord:
        """Ask for a run."""
        return self.api.create_run(flow)

    def wait(self, run: RunRecord, met: Callable[[RunRecord], bool] | None = None) -> RunRecord:
        """Wait until a run is as wanted (default: ended)."""
        met = met or (lambda record: record.state.type in ENDED)
        return self.until(lambda: self._found(run.id, met), f"run {run.name}")

    def _found(self, run_id: str, met: Callable[[RunRecord], bool]) -> RunRecord | None:
        try:
            record = self.api.get_run(run_id)
        except ServerFault:
            return None
        return record if met(record) else None

    def task_states(self, run: RunRecord) -> dict[str, str]:
        """States of a run's tasks, by slug."""
        return {task.slug: task.state.type for task in self.api.list_task_runs(run.id)}

    def until(self, look: Callable[[], Any], what: str) -> Any:
        """Look until there is something to see."""
        end = time.monotonic() + LIMIT_S
        while time.monotonic() < end:
            found = look()
            if found:
                return found
            time.sleep(0.02)
        logs = "\n".join(path.read_text() for path in self.directory.glob("agent-*.log"))
        pytest.fail(f"waited {LIMIT_S:g} s in vain for {what}\n{logs}")

    def touched(self, name: str) -> Path:
        """Wait for a file that a cell makes: the cell is under way."""
        path = self.directory / name

        def look() -> Path | None:
            ended = [run for run in self.api.list_runs().runs if run.state.type in ENDED]
            assert not ended, f"the run ended {ended[0].state.type} instead: {ended[0].state.message}"
            return path if path.exists() else None

        found: Path = self.until(look, name)
        return found

    def keeper_of(self, run: RunRecord) -> psutil.Process:
        """The process that keeps a run."""
        card = json.loads((self.home / "runs" / run.id / "keeper.json").read_bytes())
        return psutil.Process(card["pid"])

    def processes_of(self, run: RunRecord) -> list[psutil.Process]:
        """Every process that carries the run's marker, or that of the crew which it took."""
        crews = {f"spare-{card['crew']}:0" for card in self._cards() if card["run_id"] == run.id}
        found = []
        for process in psutil.process_iter():
            try:
                mark = process.environ().get("JUPYTER_FLOWS_RUN", "")
                if mark.startswith(run.id) or mark in crews:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def orphans(self) -> list[str]:
        """Processes of crews that are gone: a crew has a directory as long as anything of it lives."""
        found = []
        for process in psutil.process_iter():
            try:
                mark = process.environ().get("JUPYTER_FLOWS_RUN", "")
                home = process.environ().get("JUPYTER_FLOWS_HOME", "")
                crew = mark.removeprefix("spare-").partition(":")[0]
                is_ours = mark.startswith("spare-") and home == str(self.home)
                if is_ours and not (self.home / "spares" / crew).exists():
                    found.append(f"{process.pid} {process.cmdline()}")
            except psutil.Error:
                continue
        return found

    def none_left(self, run: RunRecord) -> None:
        """No process and no socket of a run remains, within 5 s of its end."""
        left = {"kernel", "code", "claim.json", "keeper.json"}
        directory = self.home / "runs" / run.id
        end = time.monotonic() + 5
        while time.monotonic() < end:
            processes = self.processes_of(run)
            files = {path.name for path in directory.iterdir()} & left
            orphans = self.orphans()
            if not processes and not files and not orphans:
                return
            time.sleep(0.02)
        assert ([], set(), []) == ([process.cmdline() for process in processes], files, orphans)

    def close(self) -> None:
        """Stop everything."""
        for process in self.agents:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.send_signal(signal.SIGTERM)
        for process in self.agents:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for card in (self.home / "runs").glob("*/keeper.json"):
            try:
                psutil.Process(json.loads(card.read_bytes())["pid"]).kill()
            except (psutil.Error, ValueError, OSError):
                continue
        if self.server is not None:
            self.stop_server()


class Crew(NamedTuple):
    """A spare crew that waits."""

    directory: Path
    modules: list[str]
    process: psutil.Process
    kernel_pid: int

    @property
    def processes(self) -> dict[str, psutil.Process]:
        """Its keeper, run process and kernel."""
        keeper = self.process.parent()
        assert keeper is not None
        return {"keeper": keeper, "run": self.process, "kernel": psutil.Process(self.kernel_pid)}


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """A server with short times; agents are started by the test ("warm": with a spare crew ready)."""
    made = World(tmp_path, warm=getattr(request, "param", "cold") == "warm")
    if made.warm:
        made.environ["JUPYTER_FLOWS_SPARES"] = "1"
    made.start_server()
    try:
        yield made
    finally:
        made.close()


def waits_for(path: Path, seen: Path) -> str:
    """Source of a cell that says it began (*seen*), then waits until *path* exists."""
    return (
        "import pathlib, time\n"
        f"pathlib.Path({str(seen)!r}).touch()\n"
        f"while not pathlib.Path({str(path)!r}).exists():\n"
        "    time.sleep(0.05)"
    )
