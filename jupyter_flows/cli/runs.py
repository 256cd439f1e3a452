"""Looking at runs and acting on them: ``runs``, ``logs``, ``run``, ``cancel``, ``retry``."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from jupyter_flows.cli import present
from jupyter_flows.cli.flows import json_option
from jupyter_flows.client import connect
from jupyter_flows.core.parameter import read_values
from jupyter_flows.errors import InvalidParameters, NotFound, ServerNotRunning
from jupyter_flows.schema.events import Event, LogsWritten, RunChanged, TaskRunChanged
from jupyter_flows.schema.logs import LogRecord
from jupyter_flows.schema.runs import CancelRun, CreateRun, RetryRun, RunRecord, TaskRunRecord

if TYPE_CHECKING:
    from rich.console import Console

    from jupyter_flows.client.api import FlowsApi

PATIENCE_S = 120.0
"""How long a command that looks on waits for a server that went away."""


@click.command()
@click.argument("run", required=False)
@click.option("--flow", default=None, help="Only runs of this flow.")
@click.option("--state", default=None, help="Only runs in this state, e.g. Failed.")
@click.option("--limit", default=20, show_default=True, help="How many at the most.")
@json_option
def runs(run: str | None, flow: str | None, state: str | None, limit: int, as_json: bool) -> None:
    """List runs, newest first; with RUN, show that one with its tasks."""
    api = connect()
    if run is not None:
        record = api.get_run(run)
        tasks = api.list_task_runs(record.id)
        if as_json:
            present.print_json({"run": record, "tasks": tasks})
        else:
            print_run(present.console(), record, tasks, roles(api, record))
        return
    page = api.list_runs(flow=flow, state=state, limit=limit)
    if as_json:
        present.print_json(page.runs)
        return
    out = present.console()
    if not page.runs:
        out.print("No runs. Start one:  jupyter flows run FLOW")
        return
    rows = present.table("run", "id", "flow", "state", "tasks>", "when", "took>", "agent")
    for record in page.runs:
        rows.add_row(
            present.plain(record.name, "bold"),
            record.id[:8],
            present.plain(f"{record.flow_name} v{record.version}"),
            present.state(record.state.type),
            f"{record.done_tasks}/{record.total_tasks}",
            present.moment(record.started_at or record.scheduled_at),
            present.between(record.started_at, record.ended_at),
            present.plain(record.agent or "-"),
        )
    out.print(rows)
    for record in page.runs:
        for reason in record.why:
            out.print(present.plain(f"{record.name} waits: {reason}", "yellow"))


def roles(api: FlowsApi, record: RunRecord) -> dict[str, str]:
    """Return the role of each task of a run's flow, by slug; empty if the version is gone."""
    try:
        return {task.slug: task.role for task in api.get_run_spec(record.id).tasks}
    except NotFound:
        return {}


def print_run(
    out: Console, record: RunRecord, tasks: Iterable[TaskRunRecord], roles_of: dict[str, str] | None = None
) -> None:
    """Print one run: a head line, its tasks, where its result is."""
    out.print(
        present.plain(f"{record.flow_name} v{record.version}  {record.name}", "bold"),
        present.state(record.state.type),
        present.between(record.started_at, record.ended_at),
        present.plain(f"on {record.agent}" if record.agent else ""),
        sep="  ",
    )
    if record.state.message:
        out.print(present.plain(record.state.message))
    for reason in record.why:
        out.print(present.plain(f"waits: {reason}", "yellow"))
    hidden = {"setup", "parameters"}
    rows = present.table("task", "state", "attempts>", "took>", "message")
    shown = 0
    for task in tasks:
        if (roles_of or {}).get(task.slug) in hidden and task.state.type in present.GOOD:
            continue
        shown += 1
        name = task.name if task.map_index < 0 else f"{task.name}[{task.map_index}]"
        message = "" if task.state.type in present.GOOD else task.state.message
        rows.add_row(
            present.plain(name),
            present.state(task.state.type),
            str(task.attempt) if task.started_at is not None else "-",
            present.between(task.started_at, task.ended_at),
            present.plain(message),
        )
    if shown:
        out.print(rows)
    if record.result is not None:
        what = "traceback" if record.result.location.endswith(".txt") else "result"
        out.print(present.plain(f"{what}: {record.result.location}"))


@click.command()
@click.argument("run")
@click.option("-f", "--follow", is_flag=True, help="Go on until the run has ended.")
@json_option
def logs(run: str, follow: bool, as_json: bool) -> None:
    """Print a run's log."""
    api = connect()
    record = api.get_run(run)
    last = 0
    gathered: list[LogRecord] = []

    def fetch() -> None:
        nonlocal last
        while True:
            page = api.list_logs(record.id, after=last, limit=1000)
            for line in page.logs:
                gathered.append(line) if as_json else _print_log(line)
            if not page.logs:
                return
            last = page.next

    fetch()
    if follow and record.state.type not in present.FINAL:
        with _leaving(record):
            # From the run's first event: what happens until the stream is open would be missed otherwise.
            for event in patient_events(api, record.id, after=0):
                body = event.body if event is not None else None
                if event is None or (
                    isinstance(body, LogsWritten) and any(line.id > last for line in body.logs)
                ):
                    fetch()
                is_end = isinstance(body, RunChanged) and body.run.state.type in present.FINAL
                if (event is None or is_end) and api.get_run(record.id).state.type in present.FINAL:
                    break
        fetch()
    if as_json:
        present.print_json(gathered)
    elif last == 0:
        click.echo(f"{record.name} ({record.state.type}) has no log lines yet.", err=True)


def _print_log(line: LogRecord) -> None:
    where = f" {line.task}:" if line.task else ""
    text = present.safe(line.message)
    click.echo(f"{line.at.astimezone():%H:%M:%S.%f}"[:-3] + f" {line.level:<8}{where} {text}")


@contextmanager
def _leaving(record: RunRecord) -> Iterator[None]:
    """Say to somebody who stops looking on that the run does not stop."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"\n{record.name} goes on; `jupyter flows cancel {record.name}` stops it", err=True)
        raise SystemExit(130) from None


@click.command()
@click.argument("flow")
@click.option(
    "-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter (repeatable)."
)
@click.option("-l", "--label", "labels", multiple=True, help="Labels of this run instead of the flow's.")
@click.option("--name", default=None, help="A name for the run.")
@click.option("--version", type=int, default=None, help="An older version of the flow.")
@click.option("--at", default=None, help="When: an ISO time, e.g. 2027-01-31T06:00+01:00. Default: now.")
@click.option("--watch", "-w", is_flag=True, help="Show its states until it ends; exit 1 unless it succeeds.")
@json_option
def run(
    flow: str,
    params: tuple[str, ...],
    labels: tuple[str, ...],
    name: str | None,
    version: int | None,
    at: str | None,
    watch: bool,
    as_json: bool,
) -> int:
    """Run a flow now: an agent that offers its labels takes it."""
    api = connect()
    spec = api.get_flow(flow, version=version).version.spec
    defaults = {item.name: item.default for item in spec.parameters}
    record = api.create_run(
        flow,
        CreateRun(
            parameters=read_values(params, defaults=defaults),
            labels=labels or None,
            name=name,
            version=version,
            scheduled_at=_read_time(at),
        ),
    )
    if watch:
        with _leaving(record):
            record = watch_run(api, record, quiet=as_json)
    if as_json:
        present.print_json(record)
    elif not watch:
        click.echo(f"{record.flow_name}: run {record.name} is {record.state.type}.")
        for reason in record.why:
            click.echo(f"  waits: {reason}")
        click.echo(f"Follow it:  jupyter flows logs -f {record.name}")
    return 0 if not watch or record.state.type in present.GOOD else 1


def patient_events(api: FlowsApi, run: str, *, after: int) -> Iterator[Event | None]:
    """Yield a run's events, past a server that goes away and comes back; None: it has just come back.

    Raises
    ------
    ServerNotRunning : it stayed away for longer than people look on.
    """
    away_since: float | None = None
    while True:
        try:
            if away_since is not None:
                api.get_run(run)
                away_since = None
                click.echo("  the server is back", err=True)
                yield None
            for event in api.events(run=run, after=after):
                after = event.id
                yield event
        except ServerNotRunning:
            if away_since is not None and time.monotonic() - away_since > PATIENCE_S:
                raise
        if away_since is None:
            away_since = time.monotonic()
            click.echo("  the server does not answer; a run that has begun goes on without it", err=True)
        time.sleep(0.5)


def watch_run(api: FlowsApi, record: RunRecord, *, quiet: bool = False) -> RunRecord:
    """Print the states of a run as they come, until it ends; return it as it ended."""
    out = present.console()
    hidden = {slug for slug, role in roles(api, record).items() if role in {"setup", "parameters"}}
    seen: set[str] = set()
    if not quiet:
        out.print(present.plain(f"{record.flow_name} v{record.version}  {record.name}", "bold"))
        for reason in record.why:
            out.print(present.plain(f"  waits: {reason}", "yellow"))
    for event in patient_events(api, record.id, after=0):
        body = event.body if event is not None else None
        if event is None or body is None:
            continue
        if isinstance(body, TaskRunChanged) and not quiet and body.task_run.slug not in hidden:
            task = body.task_run
            if task.state.type in present.FINAL | {"Retrying"}:
                out.print(
                    present.plain(f"  {event.at.astimezone():%H:%M:%S}"),
                    present.state(task.state.type),
                    present.plain(task.name),
                    present.between(task.started_at, task.ended_at) if task.ended_at else "",
                    present.plain("" if task.state.type in present.GOOD else task.state.message),
                )
        if isinstance(body, RunChanged):
            if not quiet and body.run.state.type not in seen:
                seen.add(body.run.state.type)
                where = (
                    f"on {body.run.agent}" if body.run.state.type == "Submitted" else body.run.state.message
                )
                out.print(
                    present.plain(f"  {event.at.astimezone():%H:%M:%S}"),
                    present.state(body.run.state.type),
                    present.plain(where or ""),
                )
            if body.run.state.type in present.FINAL:
                break
    final = api.get_run(record.id)
    if not quiet:
        print_run(out, final, api.list_task_runs(final.id), roles(api, final))
    return final


@click.command()
@click.argument("run")
@json_option
def cancel(run: str, as_json: bool) -> None:
    """Stop a run: SIGINT, then SIGTERM, then SIGKILL to its process group."""
    record = connect().cancel_run(run, CancelRun())
    if as_json:
        present.print_json(record)
    else:
        click.echo(f"{record.flow_name}: run {record.name} is {record.state.type}.")


@click.command()
@click.argument("run")
@click.option("--watch", "-w", is_flag=True, help="Show its states until it ends; exit 1 unless it succeeds.")
@json_option
def retry(run: str, watch: bool, as_json: bool) -> int:
    """Run an ended run again, with its parameters, as a new attempt."""
    api = connect()
    record = api.retry_run(run, RetryRun())
    if watch:
        record = watch_run(api, record, quiet=as_json)
    if as_json:
        present.print_json(record)
    elif not watch:
        click.echo(f"{record.flow_name}: run {record.name} is {record.state.type} again.")
    return 0 if not watch or record.state.type in present.GOOD else 1


def _read_time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        msg = f"--at {text!r} is no ISO time; write e.g. 2027-01-31T06:00+01:00"
        raise InvalidParameters(msg) from error
    return at.astimezone(UTC)
