"""A file's graph as plain JSON: cells with what they read and write, edges with their reasons.

Nothing is run. Reasons hold names and cell numbers, never a line of source.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyter_flows.analysis import Analysis, CellInfo, analyse
from jupyter_flows.notebook.read import NotebookCells, read_notebook


def outline(path: str | Path, *, all_cells: bool = False) -> dict[str, Any]:
    """Read the graph of a notebook or script.

    Parameters
    ----------
    path : an ``.ipynb`` or ``.py`` file.
    all_cells : treat every code cell as a task.

    Returns
    -------
    dict : ``{path, cells: [{index, id, name, role, reads, writes, warnings}], edges: [{from, to, names,
        kind, reason}], denied: [{from, to, names, reason}]}``; indexes count code cells from 1, lists of
        names are sorted; what is denied (``--not-after``) is no edge.

    Raises
    ------
    InvalidNotebook : the file cannot be read as a notebook.
    """
    notebook = read_notebook(path)
    return as_json(notebook, analyse_notebook(notebook, all_cells=all_cells))


def analyse_notebook(notebook: NotebookCells, *, all_cells: bool = False) -> Analysis:
    """Find the edges between the cells of *notebook*; one of another language has none, and says so."""
    if not notebook.is_python:
        warning = f"is written in {notebook.language}: only Python is read, so its edges are not known"
        cells = (
            CellInfo(
                index=cell.index, id=cell.id, name=f"cell-{cell.index}", role="plain", warnings=(warning,)
            )
            for cell in notebook.cells
        )
        return Analysis(cells=tuple(cells), edges=())
    return analyse(notebook.plain(), all_cells=all_cells)


def as_json(notebook: NotebookCells, analysis: Analysis) -> dict[str, Any]:
    """Return the JSON object of an analysed notebook."""
    return {
        "path": notebook.path,
        "cells": [
            {
                "index": cell.index,
                "id": cell.id,
                "name": cell.name,
                "role": cell.role,
                "reads": list(cell.reads),
                "writes": list(cell.writes),
                "warnings": list(cell.warnings),
            }
            for cell in analysis.cells
        ],
        "edges": [
            {
                "from": edge.source_index,
                "to": edge.target_index,
                "names": list(edge.names),
                "kind": edge.kind,
                "reason": edge.reason,
            }
            for edge in analysis.edges
        ],
        "denied": [
            {
                "from": edge.source_index,
                "to": edge.target_index,
                "names": list(edge.names),
                "reason": edge.reason,
            }
            for edge in analysis.denied
        ],
    }
