"""``jupyter flows debug``: a failed run's notebook with its variables, to look at what went wrong."""

from __future__ import annotations

import itertools
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from jupyter_flows.errors import InvalidOption
from jupyter_flows.notebook.read import notebook_content, read_text

_FIRST = "flows-debug"
"""Id of the cell that restores, by which a notebook of this command is known."""


@click.command("debug")
@click.argument("run")
@click.argument("task", required=False)
@click.option("--lab", is_flag=True, help="Open the notebook in JupyterLab.")
def command(run: str, task: str | None, *, lab: bool) -> int:
    """Write a notebook that begins with the variables of RUN, as they were before the cell that failed.

    RUN is a run's name or id, or the path of an executed notebook; TASK another task than the first that
    failed. Its first cell restores the variables into whatever kernel it is run in; below it stands the
    executed notebook, with all outputs. A notebook that is there already is left alone.
    """
    from jupyter_flows.magics.debugging import executed_notebook
    from jupyter_flows.runtime.restored import restorable

    source = executed_notebook(run)
    content = notebook_content(read_text(source), path=str(source))
    cells = content.get("cells")
    if isinstance(cells, list) and cells and isinstance(cells[0], dict) and cells[0].get("id") == _FIRST:
        msg = f"{source} was written by this command; name the executed notebook, or the run"
        raise InvalidOption(msg)
    before = restorable(source, task=task)
    first: dict[str, Any] = {
        "cell_type": "code",
        "id": _FIRST,
        "metadata": {"tags": ["skip"]},
        "source": f'%load_ext jupyter_flows\n%flow debug "{source.absolute()}"'
        + (f" {shlex.quote(task)}" if task else ""),
        "outputs": [],
        "execution_count": None,
    }
    # Cells have ids since format 4.5.
    made = {
        **content,
        "nbformat_minor": max(5, content.get("nbformat_minor", 0)),
        "cells": [first, *content["cells"]],
    }
    target = _written(json.dumps(made), Path.cwd(), source.stem)
    click.echo(f"{target}: run its first cell, and the variables are there as before {before}")
    if lab:
        return subprocess.run([sys.executable, "-m", "jupyter", "lab", str(target)], check=False).returncode  # noqa: S603
    return 0


def _written(text: str, directory: Path, stem: str) -> Path:
    """Write a notebook under a name that is free: somebody may have worked in the last one."""
    from jupyter_flows.notebook.write import write_atomically

    for number in itertools.count(1):
        target = directory / (f"{stem}.debug.ipynb" if number == 1 else f"{stem}.debug-{number}.ipynb")
        try:
            if not target.exists():
                write_atomically(target, text, durable=False)
            elif target.read_text(encoding="utf-8") != text:
                continue
        except OSError as error:
            msg = f"{target}: cannot be written: {error.strerror or error}"
            raise InvalidOption(msg) from error
        return target
    raise AssertionError
