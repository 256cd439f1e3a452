"""The notebook itself as storage: a pinned copy, without its outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from jupyter_flows.errors import InvalidNotebook, StorageUnavailable
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

    def put_notebook(self, path: Path, *, flow_name: str) -> StorageRef:
        """Keep a copy of the notebook at *path* as it is now; return where it is."""
        try:
            content = json.loads(path.read_text("utf-8"))
        except OSError as error:
            raise StorageUnavailable(f"notebook {path} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise InvalidNotebook(f"{path} is not a notebook: it is not JSON") from error
        data = pinned_bytes(content)
        location, digest = self.write(data, name=flow_name, suffix=".ipynb")
        return StorageRef(
            kind=self.kind,
            location=str(location),
            sha256=digest,
            size_bytes=len(data),
            options=options_of(source=str(path.absolute())),
        )


def pinned_bytes(content: dict[str, Any]) -> bytes:
    """Return the notebook as it is kept: what runs, in a canonical order."""
    metadata = content.get("metadata", {})
    kept = {key: metadata[key] for key in KEPT_METADATA if key in metadata}
    if isinstance(kept.get("language_info"), dict):
        # The exact version of Python is the fingerprint's business; here it would make new versions.
        kept["language_info"] = {"name": kept["language_info"].get("name", "python")}
    plain = {
        "nbformat": content.get("nbformat", 4),
        "nbformat_minor": content.get("nbformat_minor", 5),
        "metadata": kept,
        "cells": [_pinned_cell(cell) for cell in content.get("cells", [])],
    }
    return json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _pinned_cell(cell: dict[str, Any]) -> dict[str, Any]:
    source = cell.get("source", "")
    kept: dict[str, Any] = {
        "cell_type": cell.get("cell_type", "raw"),
        "metadata": {
            key: value for key, value in cell.get("metadata", {}).items() if key in KEPT_CELL_METADATA
        },
        "source": "".join(source) if isinstance(source, list) else source,
    }
    if "id" in cell:
        kept["id"] = cell["id"]
    if kept["cell_type"] == "code":
        kept["outputs"] = []
        kept["execution_count"] = None
    return kept
