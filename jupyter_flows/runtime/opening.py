"""A notebook's text to an open notebook that can run: parsed, parameterised, in its directory."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jupyter_flows.errors import InvalidNotebook
from jupyter_flows.notebook.transform import plain_python

DEFAULT_KERNEL = "python3"
_TAG = "parameters"


def opened(text: str, *, location: str) -> Any:
    """Return the notebook that *text* holds, with papermill's metadata.

    Raises
    ------
    InvalidNotebook : it cannot run; *location* names it.
    """
    import nbformat
    from papermill.iorw import load_notebook_node

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of cells without ids, which get some
            nb = nbformat.reads(text, as_version=4)
        for cell in nb.cells:
            if cell.cell_type == "code":
                # What is written by hand or by a program often has none of these.
                cell.setdefault("outputs", [])
                cell.setdefault("execution_count", None)
        return load_notebook_node(nb)
    except Exception as error:
        msg = f"{location}: no notebook that can run ({type(error).__name__}); open and save it in JupyterLab"
        raise InvalidNotebook(msg) from error


def parameterised(nb: Any, values: Mapping[str, Any], *, kernel_name: str) -> Any:
    """Return the notebook with a cell that sets its parameters, as papermill writes it.

    Raises
    ------
    InvalidNotebook : they cannot be written in the kernel's language.
    """
    from papermill.exceptions import PapermillException
    from papermill.parameterize import parameterize_notebook

    log = logging.getLogger("papermill")
    # It would say that no cell has the tag; whoever reads the cells says more.
    was_disabled, log.disabled = log.disabled, True
    marked = _marked(nb)
    if marked is not None:
        marked.metadata["tags"] = [*marked.metadata.get("tags", ()), _TAG]
    try:
        made = parameterize_notebook(nb, dict(values), kernel_name=kernel_name, engine_name="flows")
    except (PapermillException, KeyError, ValueError) as error:
        msg = f"parameters cannot be written for kernel {kernel_name}: {type(error).__name__}"
        raise InvalidNotebook(msg) from error
    finally:
        log.disabled = was_disabled
        if marked is not None:
            marked.metadata["tags"].remove(_TAG)
    return made


def _marked(nb: Any) -> Any:
    """Return the last cell that begins with ``%%parameters``, if papermill finds none by its tag.

    The last: what is set below it is not set again by another one.
    """
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    if any(_TAG in cell.metadata.get("tags", ()) for cell in code):
        return None
    return next((cell for cell in reversed(code) if plain_python(cell.source).marker == "parameters"), None)


@contextlib.contextmanager
def working_in(path: Path) -> Iterator[None]:
    """Let this process work in a directory for a while."""
    before = Path.cwd()
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(before)
