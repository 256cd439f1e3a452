"""``jupyter flows debug``: a failed run's notebook with its variables, to look at what went wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from jupyter_flows.errors import InvalidOption
from jupyter_flows.notebook.read import notebook_content, read_text


@click.command("debug")
@click.argument("run")
@click.argument("task", required=False)
@click.option("--lab", is_flag=True, help="Open the notebook in JupyterLab.")
def command(run: str, task: str | None, *, lab: bool) -> int:
    """Write a notebook that begins with the variables of RUN, as they were before the cell that failed.

    RUN is a run's name or id, or the path of an executed notebook; TASK another task than the first that
    failed. Its first cell restores the variables into whatever kernel it is run in; below it stands the
    executed notebook, with all outputs.
    """
    from jupyter_flows.magics.debugging import executed_notebook

    source = executed_notebook(run)
    content = notebook_content(read_text(source), path=str(source))
    target = Path.cwd() / f"{source.stem}.debug.ipynb"
    if target.absolute() == source.absolute():
        msg = f"{source} was written by this command; name the executed notebook, or the run"
        raise InvalidOption(msg)
    first: dict[str, Any] = {
        "cell_type": "code",
        "id": "flows-debug",
        "metadata": {"tags": ["skip"]},
        "source": f'%load_ext jupyter_flows\n%flow debug "{source.absolute()}"'
        + (f" {task}" if task else ""),
        "outputs": [],
        "execution_count": None,
    }
    target.write_text(json.dumps({**content, "cells": [first, *content["cells"]]}), encoding="utf-8")
    click.echo(f"{target}: run its first cell, and the variables are there")
    if lab:
        return subprocess.run([sys.executable, "-m", "jupyter", "lab", str(target)], check=False).returncode  # noqa: S603
    return 0
