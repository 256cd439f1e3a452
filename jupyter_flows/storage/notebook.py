"""The notebook itself as storage: a pinned copy, without its outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from jupyter_flows.notebook.read import notebook_cells, notebook_content, read_text
from jupyter_flows.schema.refs import StorageRef
from jupyter_flows.storage.base import DirectoryStorage, options_of

KEPT_METADATA = ("kernelspec", "language_info")
KEPT_CELL_METADATA = ("tags",)


class Notebook(DirectoryStorage, frozen=True, kw_only=True):
    """A pinned copy of the .ipynb: its cells, kernel and tags; outputs and times are left out.

    What is left out does not change what runs, so running the notebook again at the desk makes no new
    version; and outputs are data, which have no business in storage.

    Parameters
    ----------
    directory : str, optional
        Default: ``storage`` in the home of jupyter_flows.
    add_default_labels : bool
        Whether flows ask for this machine's host name.
    """

    kind: ClassVar[str] = "notebook"

    def put_notebook(
        self, path: Path, *, flow_name: str, all_cells: bool = False, by_heading: bool = False
    ) -> StorageRef:
        """Keep a copy of the notebook at *path* as it is now; return where it is.

        Parameters
        ----------
        all_cells, by_heading : which cells are tasks; kept beside the copy, so that runs build the same
            graph.

        Raises
        ------
        InvalidNotebook : the file cannot be read, or is no notebook.
        """
        content = notebook_content(read_text(path), path=str(path))
        notebook_cells(content, path=str(path))  # what cannot be run is not kept
        data = pinned_bytes(content)
        location, digest = self.write(data, name=flow_name, suffix=".ipynb")
        return StorageRef(
            kind=self.kind,
            location=str(location),
            sha256=digest,
            size_bytes=len(data),
            options=options_of(
                source=str(path.absolute()), all_cells=all_cells or None, by_heading=by_heading or None
            ),
        )


def pinned_bytes(content: dict[str, Any]) -> bytes:
    """Return the notebook (format 4) as it is kept: what runs, in a canonical order."""
    metadata = content.get("metadata") or {}
    kept = {key: metadata[key] for key in KEPT_METADATA if key in metadata}
    if isinstance(kept.get("language_info"), dict):
        # The exact version of Python is the fingerprint's business; here it would make new versions.
        kept["language_info"] = {"name": kept["language_info"].get("name", "python")}
    cells = [_pinned_cell(cell) for cell in content["cells"]]
    minor = content.get("nbformat_minor", 5)
    plain = {
        "nbformat": 4,
        # Ids are demanded from 4.5 on; an older file that was brought to 4 has none.
        "nbformat_minor": minor if all("id" in cell for cell in cells) else min(minor, 4),
        "metadata": kept,
        "cells": cells,
    }
    return json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _pinned_cell(cell: dict[str, Any]) -> dict[str, Any]:
    source = cell.get("source", "")
    kept: dict[str, Any] = {
        "cell_type": cell.get("cell_type", "raw"),
        "metadata": {
            key: value for key, value in (cell.get("metadata") or {}).items() if key in KEPT_CELL_METADATA
        },
        "source": "".join(source) if isinstance(source, list) else source,
    }
    if cell.get("id"):
        kept["id"] = cell["id"]
    if kept["cell_type"] == "code":
        kept["outputs"] = []
        kept["execution_count"] = None
    return kept
