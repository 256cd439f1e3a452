"""What must hold before a notebook is executed by hand: its kernel is here, its parameters are its own.

Whoever types a command can mend it at once, so what a run of an agent or papermill puts up with is refused:
nothing ran, nothing was written.
"""

from __future__ import annotations

import ast
import importlib.util
import keyword
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_flows.core.near import listed, near_or_all
from jupyter_flows.errors import (
    InvalidNotebook,
    InvalidOption,
    InvalidParameters,
    KernelNotFound,
    PackageMissing,
)
from jupyter_flows.notebook.cell_task import CellTask
from jupyter_flows.notebook.read import NotebookCells, notebook_cells, notebook_content, read_text
from jupyter_flows.notebook.transform import plain_python
from jupyter_flows.notebook.write import KEY
from jupyter_flows.runtime.earlier import checkpoint_beside
from jupyter_flows.runtime.kernels import installed_kernels, require_kernel

if TYPE_CHECKING:
    from jupyter_flows.core.graph import FlowGraph


def require_address(address: str) -> None:
    """Refuse an address that papermill does not write to here.

    Raises
    ------
    InvalidOption : it knows no such kind of address.
    PackageMissing : it needs a package for it.
    """
    from papermill.iorw import LocalHandler, papermill_io

    scheme = address.partition("://")[0]
    if isinstance(papermill_io.get_handler(address), LocalHandler):
        msg = f"{address}: papermill writes to no {scheme}://; it knows {listed(_PACKAGES)}, https, and files"
        raise InvalidOption(msg)
    module, extra = _PACKAGES.get(scheme, ("", ""))
    if module and not _is_installed(module):
        msg = f"{address}: {module} is not installed; 'pip install papermill[{extra}]' adds it"
        raise PackageMissing(msg)


_PACKAGES = {
    "s3": ("boto3", "s3"),
    "gs": ("gcsfs", "gcs"),
    "abs": ("azure.storage.blob", "azure"),
    "adl": ("azure.datalake.store", "azure"),
    "hdfs": ("pyarrow", "hdfs"),
}
"""What papermill imports to write to an address, and the extra of papermill that installs it."""


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False  # nor is the package that it would be in


def require_place(target: Path, *, source: Path) -> None:
    """Refuse a place where the executed notebook cannot be written, or would replace what no run has made.

    Raises
    ------
    InvalidOption : what is in the way.
    """
    try:
        why = _in_the_way(target.absolute(), target.parent, source)
    except OSError as error:
        why = f"cannot be written: {error.strerror or error}"
    if why:
        msg = f"{target}: {why}"
        raise InvalidOption(msg)


def _in_the_way(place: Path, parent: Path, source: Path) -> str:
    # Also by another name of the same file: a link would be followed.
    if place == source.absolute() or (place.exists() and source.exists() and place.samefile(source)):
        return "this is the notebook itself, which is never changed; name another file to write"
    if not place.parent.is_dir():
        return f"there is no directory {parent} to write it to"
    if place.is_dir():
        return "this is a directory; name a file to write in it"
    if _is_of_no_run(place):
        return "a notebook that no run has written would be lost; name another file to write"
    beside = checkpoint_beside(place)
    if beside.is_file():
        return f"what cells give would be kept in {beside.name}, which is no directory; remove it"
    if not beside.is_dir():
        beside.mkdir(mode=0o700)
        beside.rmdir()
    return ""


def _is_of_no_run(path: Path) -> bool:
    """Whether a notebook with code lies at *path* that neither papermill nor we have written."""
    try:
        content = notebook_content(read_text(path), path=str(path))
        has_code = any(cell.source.strip() for cell in notebook_cells(content, path=str(path)).cells)
    except InvalidNotebook:
        return False
    return has_code and not {"papermill", KEY} & content.get("metadata", {}).keys()


def require_kernel_of(notebook: NotebookCells, name: str, *, is_asked: bool) -> None:
    """Refuse a kernel that is not installed; *is_asked*: it was named on the command line.

    Raises
    ------
    KernelNotFound : with those that are.
    """
    try:
        require_kernel(name)
    except KernelNotFound:
        found = installed_kernels()
        # The path of each is what tells two kernels apart that are called alike.
        there = f"installed are {listed(found) or 'none'} (jupyter kernelspec list)"
        if is_asked:
            near = get_close_matches(name, found, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            msg = f"no kernel is called {name!r}; {hint}{there}"
        else:
            or_else = " or run it in another one with --kernel NAME" if found else ""
            msg = f"{notebook.path} asks for kernel {name!r}, which is not here; install it{or_else}; {there}"
        raise KernelNotFound(msg) from None


def require_parameters(notebook: NotebookCells, graph: FlowGraph | None, given: Iterable[str]) -> str:
    """Refuse parameters that the notebook does not have.

    Parameters
    ----------
    notebook : NotebookCells
    graph : FlowGraph, optional
        None: it is written in another language.
    given : iterable of str

    Returns
    -------
    str
        What is to be said, if no cell says which parameters there are: then papermill's convention holds,
        and they are set above the first cell. Empty if one does.

    Raises
    ------
    InvalidParameters : which one, and the nearest.
    """
    given = list(given)
    for name in given:
        if graph is not None and (not name.isidentifier() or keyword.iskeyword(name)):
            msg = f"parameter {name!r} is not the name of a variable"
            raise InvalidParameters(msg)
    cells = [cell for cell in notebook.cells if "parameters" in cell.tags or is_marked(cell.source)]
    if cells:
        known = _bound([cell.source for cell in cells]) if graph is not None else None
        for name in given:
            if known is not None and name not in known:
                msg = f"{notebook.path} has no parameter {name!r}; {near_or_all(name, known)}"
                raise InvalidParameters(msg)
        return ""
    if not given:
        return ""
    are, them = ("is", "it") if len(given) == 1 else ("are", "them")
    again = [
        f"cell {task.index} sets {name} again"
        for name in given
        for task in (graph.tasks if graph is not None else ())
        if isinstance(task, CellTask) and name in task.writes
    ]
    lost = f"; but {', '.join(again[:3])}: tag the cell that sets {them} `parameters`" if again else ""
    where = f"so {listed(given)} {are} set above the first cell"
    return f"{notebook.path}: no cell is tagged `parameters`, {where}{lost}"


def is_marked(source: str) -> bool:
    """Whether a cell begins with ``%%parameters``."""
    return plain_python(source).marker == "parameters"


def _bound(sources: Iterable[str]) -> list[str] | None:
    """Return the names that cells bind or declare; None if the source does not tell."""
    found: dict[str, Any] = {}
    for source in sources:
        try:
            tree = ast.parse(plain_python(source).source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
                return None
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found[node.id] = node
    return list(found)
