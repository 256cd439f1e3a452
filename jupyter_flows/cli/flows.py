"""Looking at flows: ``ls``, ``show``, ``explain``, ``pause``, ``resume``, ``delete``."""

from __future__ import annotations

import click

from jupyter_flows.cli import present
from jupyter_flows.client import connect
from jupyter_flows.schema.flows import AgentMatch, Explanation, FlowDetail, FlowSummary

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


@click.command()
@click.option("--project", default=None, help="Only flows of this project.")
@json_option
def ls(project: str | None, as_json: bool) -> None:
    """List flows, their schedules and last runs."""
    api = connect()
    flows: list[FlowSummary] = []
    after: str | None = None
    while True:
        page = api.list_flows(project=project, after=after)
        flows.extend(page.flows)
        after = page.next
        if after is None:
            break
    if as_json:
        present.print_json(flows)
        return
    out = present.console()
    if not flows:
        out.print("No flows yet. Register one:  jupyter flows register NOTEBOOK.ipynb")
        return
    rows = present.table("flow", "version>", "schedule", "next run", "last runs", "labels")
    for flow in flows:
        rows.add_row(
            present.plain(_name(flow), "bold"),
            str(flow.version),
            present.plain("paused" if flow.paused and flow.schedules else flow.schedule_text or "on demand"),
            present.moment(flow.next_run_at) or "-",
            present.strip([run.state for run in reversed(flow.last_runs)]),
            present.plain(", ".join(flow.labels) or "any agent"),
        )
    out.print(rows)


@click.command()
@click.argument("flow")
@click.option("--version", type=int, default=None, help="An older version.")
@json_option
def show(flow: str, version: int | None, as_json: bool) -> None:
    """Show a flow: tasks, edges, storage, runs."""
    detail = connect().get_flow(flow, version=version)
    if as_json:
        present.print_json(detail)
        return
    _print_flow(detail)


def _print_flow(detail: FlowDetail) -> None:
    out = present.console()
    summary, spec = detail.summary, detail.version.spec
    out.print(present.plain(_name(summary), "bold"), f"version {detail.version.version}", sep="  ")
    facts = present.table("", "")
    facts.show_header = False
    for key, value in (
        ("schedule", (summary.schedule_text or "on demand") + ("  (paused)" if summary.paused else "")),
        ("next run", present.moment(summary.next_run_at) or "-"),
        ("code", f"{spec.storage.kind} storage: {spec.storage.location}"),
        ("sha256", spec.storage.sha256 or "not pinned"),
        ("labels", ", ".join(spec.labels) or "none: any agent takes it"),
        (
            "run config",
            spec.run_config.kind + "".join(f" {k}={v}" for k, v in spec.run_config.options.items()),
        ),
        (
            "parameters",
            ", ".join(f"{p.name}" + ("" if p.required else f"={p.default!r}") for p in spec.parameters)
            or "none",
        ),
        ("registered", present.moment(detail.version.registered_at)),
    ):
        facts.add_row(key, present.plain(value))
    out.print(facts)
    waits: dict[str, list[str]] = {}
    hidden = {task.slug for task in spec.tasks if task.role in {"setup", "parameters"}}
    names = {task.slug: task.name for task in spec.tasks}
    for edge in spec.edges:
        if edge.upstream not in hidden and edge.downstream not in hidden:
            label = names.get(edge.upstream, edge.upstream)
            if edge.names:
                label += f" ({', '.join(edge.names)})"
            waits.setdefault(edge.downstream, []).append(label)
    tasks = present.table("task", "waits for", "retries>", "timeout>", "trigger")
    for task in spec.tasks:
        if task.slug not in hidden:
            tasks.add_row(
                present.plain(task.name, "bold"),
                present.plain(", ".join(waits.get(task.slug, [])) or "-"),
                str(task.max_retries or "-"),
                present.duration(task.timeout_s) or "-",
                present.plain(task.trigger),
            )
    out.print(tasks)
    if hidden:
        cells = "a setup cell, which runs" if len(hidden) == 1 else f"{len(hidden)} setup cells, which run"
        out.print(f"(and {cells} first)", style="bright_black")
    if detail.runs:
        runs = present.table("last runs", "state", "started", "took>")
        for run in detail.runs:
            runs.add_row(
                present.plain(run.name),
                present.state(run.state.type),
                present.moment(run.started_at or run.scheduled_at),
                present.between(run.started_at, run.ended_at),
            )
        out.print(runs)


@click.command()
@click.argument("flow")
@json_option
def explain(flow: str, as_json: bool) -> None:
    """Where is its code, who runs it, why does it not start?"""
    answer = connect().explain_flow(flow)
    if as_json:
        present.print_json(answer)
        return
    _print_explanation(answer)


def _takes(match: AgentMatch) -> str:
    if not match.takes:
        return match.reason
    return f"takes it, but {match.reason}" if match.reason else "takes it"


def _print_explanation(answer: Explanation) -> None:
    out = present.console()
    out.print(present.plain(answer.flow, "bold"))
    rows = present.table("", "")
    rows.show_header = False
    rows.add_row("where is my code?", present.plain(answer.where_code))
    rows.add_row("what does the server have?", present.plain(answer.what_server_has))
    who = [f"{match.agent}: {_takes(match)}" for match in answer.who_runs]
    rows.add_row(
        "who runs it?",
        present.plain_lines("\n".join(who) or "no agent has been seen; start one: jupyter flows agent start"),
    )
    rows.add_row("when?", present.plain(answer.schedule or "on demand"))
    for at in answer.next_runs:
        rows.add_row("", present.moment(at))
    for sentence in answer.sentences:
        rows.add_row("", present.plain(sentence))
    for run, reasons in answer.waiting.items():
        rows.add_row(present.plain(f"why does {run} wait?"), present.plain_lines("\n".join(reasons)))
    out.print(rows)


@click.command()
@click.argument("flow")
@json_option
def pause(flow: str, as_json: bool) -> None:
    """Stop making scheduled runs of a flow; those not started are withdrawn."""
    summary = connect().pause_flow(flow)
    if as_json:
        present.print_json(summary)
    else:
        click.echo(
            f"{_name(summary)} is paused: no scheduled runs until 'jupyter flows resume {summary.name}'."
        )


@click.command()
@click.argument("flow")
@json_option
def resume(flow: str, as_json: bool) -> None:
    """Make scheduled runs of a flow again, from now on."""
    summary = connect().resume_flow(flow)
    if as_json:
        present.print_json(summary)
    else:
        when = present.moment(summary.next_run_at)
        click.echo(
            f"{_name(summary)} is active" + (f"; next run {when}." if when else "; it has no schedule.")
        )


@click.command()
@click.argument("flow")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(flow: str, yes: bool) -> None:
    """Forget a flow, its versions and ended runs. Its code in storage stays."""
    api = connect()
    detail = api.get_flow(flow)
    if not yes:
        click.confirm(f"Forget {_name(detail.summary)}, its versions and its runs?", abort=True)
    api.delete_flow(detail.summary.id)
    click.echo(
        f"{_name(detail.summary)} is forgotten; its code stays at {detail.version.spec.storage.location}."
    )


def _name(flow: FlowSummary) -> str:
    return flow.name if flow.project == "default" else f"{flow.project}/{flow.name}"
