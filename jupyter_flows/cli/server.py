"""``jupyter flows server``: start a server, see its state, manage its tokens."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from jupyter_flows.cli import present
from jupyter_flows.cli.flows import json_option
from jupyter_flows.errors import EnvironmentFault, ServerNotRunning
from jupyter_flows.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_flows.server.service import FlowsService

STOP_LIMIT_S = 10.0
KINDS = ("admin", "author", "operator", "viewer", "agent")


def _listening(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--behind-proxy", is_flag=True, help="Allow another address than 127.0.0.1: a proxy does TLS."
        ),
        click.option("--port", type=click.IntRange(0, 65535), default=None, help="0: any. Default: 8841."),
        click.option("--host", default=None, help="Address to listen on. Default: 127.0.0.1."),
    ):
        command = option(command)
    return command


@click.group(invoke_without_command=True)
@_listening
@click.pass_context
def command(ctx: click.Context, host: str | None, port: int | None, behind_proxy: bool) -> None:
    """Start a server (also without START), see its state, manage its tokens."""
    if ctx.invoked_subcommand is None:
        _serve(host=host, port=port, behind_proxy=behind_proxy)


@command.command()
@_listening
def start(host: str | None, port: int | None, behind_proxy: bool) -> None:
    """Start a server with its scheduler; it runs until Ctrl-C or SIGTERM."""
    _serve(host=host, port=port, behind_proxy=behind_proxy)


def _serve(*, host: str | None, port: int | None, behind_proxy: bool) -> None:
    from jupyter_flows.server.standalone import serve

    os.umask(0o077)
    settings = load_settings()
    if behind_proxy:
        settings = replace(settings, behind_proxy=True)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    logging.getLogger("jupyter_flows").setLevel(settings.log_level)

    def ready(url: str, service: FlowsService) -> None:
        click.echo(f"Server:   {url}")
        click.echo(f"Database: {service.describe()}")
        click.echo(f"Home:     {settings.home}")
        click.echo("Stop it with Ctrl-C. Start an agent beside it:  jupyter flows agent start")
        sys.stdout.flush()

    serve(settings, host=host, port=port, ready=ready)


@command.command()
@json_option
def status(as_json: bool) -> None:
    """Say which server answers, and how many flows and agents it knows."""
    from jupyter_flows.client import connect

    api = connect()
    version, agents = api.get_version(), api.list_agents().agents
    if as_json:
        present.print_json({"url": api.url, "server": version, "agents": agents})
        return
    alive = sum(agent.alive for agent in agents)
    click.echo(f"Server:  {api.url} ({version.kind}, jupyter-flows {version.version})")
    if version.started_at is not None:
        click.echo(f"Since:   {version.started_at.astimezone():%Y-%m-%d %H:%M:%S}")
    click.echo(f"Agents:  {alive} alive" + (f", {len(agents) - alive} gone" if len(agents) > alive else ""))


@command.command()
def stop() -> None:
    """Stop the server of this home; runs that agents hold go on."""
    from jupyter_flows.server import discovery

    settings = load_settings()
    record = discovery.announced(settings.home)
    if record is None or not discovery.is_alive(record):
        raise ServerNotRunning(f"no server is running for {settings.home}")
    if record.kind != "standalone":
        raise EnvironmentFault(
            f"the server of {settings.home} is JupyterLab's (pid {record.pid}); it stops with JupyterLab"
        )
    os.kill(record.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_LIMIT_S
    while discovery.is_alive(record) and discovery.announced(settings.home) == record:
        if time.monotonic() > deadline:
            raise EnvironmentFault(f"the server (pid {record.pid}) did not stop in {STOP_LIMIT_S:g} s")
        time.sleep(0.05)
    click.echo(f"The server at {record.url} has stopped.")


@command.group()
def token() -> None:
    """Tokens: who may do what. Each is shown once, when it is made."""


@token.command()
@click.option("--kind", type=click.Choice(KINDS), required=True, help="What its holder may do.")
@click.option("--name", required=True, help="Whose it is; to know it again.")
@click.option("--days", type=click.IntRange(1, 3650), default=None, help="Life. Default: agent 365, else 90.")
@json_option
def create(kind: str, name: str, days: int | None, as_json: bool) -> None:
    """Make a token and show it, once."""
    from jupyter_flows.client import connect
    from jupyter_flows.schema.server import CreateToken

    made = connect().create_token(CreateToken(kind=kind, name=name, expires_in_days=days))
    if as_json:
        present.print_json(made)
        return
    click.echo(made.token)
    until = f" until {made.record.expires_at:%Y-%m-%d}" if made.record.expires_at else ""
    click.echo(f"This is shown once. It is of kind {kind}, for {name}, good{until}.", err=True)


@token.command()
@json_option
def ls(as_json: bool) -> None:
    """List tokens, without their secrets."""
    from jupyter_flows.client import connect

    tokens = connect().list_tokens().tokens
    if as_json:
        present.print_json(tokens)
        return
    rows = present.table("name", "kind", "id", "made", "expires", "last used")
    for record in tokens:
        rows.add_row(
            present.plain(record.name, "bold"),
            record.kind,
            record.id[:8],
            present.moment(record.created_at),
            present.moment(record.expires_at) or "never",
            present.moment(record.last_used_at) or "-",
        )
    present.console().print(rows)


@token.command()
@click.argument("name")
def revoke(name: str) -> None:
    """Make a token useless at once; NAME is its name or id."""
    from jupyter_flows.client import connect

    connect().revoke_token(name)
    click.echo(f"Token {name} is revoked.")
