"""``jupyter flows execute``: a notebook, headless, here and now; no server, no agent."""

from __future__ import annotations

import re
import shlex
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from jupyter_flows.cli import present
from jupyter_flows.cli.present import console, plain, print_json
from jupyter_flows.core.duration import parse_duration
from jupyter_flows.core.parameter import read_values
from jupyter_flows.errors import InvalidNotebook, InvalidOption
from jupyter_flows.runtime import redact
from jupyter_flows.runtime.report_pipe import ReportPipe

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import Console

    from jupyter_flows.schema.runs import StateName

SAID_LIMIT = 200
"""Characters of what an exception said that stand in the line of its task."""

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", re.IGNORECASE)
_LEAST_MEMORY = 16 << 20
"""Half of what a kernel takes that does nothing: a unit was forgotten."""
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@click.command("execute")
@click.argument("source", metavar="NOTEBOOK")
@click.argument("output", metavar="[OUT]", required=False)
@click.option("-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter; repeat it.")
@click.option(
    "--parallel",
    type=click.Choice(["off", "threads", "processes"]),
    help="Run cells that do not need one another at once; default: as the notebook's %flow says, else off.",
)
@click.option("-j", "--jobs", type=click.IntRange(1, 256), help="Most cells at once; default: 2 x cores.")
@click.option("--all-cells", is_flag=True, help="Each plain cell is a task: for notebooks without %%task.")
@click.option("--by-heading", is_flag=True, help="The cells under one Markdown heading are one task.")
@click.option("--resume", metavar="EXECUTED", help="Go on with the failed run that wrote this notebook.")
@click.option("--force", is_flag=True, help="With --resume: take results of cells that have changed.")
@click.option("--only", multiple=True, metavar="TASK", help="Run this task and what it needs; repeat it.")
@click.option("--from", "start", metavar="TASK", help="Run this task and all below it.")
@click.option("--timeout", metavar="TIME", help="For the whole notebook, e.g. 2h; what was done is kept.")
@click.option("--cell-timeout", metavar="TIME", help="For each cell without a timeout of its own.")
@click.option("--memory-limit", metavar="SIZE", help="For each kernel, e.g. 4G.")
@click.option("--no-checkpoint", is_flag=True, help="Keep nothing to go on from.")
@click.option("--kernel", metavar="NAME", help="Kernel to run it in; default: the notebook's own.")
@click.option("--json", "as_json", is_flag=True, help="Print how it ended as JSON.")
def command(
    source: str,
    output: str | None,
    *,
    params: tuple[str, ...],
    parallel: Literal["off", "threads", "processes"] | None,
    jobs: int | None,
    all_cells: bool,
    by_heading: bool,
    resume: str | None,
    force: bool,
    only: tuple[str, ...],
    start: str | None,
    timeout: str | None,
    cell_timeout: str | None,
    memory_limit: str | None,
    no_checkpoint: bool,
    kernel: str | None,
    as_json: bool,
) -> int:
    """Run NOTEBOOK in its own directory, and write the executed notebook to OUT.

    OUT is NAME.executed.ipynb by default; any address that papermill writes to will do. What cells give is
    kept beside it until the run has succeeded, so that a failed one goes on with --resume OUT where it
    stopped. Exit code: 0 the flow succeeded and OUT is whole, 1 not so, 2 it could not be run.
    """
    from jupyter_flows.runtime.before_run import require_address, require_place
    from jupyter_flows.runtime.execute_alone import execute_alone
    from jupyter_flows.runtime.run_options import RunOptions

    path = Path(source)
    target = output or str(path.parent / f"{path.stem}.executed.ipynb")
    if "://" in source:
        msg = f"{source}: not a file of this machine; fetch it first, or run it with papermill --engine flows"
        raise InvalidOption(msg)
    if "://" in target:
        require_address(target)
    else:
        require_place(Path(target), source=path)
    if force and resume is None:
        msg = "--force goes with --resume: it takes results of cells that have changed since"
        raise InvalidOption(msg)
    options = RunOptions(
        parallel=parallel,
        jobs=jobs or 0,
        only=only,
        start=start,
        time_limit_s=_limit("--timeout", timeout),
        cell_timeout_s=_limit("--cell-timeout", cell_timeout),
        memory_limit_bytes=None if memory_limit is None else read_size(memory_limit, least=_LEAST_MEMORY),
    )
    parameters = read_values(params, defaults=_defaults(path))
    out = console()
    if not as_json:
        _print_plan(out, path, Path(target), options.most_kernels, parallel or "off", all_cells or by_heading)
    # Whoever ends this process politely wants no kernel left either.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        done = execute_alone(
            path,
            target,
            options=options,
            parameters=parameters,
            kernel_name=kernel,
            all_cells=all_cells,
            by_heading=by_heading,
            resume=None if resume is None else Path(resume),
            is_forced=force,
            keeps=not no_checkpoint,
            pipe=_Printer(None if as_json else out),
        )
    finally:
        signal.signal(signal.SIGTERM, before)
    if as_json:
        print_json(done)
    else:
        out.print(present.state(done.state), plain(done.message), soft_wrap=True)
        if done.unsaved:
            out.print(plain(done.unsaved, "red"), soft_wrap=True)
        else:
            out.print(plain(f"executed notebook: {done.output}"), soft_wrap=True)
        if done.checkpoint is not None:
            given: dict[str, _Value] = {
                "--parallel": parallel,
                "--jobs": jobs,
                "--all-cells": all_cells,
                "--by-heading": by_heading,
                "--only": only,
                "--from": start,
                "--kernel": kernel,
                "--timeout": timeout,
                "--cell-timeout": cell_timeout,
                "--memory-limit": memory_limit,
            }
            again = shlex.join([source, target, "--resume", target, *_typed_again(given)])
            out.print(plain(f"go on from there:  jupyter flows execute {again}"), soft_wrap=True)
    return 0 if done.state in {"Success", "Skipped"} and not done.unsaved else 1


_Value = str | int | bool | tuple[str, ...] | None


def _typed_again(options: Mapping[str, _Value]) -> list[str]:
    """Return options as they are typed, without those that were not given.

    Examples
    --------
    >>> _typed_again({"--parallel": "threads", "--jobs": None, "--all-cells": True, "--only": ("a", "b")})
    ['--parallel', 'threads', '--all-cells', '--only', 'a', '--only', 'b']
    """
    typed: list[str] = []
    for name, given in options.items():
        for value in given if isinstance(given, tuple) else (given,):
            if value is not None and value is not False:
                typed += [name] if value is True else [name, str(value)]
    return typed


def _limit(option: str, text: str | None) -> float | None:
    """Return the seconds that an option gives, None if it was not given."""
    seconds = None if text is None else parse_duration(text).total_seconds()
    if seconds == 0:
        msg = f"{option} {text} leaves no time for anything; give more than zero, such as {option} 10m"
        raise InvalidOption(msg)
    return seconds


def read_size(text: str, *, least: int = 1) -> int:
    """Return the bytes that a person means by ``512M`` or ``4G``.

    Raises
    ------
    InvalidOption : it is no size, or is less than *least*.

    Examples
    --------
    >>> read_size("1.5K")
    1536
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None or float(found[1]) <= 0:
        msg = f"{text!r} is no size; write it as 512M or 4G"
        raise InvalidOption(msg)
    size = int(float(found[1]) * _UNITS[found[2].upper()])
    if size < least:
        msg = f"{text!r} is {size} bytes, in which no kernel can start; write it as 512M or 4G"
        raise InvalidOption(msg)
    return size


class _Printer(ReportPipe):
    """Prints states of tasks as they come."""

    def __init__(self, out: Console | None) -> None:
        super().__init__(None)
        self._out = out
        self._began: dict[str, float] = {}
        self._said: dict[str, tuple[str, str]] = {}

    def log(
        self, level: str, text: str, *, logger: str = "jupyter_flows.run", task: str | None = None
    ) -> None:
        """Print what is not said by states anyway."""
        del logger, task
        if level == "WARNING":
            # On stderr: whoever reads the JSON, or throws the states away, is to see it all the same.
            console(stderr=True).print(plain(text, "yellow"), soft_wrap=True)
        elif self._out is not None and (text.startswith("resumed") or " runs again: " in text):
            self._out.print(plain(text), soft_wrap=True)

    def said_here(self, slug: str, class_name: str, said: str) -> None:
        """Keep it for the line of the task, with the run's secrets masked."""
        line = next(iter(said.strip().splitlines()), "")
        self._said[slug] = class_name, redact.cut(redact.mask(self._masked(line)), SAID_LIMIT)

    def task_state(
        self,
        slug: str,
        name: str,
        state: StateName,
        *,
        message: str = "",
        at: datetime | None = None,
        map_index: int = -1,
        attempt: int = 1,
    ) -> None:
        """Print the state of a task that has ended, or will be tried again."""
        del at, map_index, attempt
        if state == "Running":
            self._began[slug] = time.monotonic()
        if self._out is None or state in {"Running", "Pending"}:
            return
        kind, said = self._said.pop(slug, ("", ""))
        if said and message.startswith(f"{kind} in "):
            message = f"{kind}: {said} ({message.removeprefix(f'{kind} in ')})"
        seconds = f"{time.monotonic() - self._began[slug]:.1f} s" if slug in self._began else ""
        self._out.print(
            "  ", present.state(state), plain(name, "bold"), plain(seconds), plain(message), soft_wrap=True
        )


def _defaults(path: Path) -> dict[str, Any]:
    """Return the parameters' defaults, by which what was typed is read."""
    from jupyter_flows.notebook.build import parameters_of
    from jupyter_flows.notebook.read import read_notebook
    from jupyter_flows.notebook.transform import plain_python
    from jupyter_flows.runtime.before_run import is_marked

    return {
        spec.name: spec.default
        for cell in read_notebook(path).cells
        if "parameters" in cell.tags or is_marked(cell.source)
        for spec in parameters_of(plain_python(cell.source).source)
    }


def _print_plan(
    out: Console, path: Path, target: Path, kernels: int, parallel: str, every_cell: bool
) -> None:
    """Say, from the times of the last run, what running at once brings."""
    from jupyter_flows.notebook.build import build_flow
    from jupyter_flows.notebook.read import read_notebook
    from jupyter_flows.runtime.earlier import durations
    from jupyter_flows.runtime.expectation import expectation

    if not target.is_file():
        return
    try:
        graph = build_flow(read_notebook(path), path.stem, all_cells=every_cell)
    except (InvalidNotebook, ValueError, SyntaxError):
        return  # the run itself says what is wrong
    text = expectation(graph, durations(target, (task.name for task in graph.tasks)), kernels, parallel)
    if text:
        out.print(plain(text), soft_wrap=True)
