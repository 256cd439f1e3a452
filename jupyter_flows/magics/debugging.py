"""``%flow debug``, and a front end's *Debug*: a failed run's variables, as before the cell that failed."""

from __future__ import annotations

import itertools
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_flows.errors import InvalidNotebook, InvalidOption, ServerNotRunning
from jupyter_flows.notebook.read import notebook_content, read_text
from jupyter_flows.notebook.write import KEY

if TYPE_CHECKING:
    from jupyter_flows.notebook.flow_line import FlowLine
    from jupyter_flows.runtime.restored import Restored

DEBUG_TYPE = "application/vnd.jupyter-flows.debug+json"
"""What is told to a front end."""


def debug(shell: Any, asked: FlowLine) -> None:
    """Restore a run's variables, and put the failed cell's source into the next cell.

    ``%flow debug RUN [TASK]``, where RUN is a run's name or id, or the path of an executed notebook.

    Raises
    ------
    InvalidOption : no run is named.
    InvalidNotebook, CheckpointUnreadable : there is nothing to restore.
    """
    if not asked.words:
        msg = "%flow debug: name a run, or the path of an executed notebook: %flow debug RUN [TASK]"
        raise InvalidOption(msg)
    path = executed_notebook(asked.words[0])
    found = _restored(path, shell, task=asked.words[1] if len(asked.words) > 1 else None)
    lines = [f"as before cell {found.cell} ({found.task}) of {path}"]
    if found.names:
        lines.append(f"restored: {', '.join(found.names)}")
    if found.setup:
        lines.append(f"run again: {', '.join(found.setup)}")
    lines += [f"not here: `{name}`: {why}" for name, why in found.missing.items()]
    print("\n".join(lines))  # noqa: T201
    shell.set_next_input(found.source)


def _restored(path: Path, shell: Any, *, task: str | None) -> Restored:
    """Restore, and let the cells above count as run: what they made is here."""
    from jupyter_flows.runtime.restored import restore

    found = restore(path, shell, task=task)
    # A cell begins with %%task, so it needs the extension to run again.
    shell.extension_manager.load_extension("jupyter_flows")
    shell.jupyter_flows_recorder.assume(found.above)
    return found


def debug_from_front_end(path: str, task: str = "") -> None:
    """Restore the variables of the executed notebook at *path*, and display what is there as JSON.

    A refusal is one sentence on stderr.

    Parameters
    ----------
    path : str
        As the front end knows it; see :func:`jupyter_flows.magics.front_end.find_notebook`.
    task : str
        The task before which; default: the first that failed.
    """
    from IPython import get_ipython

    from jupyter_flows.magics.front_end import find_notebook

    with _told() as tell:
        found = _restored(find_notebook(path, then="debug it again"), get_ipython(), task=task or None)
        tell(
            {
                "task": found.task,
                "cell_id": found.cell_id,
                "place": found.place,
                "names": found.names,
                "setup": found.setup,
                "missing": dict(found.missing),
            }
        )


def copy_from_front_end(run: str) -> None:
    """Copy a run's executed notebook into the working directory, and display the name of the copy as JSON.

    For a front end that does not show where it lies: by default that is a hidden directory. A copy that is
    there is taken as it is, for somebody may have worked in it. A refusal is one sentence on stderr.

    Parameters
    ----------
    run : str
        Name or id.
    """
    from jupyter_flows.notebook.write import write_atomically

    with _told() as tell:
        source = executed_notebook(run)
        content = notebook_content(read_text(source), path=str(source))
        facts = content["metadata"].get(KEY, {})
        name = re.sub(r"[^\w.-]+", "-", str(facts.get("run") or source.stem))
        for number in itertools.count(1):
            target = Path.cwd() / (f"{name}.debug.ipynb" if number == 1 else f"{name}.debug-{number}.ipynb")
            if not target.exists():
                text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
                write_atomically(target, text, durable=False)
                break
            if _facts_of(target) == facts:
                break
        tell({"path": target.name})


def _facts_of(path: Path) -> Any:
    try:
        return notebook_content(read_text(path), path=str(path))["metadata"].get(KEY)
    except InvalidNotebook:
        return None


@contextmanager
def _told() -> Iterator[Callable[[dict[str, Any]], None]]:
    """Give what displays an answer to the front end; an error of ours is told in its place."""
    from IPython.display import display

    from jupyter_flows.errors import FlowsError

    try:
        yield lambda answer: display({DEBUG_TYPE: answer, "text/plain": json.dumps(answer)}, raw=True)
    except FlowsError as error:
        print(f"{error}", file=sys.stderr)  # noqa: T201 - the front end shows it


def executed_notebook(word: str) -> Path:
    """Return the executed notebook that a person means by a path, or by a run's name or id.

    Raises
    ------
    InvalidNotebook : the run has none, or it lies on another machine.
    NotFound, ServerNotRunning : it is no path, and no run is known that is called so.
    """
    path = Path(word).expanduser()
    if word.endswith(".ipynb") or path.exists():
        return path
    from jupyter_flows.client import connect

    try:
        api = connect()
        try:
            run = api.get_run(word)
        finally:
            api.close()
    except ServerNotRunning as error:
        msg = f"{word!r} is no file here, and what runs there are only a server can tell: {error}"
        raise type(error)(msg) from error
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
