"""What JupyterLab's *Register* button calls in the notebook's kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def register_from_front_end(path: str) -> None:
    """Register the saved notebook at *path* and display the receipt; a refusal is one sentence on stderr.

    Parameters
    ----------
    path : str
        As the front end knows it: absolute, or below the directory that its server shows (a drive prefix
        such as ``RTC:`` is dropped).
    """
    import sys

    from IPython.display import display

    from jupyter_flows.errors import FlowsError
    from jupyter_flows.magics import recorder
    from jupyter_flows.registering import register_notebook

    try:
        found = find_notebook(path)
        recorded = recorder()
        if recorded is not None:
            recorded.path = found
            recorded.check_saved(found)
        receipt: Any = register_notebook(found)
    except FlowsError as error:
        print(f"{error}", file=sys.stderr)  # noqa: T201 - the front end shows it
        return
    display(receipt)


def find_notebook(path: str, *, then: str = "register again") -> Path:
    """Return the notebook's file for a path that a front end gave; *then* is what to do once it is there."""
    import os

    from jupyter_flows.errors import NotebookNotSaved

    plain = Path(path.split(":", 1)[1] if ":" in path.split("/", maxsplit=1)[0] else path)
    named = os.environ.get("JPY_SESSION_NAME", "")
    candidates = [plain] if plain.is_absolute() else []
    if named:
        # The kernel knows where it was started for; the file may have been renamed since. This goes before
        # the working directory, which cells may have changed.
        candidates.append(Path(named).parent / plain.name)
    candidates += [Path.cwd() / plain, Path.cwd() / plain.name]
    for candidate in candidates:
        if candidate.is_file():
            return candidate.absolute()
    msg = f"the notebook {str(plain)!r} is not on disk; save it (Ctrl+S) and {then}"
    raise NotebookNotSaved(msg)
