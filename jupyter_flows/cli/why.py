"""``jupyter flows why``: the reasons of an edge."""

from __future__ import annotations

import click

from jupyter_flows.cli.present import console, plain, print_json


@click.command("why")
@click.argument("path", metavar="NOTEBOOK")
@click.argument("first", metavar="TASK")
@click.argument("second", metavar="TASK")
@click.option("--all-cells", is_flag=True, help="Treat every code cell as a task.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(path: str, first: str, second: str, *, all_cells: bool, as_json: bool) -> None:
    """Say why one task of NOTEBOOK waits for another, or that it does not; nothing is run.

    A TASK is a name, or the number of a code cell.
    """
    from jupyter_flows.notebook.outline import analyse_notebook
    from jupyter_flows.notebook.read import read_notebook
    from jupyter_flows.notebook.reasons import reasons

    notebook = read_notebook(path)
    lines = reasons(analyse_notebook(notebook, all_cells=all_cells), first, second, notebook=notebook)
    if as_json:
        print_json({"sentences": lines})
        return
    out = console()
    for line in lines:
        out.print(plain(line), soft_wrap=True)
