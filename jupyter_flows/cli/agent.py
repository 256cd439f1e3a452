"""``jupyter flows agent``: start one, list them, install one as a service."""

from __future__ import annotations

import logging
import shlex
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import click

from jupyter_flows.errors import InvalidOption
from jupyter_flows.settings import Settings, load_settings


@click.group()
def command() -> None:
    """Start, list and install agents: the processes that run flows."""


@command.command()
@click.option("-l", "--label", "labels", multiple=True, metavar="LABEL", help="Offer a label (repeatable).")
@click.option("--name", help="Name shown to people; default: the host's name.")
@click.option(
    "--hostname-label/--no-hostname-label", default=True, help="Offer the host's name as a label too."
)
@click.option(
    "--api", "api_url", metavar="URL", help="Server; default: the one that is configured or running."
)
@click.option(
    "--max-runs", type=click.IntRange(min=0), help="Most runs at once; default: 2 a core; 0: no limit."
)
@click.option(
    "-e", "--env", "env", multiple=True, metavar="K=V", help="A variable for every run (repeatable)."
)
@click.option(
    "-p",
    "--import-path",
    "import_paths",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A directory that runs import from (repeatable).",
)
@click.option("--show-logs", is_flag=True, help="Print the log of runs here too.")
@click.option("--exclusive", is_flag=True, help="Leave runs without labels to other agents.")
@click.option("--log-level", help="Level of the agent's own log.")
def start(
    labels: tuple[str, ...],
    name: str | None,
    hostname_label: bool,
    api_url: str | None,
    max_runs: int | None,
    env: tuple[str, ...],
    import_paths: tuple[Path, ...],
    show_logs: bool,
    exclusive: bool,
    log_level: str | None,
) -> None:
    """Take due runs from the server and run them here, until stopped.

    Ctrl+C or SIGTERM: no new runs, those under way get a grace, then are stopped. A second one: at once.
    """
    import os
    from dataclasses import replace

    from jupyter_flows.agent.link import agent_link
    from jupyter_flows.agent.loop import Agent

    os.umask(0o077)
    settings = load_settings()
    if api_url:
        settings = replace(settings, api_url=api_url)
    _log_to_terminal(log_level or settings.log_level)
    agent = Agent(
        agent_link(settings),
        settings,
        name=name,
        labels=labels,
        hostname_label=hostname_label,
        max_runs=max_runs,
        env=_variables(env),
        import_paths=[str(path.absolute()) for path in import_paths],
        show_logs=show_logs,
        exclusive=exclusive,
    )
    stop = threading.Event()

    def on_signal(_number: int, _frame: Any) -> None:
        if stop.is_set():
            agent.stop_at_once()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_signal)
    agent.run(stop)


@command.command("ls")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def ls(as_json: bool) -> None:
    """List agents: labels, what they run, when they were last heard."""
    from jupyter_flows.cli import present
    from jupyter_flows.client import connect
    from jupyter_flows.schema.base import utc_now

    page = connect(load_settings()).list_agents()
    if as_json:
        present.print_json(page)
        return
    if not page.agents:
        click.echo("No agent has been here in the last week. Start one: jupyter flows agent start")
        return
    table = present.table("agent", "labels", "runs", "kernels", "heard")
    now = utc_now()
    for agent in page.agents:
        most = f" of {agent.max_runs}" if agent.max_runs else ""
        heard = (
            "now"
            if agent.alive
            else f"silent for {present.duration((now - agent.last_seen_at).total_seconds())}"
        )
        table.add_row(
            present.plain(agent.name, "bold" if agent.alive else "bright_black"),
            present.plain(", ".join(agent.labels) + (" (exclusive)" if agent.exclusive else "")),
            present.plain(f"{agent.running}{most}"),
            present.plain(", ".join(agent.kernels)),
            present.plain(heard, "green" if agent.alive else "red"),
        )
    present.console().print(table)


@command.command()
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@click.option("--system", "system_wide", is_flag=True, help="A unit of the system, not of your user.")
def install(options: tuple[str, ...], system_wide: bool) -> None:
    """Print a systemd unit that runs an agent; OPTIONS (after --) are those of 'agent start'."""
    click.echo(unit_text(options, settings=load_settings(), system_wide=system_wide), nl=False)


def unit_text(options: tuple[str, ...], *, settings: Settings, system_wide: bool) -> str:
    """Return the unit. ``KillMode=process``: systemd stops the agent alone, which looks after its runs."""
    executable = Path(sys.prefix) / "bin" / "jupyter-flows"
    line = shlex.join([str(executable), "agent", "start", *options]).replace("%", "%%")
    target = "multi-user.target" if system_wide else "default.target"
    where = "/etc/systemd/system" if system_wide else "~/.config/systemd/user"
    user = "" if system_wide else "--user "
    api = f"Environment=JUPYTER_FLOWS_API_URL={settings.api_url}\n" if settings.api_url else ""
    grace_s = settings.agent_grace_s + 3 * settings.kill_grace_s + 30
    return f"""\
# {where}/jupyter-flows-agent.service
# systemctl {user}daemon-reload && systemctl {user}enable --now jupyter-flows-agent
[Unit]
Description=jupyter_flows agent
Wants=network-online.target
After=network-online.target

[Service]
ExecStart={line}
Environment=JUPYTER_FLOWS_HOME={settings.home}
{api}Restart=always
RestartSec=5
KillMode=process
TimeoutStopSec={grace_s:.0f}
UMask=0077

[Install]
WantedBy={target}
"""


def _variables(pairs: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            msg = f"--env {pair!r} is not of the form NAME=VALUE"
            raise InvalidOption(msg)
        found[name] = value
    return found


def _log_to_terminal(level: str) -> None:
    if level.upper() not in logging.getLevelNamesMapping():
        msg = f"there is no log level {level!r}; use DEBUG, INFO, WARNING or ERROR"
        raise InvalidOption(msg)
    log = logging.getLogger("jupyter_flows")
    log.setLevel(level.upper())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    log.addHandler(handler)
    # A closed terminal (SIGHUP) must not turn into tracebacks of the log.
    logging.raiseExceptions = False
