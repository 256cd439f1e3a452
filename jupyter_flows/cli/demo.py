"""The whole path once, in a terminal: register, two scheduled headless runs, one pickled run, what is left.

Everything is real: a server process, an agent process, a schedule, storage. All of it lives under one
directory, and nothing is running afterwards.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from jupyter_flows.cli import present
from jupyter_flows.cli.runs import print_run, roles
from jupyter_flows.errors import EnvironmentFault, ServerNotRunning, YourFault
from jupyter_flows.schema.events import RunChanged, TaskRunChanged
from jupyter_flows.schema.runs import CreateRun, RunRecord
from jupyter_flows.settings import Settings, load_settings

if TYPE_CHECKING:
    from rich.console import Console

    from jupyter_flows.client.api import FlowsApi

MARKER = ".jupyter_flows_demo"
START_LIMIT_S = 60.0


class DemoFailed(EnvironmentFault):
    """A part of the demo did not come up, or a run did not succeed."""

    code = "demo_failed"


@click.command()
@click.argument(
    "notebook", type=click.Path(dir_okay=False, path_type=Path), default=Path("notebooks/weather.ipynb")
)
@click.option(
    "--home", type=click.Path(file_okay=False, path_type=Path), default=Path(".demo"), show_default=True
)
@click.option("--every", default="8s", show_default=True, help="Interval of the schedule.")
@click.option("--scheduled-runs", default=2, show_default=True, help="Scheduled runs to wait for.")
def command(notebook: Path, home: Path, every: str, scheduled_runs: int) -> None:
    """Register NOTEBOOK on an interval, wait for scheduled headless runs, run it once as a pickled flow."""
    home = home.absolute()
    _empty(home)
    if not notebook.is_file():
        msg = f"there is no notebook {notebook}; run this from a checkout, or name one"
        raise YourFault(msg)
    os.environ["JUPYTER_FLOWS_HOME"] = str(home)
    # The demo talks to its own server, whatever else this shell is set up for.
    for name in ("JUPYTER_FLOWS_API_URL", "JUPYTER_FLOWS_API_TOKEN", "JUPYTER_FLOWS_DATABASE_URL"):
        os.environ.pop(name, None)
    settings = load_settings()
    out = present.console()
    out.print("Everything of this demo is in", present.plain(str(home), "bold"))
    started = time.monotonic()
    with (
        _process(home, "server", "server", "start", "--port", "0"),
        _connected(settings) as api,
        _process(home, "agent", "agent", "start", "--name", "demo-agent"),
    ):
        _wait_for_agent(api)
        out.print("A server and an agent are running, each its own process.\n")
        scheduled = _scheduled_runs(api, out, notebook=notebook, every=every, count=scheduled_runs)
        pickled = _pickled_run(api, out, notebook=notebook)
        _print_table(api, out, [*scheduled, pickled])
        _print_what_now(out, home=home, runs=[*scheduled, pickled])
    out.print(f"The server and the agent have stopped. All of it took {time.monotonic() - started:.0f} s.")


def _scheduled_runs(
    api: FlowsApi, out: Console, *, notebook: Path, every: str, count: int
) -> list[RunRecord]:
    from jupyter_flows.registering import register_notebook

    out.print(f"[bold]1  Register {notebook.name}, to run every {every}[/bold]")
    receipt = register_notebook(notebook, schedule=f"every {every}", api=api)
    out.print(present.plain_lines(receipt.text))
    out.print(f"\n[bold]2  Wait until {count} scheduled runs are done[/bold]")
    flow = receipt.flow_name
    try:
        return _follow(api, out, flow=flow, count=count)
    finally:
        api.pause_flow(flow)


def _pickled_run(api: FlowsApi, out: Console, *, notebook: Path) -> RunRecord:
    from jupyter_flows.registering import register_notebook
    from jupyter_flows.storage.local import Local

    out.print("\n[bold]3  The same flow, once, as a pickled flow[/bold]")
    receipt = register_notebook(notebook, storage=Local(), set_schedule_active=False, api=api)
    out.print(present.plain_lines(receipt.text))
    record = api.create_run(receipt.flow_name, CreateRun())
    return _follow(api, out, flow=receipt.flow_name, count=1, only=record.id)[0]


def _follow(
    api: FlowsApi, out: Console, *, flow: str, count: int, only: str | None = None
) -> list[RunRecord]:
    """Print states as they come; return the first *count* runs that ended, all of them successful."""
    done: dict[str, RunRecord] = {}
    names: dict[str, str] = {}
    hidden: dict[str, set[str]] = {}
    told: set[tuple[str, str]] = set()
    for event in api.events(flow=flow, after=0):
        body = event.body
        if isinstance(body, RunChanged):
            run = body.run
            if only not in {None, run.id} or (only is None and not run.auto_scheduled):
                continue
            names[run.id] = run.name
            if run.state.type in {"Running", *present.FINAL} and (run.id, run.state.type) not in told:
                told.add((run.id, run.state.type))
                out.print(
                    present.plain(f"  {event.at.astimezone():%H:%M:%S}  {run.name:<22}"),
                    present.state(run.state.type),
                )
            if run.state.type in present.FINAL:
                if run.state.type != "Success":
                    msg = f"run {run.name} is {run.state.type}: {run.state.message}"
                    raise DemoFailed(msg)
                done[run.id] = run
                if len(done) == count:
                    return [api.get_run(run_id) for run_id in done]
        elif isinstance(body, TaskRunChanged) and body.task_run.run_id in names:
            task = body.task_run
            if task.run_id not in hidden:
                known = roles(api, api.get_run(task.run_id))
                hidden[task.run_id] = {
                    slug for slug, role in known.items() if role in {"setup", "parameters"}
                }
            if task.state.type in present.FINAL and task.slug not in hidden[task.run_id]:
                out.print(
                    present.plain(f"  {event.at.astimezone():%H:%M:%S}  {names[task.run_id]:<22}"),
                    present.state(task.state.type),
                    present.plain(f"{task.name}  {present.between(task.started_at, task.ended_at)}"),
                )
    msg = "the event stream ended before the runs did"
    raise DemoFailed(msg)


def _print_table(api: FlowsApi, out: Console, runs: list[RunRecord]) -> None:
    out.print("\n[bold]4  What ran[/bold]")
    for run in runs:
        kind = api.get_run_spec(run.id).storage.kind
        how = "scheduled" if run.auto_scheduled else "on demand"
        out.print(present.plain(f"{how}, {kind} storage", "bright_black"))
        print_run(out, run, api.list_task_runs(run.id), roles(api, run))


def _print_what_now(out: Console, *, home: Path, runs: list[RunRecord]) -> None:
    out.print("\n[bold]5  Look around[/bold]")
    executed = [
        run.result.location
        for run in runs
        if run.result is not None and run.result.location.endswith(".ipynb")
    ]
    out.print("Executed notebooks:")
    for location in executed:
        out.print(present.plain(f"  {location}"))
    missing = [location for location in executed if not Path(location).is_file()]
    if missing or len(executed) < len([run for run in runs if run.auto_scheduled]):
        msg = f"an executed notebook is missing: {', '.join(missing) or 'not reported'}"
        raise DemoFailed(msg)
    prefix = Path(sys.prefix) / "bin"
    out.print("In JupyterLab, with this demo's flows and runs in the Flows panel:")
    out.print(present.plain(f"  {prefix}/jupyter flows up --home {home} --lab notebooks"))
    out.print("In the terminal:")
    for line in ("ls", f"show {runs[0].flow_name}", f"runs {runs[0].name}", f"logs {runs[0].name}"):
        out.print(present.plain(f"  JUPYTER_FLOWS_HOME={home} {prefix}/jupyter flows {line}"))
    out.print(
        "(the last four need a server: 'jupyter flows up --home ...' in another terminal)\n",
        style="bright_black",
    )


def _empty(home: Path) -> None:
    if home.exists():
        if not (home / MARKER).exists() and any(home.iterdir()):
            msg = f"{home} is no demo directory and is not empty; name another with --home"
            raise YourFault(msg)
        shutil.rmtree(home)
    home.mkdir(parents=True, mode=0o700)
    (home / MARKER).touch()


@contextmanager
def _process(home: Path, name: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``jupyter flows ARGUMENTS`` beside us, its output in a file; stopped by SIGTERM at the end."""
    log = home / "logs" / f"{name}.log"
    log.parent.mkdir(exist_ok=True, mode=0o700)
    with log.open("wb") as stream:
        process = _spawn(arguments, stream)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    if process.returncode not in {0, -signal.SIGTERM}:
        msg = f"the {name} stopped with exit code {process.returncode}; its output is in {log}"
        raise DemoFailed(msg)


def _spawn(arguments: tuple[str, ...], stream: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own interpreter, our own module
        [sys.executable, "-m", "jupyter_flows", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=stream,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl+C reaches us alone, and we stop them in order
    )


@contextmanager
def _connected(settings: Settings) -> Iterator[FlowsApi]:
    from jupyter_flows.client import connect

    deadline = time.monotonic() + START_LIMIT_S
    while True:
        try:
            api = connect(settings)
            api.get_version()
            break
        except ServerNotRunning:
            if time.monotonic() > deadline:
                msg = f"the server did not start; its output is in {settings.home / 'logs' / 'server.log'}"
                raise DemoFailed(msg) from None
            time.sleep(0.05)
    yield api


def _wait_for_agent(api: FlowsApi) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while not any(agent.alive for agent in api.list_agents().agents):
        if time.monotonic() > deadline:
            msg = "the agent did not start; see logs/agent.log in the demo's directory"
            raise DemoFailed(msg)
        time.sleep(0.05)
