"""``jupyter flows check``: prove a notebook's graph by running its cells by it."""

from __future__ import annotations

import signal
import sys

import click
import msgspec

from jupyter_flows.cli.present import console, plain, print_json
from jupyter_flows.core.duration import parse_duration


@click.command("check")
@click.argument("path", metavar="NOTEBOOK")
@click.option("--runs", default=2, show_default=True, type=click.IntRange(1, 100), help="Shuffled orders.")
@click.option("--seed", default=0, show_default=True, type=int, help="Of the shuffling.")
@click.option(
    "--budget",
    default="60s",
    show_default=True,
    help="How long leaving out each cell in turn may take; the cheap ones come first. 0s: not at all.",
)
@click.option(
    "--cell-timeout",
    default="10m",
    show_default=True,
    help="A cell that takes longer is ended, and counts as failed.",
)
@click.option("--all-cells", is_flag=True, help="Check cells that are marked to be skipped, too.")
@click.option("--kernel", metavar="NAME", help="Kernel to run it in; default: the notebook's own.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(
    path: str,
    *,
    runs: int,
    seed: int,
    budget: str,
    cell_timeout: str,
    all_cells: bool,
    kernel: str | None,
    as_json: bool,
) -> int:
    """Run NOTEBOOK from top to bottom and by its graph, and name each cell that then gives something else.

    Its cells are run many times, in a copy of its directory; the notebook itself is not changed. Exit code:
    0 the graph holds for all cells that could be compared, 1 it does not, a cell failed or none could be
    compared, 2 it could not be checked.
    """
    from jupyter_flows.check import check_notebook

    budget_s = parse_duration(budget).total_seconds()
    cell_limit_s = parse_duration(cell_timeout).total_seconds()
    shows_steps = not as_json and sys.stderr.isatty()

    def step(text: str) -> None:
        if shows_steps:
            click.echo(f"  … {text}", err=True)

    # Whoever ends this process politely wants no kernels and no copies left either.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        report = check_notebook(
            path,
            runs=runs,
            seed=seed,
            all_cells=all_cells,
            budget_s=budget_s,
            cell_limit_s=cell_limit_s,
            kernel_name=kernel,
            on_step=step,
        )
    finally:
        signal.signal(signal.SIGTERM, before)
    if as_json:
        print_json({"holds": report.holds, "summary": report.summary, **msgspec.to_builtins(report)})
    else:
        out = console()
        for line in report.lines[:-1]:
            out.print(plain(line), soft_wrap=True)
        out.print(plain(report.summary, "green" if report.holds else "bold red"), soft_wrap=True)
    return 0 if report.holds else 1
