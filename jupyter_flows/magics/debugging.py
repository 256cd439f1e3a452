"""``%flow debug``: the variables of a failed run, here, as they were before the cell that failed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_flows.errors import InvalidNotebook, InvalidOption

if TYPE_CHECKING:
    from jupyter_flows.notebook.flow_line import FlowLine


def debug(shell: Any, asked: FlowLine) -> None:
    """Restore a run's variables, and put the failed cell's source into the next cell.

    ``%flow debug RUN [TASK]``, where RUN is a run's name or id, or the path of an executed notebook.

    Raises
    ------
    InvalidOption : no run is named.
    InvalidNotebook, CheckpointUnreadable : there is nothing to restore.
    """
    from jupyter_flows.runtime.restored import restore

    if not asked.words:
        msg = "%flow debug: name a run, or the path of an executed notebook: %flow debug RUN [TASK]"
        raise InvalidOption(msg)
    path = executed_notebook(asked.words[0])
    found = restore(path, shell, task=asked.words[1] if len(asked.words) > 1 else None)
    lines = [f"as before cell {found.cell} ({found.task}) of {path}"]
    if found.names:
        lines.append(f"restored: {', '.join(found.names)}")
    if found.setup:
        lines.append(f"run again: {', '.join(found.setup)}")
    lines += [f"not here: `{name}`: {why}" for name, why in found.missing.items()]
    print("\n".join(lines))  # noqa: T201
    shell.set_next_input(found.source)


def executed_notebook(word: str) -> Path:
    """Return the executed notebook that a person means by a path, or by a run's name or id.

    Raises
    ------
    InvalidNotebook : the run has none, or it lies on another machine.
    """
    path = Path(word).expanduser()
    if word.endswith(".ipynb"):
        return path
    from jupyter_flows.client import connect

    api = connect()
    try:
        run = api.get_run(word)
    finally:
        api.close()
    if run.result is None or not run.result.location.endswith(".ipynb"):
        msg = f"run {run.name} is {run.state.type} and has left no executed notebook"
        raise InvalidNotebook(msg)
    host = os.uname().nodename
    if run.result.host and run.result.host != host:
        msg = (
            f"the executed notebook of run {run.name} lies on {run.result.host}, and this is {host}: go there"
        )
        raise InvalidNotebook(msg)
    return Path(run.result.location)
