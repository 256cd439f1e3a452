"""``jupyter flows infer``: the flow that a notebook already is, without an edit and without running it."""

from __future__ import annotations

import click
import msgspec

from jupyter_flows.cli.present import console, plain, print_json


@click.command("infer")
@click.argument("path", metavar="NOTEBOOK")
@click.option("--by-heading", is_flag=True, help="The cells under one Markdown heading are one task.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(path: str, *, by_heading: bool, as_json: bool) -> None:
    """Show NOTEBOOK as a flow in which every cell is a task; nothing is run, nothing is changed.

    Its tasks and what each needs, how many can run at once, the longest chain, and the cells that keep
    everything else waiting.
    """
    from jupyter_flows.notebook.infer import infer
    from jupyter_flows.notebook.inferred_text import inferred_lines
    from jupyter_flows.notebook.read import read_notebook

    found = infer(read_notebook(path), by_heading=by_heading)
    if as_json:
        more = {"widest": found.widest, "barriers": [task.index for task in found.barriers]}
        print_json({**msgspec.to_builtins(found), **more})
        return
    out = console()
    for line in inferred_lines(found):
        out.print(plain(line), soft_wrap=True)
