"""Where a flow that is registered came from."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

from jupyter_flows.notebook.read import NotebookCells
from jupyter_flows.storage import Local, Notebook, Storage


class Source:
    """Where a flow came from: decides its default storage, and what is written.

    Parameters
    ----------
    notebook : NotebookCells, optional
        The notebook as it is on disk.
    path : Path, optional
        The notebook's or script's file.
    module : module, optional
        The executed script; its functions go into a pickle by value.
    sha256 : str, optional
        Of the script as it was before it was executed.
    all_cells : bool
        Plain cells of the notebook are tasks.
    by_heading : bool
        Those under one heading are one task.
    """

    def __init__(
        self,
        *,
        notebook: NotebookCells | None = None,
        path: Path | None = None,
        module: ModuleType | None = None,
        sha256: str | None = None,
        all_cells: bool = False,
        by_heading: bool = False,
    ) -> None:
        self.all_cells = all_cells
        self.by_heading = by_heading
        self.notebook = notebook
        self.sha256 = sha256
        self.path = path
        self.module = module

    @property
    def directory(self) -> Path | None:
        """Directory of the notebook or script, where an agent of this machine finds modules too."""
        return self.path.parent if self.path is not None else None

    def default_storage(self) -> Storage:
        """A notebook is kept as itself, a script too; anything else as a pickle."""
        if self.notebook is not None:
            return Notebook()
        return Local(stored_as_script=self.path is not None and self.module is not None)


def source_here() -> Source:
    """Return the notebook whose kernel this is, or the script that runs as a program, as far as known.

    Runs on this machine then begin in its directory, and find modules that lie beside it.
    """
    session = os.environ.get("JPY_SESSION_NAME", "")
    program = sys.modules.get("__main__")
    # With "python -m" the file is a tool's, not the user's.
    file = getattr(program, "__file__", None) if getattr(program, "__spec__", None) is None else None
    for name in (session if session.endswith(".ipynb") else "", file or ""):
        if name.endswith((".ipynb", ".py")) and Path(name).is_file():
            return Source(path=Path(name).absolute())
    return Source()
