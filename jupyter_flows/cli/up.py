"""``jupyter flows up``: server, scheduler and one agent in one process, for daily use on one machine."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jupyter_flows.errors import DatabaseInUse, ServerNotRunning
from jupyter_flows.settings import Settings, load_settings

if TYPE_CHECKING:
    from jupyter_flows.server.standalone import RunningServer

LAB_STOP_LIMIT_S = 15.0


@click.command()
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="Directory of everything; default: JUPYTER_FLOWS_HOME or ~/.jupyter_flows.",
)
@click.option("--port", type=int, default=None, help="Port of the server; 0 picks a free one. Default: 8841.")
@click.option("-l", "--label", "labels", multiple=True, help="Offer a label (repeatable).")
@click.option("--name", default=None, help="Name of the agent; default: the host's name.")
@click.option("--max-runs", type=click.IntRange(min=0), default=None, help="Most runs at once; 0: no limit.")
@click.option("--show-logs", is_flag=True, help="Print the log of runs here too.")
@click.option(
    "--lab",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    default=None,
    metavar="DIRECTORY",
    help="Start JupyterLab on this directory too; it stops with us, headless runs do not.",
)
@click.argument("lab_options", nargs=-1, type=click.UNPROCESSED)
def command(
    home: Path | None,
    port: int | None,
    labels: tuple[str, ...],
    name: str | None,
    max_runs: int | None,
    show_logs: bool,
    lab: Path | None,
    lab_options: tuple[str, ...],
) -> None:
    """Run server, scheduler and one agent until Ctrl+C. LAB_OPTIONS (after --) go to JupyterLab."""
    from jupyter_flows.agent.link import agent_link
    from jupyter_flows.agent.loop import Agent

    os.umask(0o077)
    if home is not None:
        os.environ["JUPYTER_FLOWS_HOME"] = str(home.absolute())
    settings = load_settings()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    logging.getLogger("jupyter_flows").setLevel(settings.log_level)
    stop = threading.Event()
    with ExitStack() as stack:
        url = stack.enter_context(_server(settings, port=port))
        click.echo(f"Server:  {url}")
        click.echo(f"Home:    {settings.home}")
        agent = Agent(
            agent_link(settings), settings, name=name, labels=labels, max_runs=max_runs, show_logs=show_logs
        )

        def on_signal(_number: int, _frame: Any) -> None:
            if stop.is_set():
                agent.stop_at_once()
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, on_signal)
        if lab is not None:
            stack.enter_context(_lab(lab, lab_options, stop=stop))
        click.echo("Stop with Ctrl+C; runs under way get a grace. In another terminal:")
        click.echo("  jupyter flows register NOTEBOOK.ipynb --schedule 'every 10 minutes'")
        agent.run(stop)


@contextmanager
def _server(settings: Settings, *, port: int | None) -> Iterator[str]:
    """Be the server, or use the one that is already there; yield its address."""
    from jupyter_flows.client import connect
    from jupyter_flows.server.standalone import start_server_thread

    try:
        api = connect(settings)
        info = api.get_version()
    except ServerNotRunning:
        pass
    else:
        click.echo(f"A server is already running ({info.kind}); using it, and starting an agent only.")
        yield api.url
        return
    if settings.api_url:
        msg = f"no server answers at {settings.api_url} (JUPYTER_FLOWS_API_URL); unset it to start one here"
        raise ServerNotRunning(msg)
    server: RunningServer
    try:
        server = start_server_thread(settings, host=settings.host, port=port)
    except DatabaseInUse as error:
        msg = f"{error} It does not answer yet; try again in a moment."
        raise DatabaseInUse(msg) from error
    try:
        yield server.url
    finally:
        server.stop()


@contextmanager
def _lab(directory: Path, options: tuple[str, ...], *, stop: threading.Event) -> Iterator[None]:
    """Run JupyterLab beside us; when it ends by itself, everything stops."""
    arguments = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={directory.absolute()}"]
    if os.geteuid() == 0:
        # Jupyter refuses root unless told; whoever runs us as root (a container) has decided already.
        arguments.append("--allow-root")
    process = subprocess.Popen([*arguments, *options], start_new_session=True)  # noqa: S603

    def watch() -> None:
        process.wait()
        if not stop.is_set():
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="lab", daemon=True).start()
    try:
        yield
    finally:
        stop.set()
        process.terminate()
        try:
            process.wait(LAB_STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
