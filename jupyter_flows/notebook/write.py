"""What a run leaves in its executed notebook: states, times and attempts per cell, and a banner.

Writes only under the metadata key ``jupyter_flows`` and one tagged Markdown cell on top; everything
else of the file stays as its author made it. Writing never leaves half a file: a reader sees the
notebook before or after, and what is unchanged since the last time is not encoded again.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

KEY = "jupyter_flows"
BANNER_TAG = "jupyter-flows-banner"


def mark_cell(
    cell: Any,
    *,
    state: str,
    task: str,
    message: str = "",
    started_at: datetime | None = None,
    ended_at: datetime | None = None,
    attempts: int = 0,
) -> None:
    """Write the state of a cell's task into the cell's metadata.

    Examples
    --------
    >>> cell = {"cell_type": "code", "metadata": {}}
    >>> mark_cell(cell, state="Success", task="clean", attempts=1)
    >>> cell["metadata"]["jupyter_flows"]
    {'task': 'clean', 'state': 'Success', 'attempts': 1}
    """
    entry: dict[str, Any] = {"task": task, "state": state}
    if message:
        entry["message"] = message
    if started_at is not None:
        entry["started_at"] = started_at.isoformat()
    if ended_at is not None:
        entry["ended_at"] = ended_at.isoformat()
        if started_at is not None:
            entry["duration_s"] = round((ended_at - started_at).total_seconds(), 3)
    entry["attempts"] = attempts
    cell["metadata"][KEY] = entry


def unmark(nb: Any) -> None:
    """Remove what an earlier run left: the banner and the cells' states."""
    nb["cells"] = [cell for cell in nb["cells"] if BANNER_TAG not in cell["metadata"].get("tags", [])]
    for cell in nb["cells"]:
        cell["metadata"].pop(KEY, None)
    nb["metadata"].pop(KEY, None)


def mark_notebook(nb: Any, facts: Mapping[str, Any]) -> None:
    """Write the run's facts (ids, final state, times: plain JSON) into the notebook's metadata."""
    nb["metadata"][KEY] = {name: value for name, value in facts.items() if value is not None}


def banner_text(
    *,
    state: str,
    message: str,
    flow: str | None = None,
    version: int | None = None,
    run: str | None = None,
    ended_at: datetime | None = None,
) -> str:
    """Return the banner: what ran, how it ended, and the way to the cell that failed.

    Examples
    --------
    >>> print(banner_text(state="Success", message="all reference tasks succeeded", flow="etl", version=2))
    **Success** · flow `etl`, version 2
    """
    parts = [f"**{state}**"]
    if flow is not None:
        parts.append(f"flow {_code(flow)}" + (f", version {version}" if version else ""))
    if run is not None:
        parts.append(f"run {_code(run)}")
    if ended_at is not None:
        parts.append(f"ended {ended_at:%Y-%m-%d %H:%M:%S} UTC")
    text = " · ".join(parts)
    if state != "Success" and message:
        text += f"\n\n{_plain(message)}"
    return text


def add_banner(nb: Any, text: str) -> None:
    """Put the banner on top of the notebook."""
    cell: dict[str, Any] = {"cell_type": "markdown", "metadata": {"tags": [BANNER_TAG]}, "source": text}
    if (nb.get("nbformat", 4), nb.get("nbformat_minor", 5)) >= (4, 5):
        cell["id"] = secrets.token_hex(4)
    nb["cells"].insert(0, type(nb)(cell) if type(nb) is not dict else cell)


class NotebookFile:
    """An executed notebook on disk, written whole each time and never half.

    Parameters
    ----------
    path : Path
        The file; its directory must exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._encoded: dict[int, str] = {}

    def changed(self, index: int | None) -> None:
        """Note that cell *index* (None: any cell) is not what was written last."""
        if index is None:
            self._encoded.clear()
        else:
            self._encoded.pop(index, None)

    def save(self, nb: Any, *, final: bool = False) -> None:
        """Write *nb*; cells not noted as changed are taken from the last time.

        Parameters
        ----------
        final : bool
            Encode everything afresh and make it survive a power cut.
        """
        if final:
            self._encoded.clear()
        cells = []
        for index, cell in enumerate(nb["cells"]):
            text = self._encoded.get(index)
            if text is None:
                text = json.dumps(_persistent(cell), ensure_ascii=False, sort_keys=True)
                self._encoded[index] = text
            cells.append(text)
        rest = {name: value for name, value in nb.items() if name != "cells"}
        rest["metadata"] = {
            name: value
            for name, value in nb["metadata"].items()
            if name not in {"orig_nbformat", "orig_nbformat_minor", "signature"}
        }
        tail = json.dumps(rest, ensure_ascii=False, sort_keys=True)[1:]
        write_atomically(
            self.path, '{"cells": [\n' + ",\n".join(cells) + "\n],\n" + tail + "\n", durable=final
        )


def write_atomically(path: Path, text: str, *, durable: bool = True) -> None:
    """Replace *path* by *text* so that no reader ever sees a part of it."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", errors="replace") as stream:
            stream.write(text)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _persistent(cell: Any) -> dict[str, Any]:
    outputs = cell.get("outputs")
    if not outputs or not any("transient" in output for output in outputs):
        return dict(cell)
    kept = [{name: value for name, value in output.items() if name != "transient"} for output in outputs]
    return {**cell, "outputs": kept}


def _plain(text: str) -> str:
    """Text of others, as Markdown that shows it and nothing more."""
    return "".join(
        " " if char in "\r\n" else ("\\" + char if char in "`*_[]<>#|~$\\" else char) for char in text
    )


def _code(text: str) -> str:
    return "`" + " ".join(text.replace("`", "'").split()) + "`"
