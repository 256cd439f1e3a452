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
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any

KEY = "jupyter_flows"
BANNER_TAG = "jupyter-flows-banner"

_PIECE = 1_048_576
"""Characters or bytes that are handled at once."""


def mark_cell(
    cell: Any,
    *,
    state: str,
    task: str,
    message: str = "",
    started_at: datetime | None = None,
    ended_at: datetime | None = None,
    attempts: int = 0,
    measured: Mapping[str, Any] | None = None,
) -> None:
    """Write the state of a cell's task into the cell's metadata; *measured* is written beside it.

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
    entry.update(measured or {})
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


def run_facts(
    directory: Path, *, all_cells: bool, by_heading: bool, checkpoint: Path | None
) -> dict[str, Any]:
    """Return, for :func:`mark_notebook`, what is needed to go on from a run or to look at its variables.

    Parameters
    ----------
    directory : Path
        In which its cells worked.
    all_cells, by_heading : bool
        Which cells were tasks.
    checkpoint : Path, optional
        Where what its cells gave was kept; left out if it is not there.
    """
    return {
        "directory": str(directory),
        "all_cells": all_cells or None,
        "by_heading": by_heading or None,
        "checkpoint": str(checkpoint) if checkpoint is not None and checkpoint.is_dir() else None,
    }


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

    What is unchanged since the last time is copied from there, so that neither time nor memory is spent on it
    again: a long notebook costs a copy of its file, not an encoding of its outputs.

    Parameters
    ----------
    path : Path
        The file; its directory must exist.
    mask : callable, optional
        What becomes of each piece of text before it is written (secrets are replaced there).
    """

    def __init__(self, path: Path, *, mask: Callable[[str], str] | None = None) -> None:
        self.path = path
        self._mask = mask
        self._spans: dict[int, tuple[int, int]] = {}
        """Where in the last file an unchanged cell is: offset and length."""
        self._last: IO[bytes] | None = None
        self._last_seen: tuple[int, int] | None = None
        self._lock = threading.Lock()

    def changed(self, index: int | None) -> None:
        """Note that cell *index* (None: any cell) is not what was written last."""
        with self._lock:
            if index is None:
                self._spans.clear()
            else:
                self._spans.pop(index, None)

    def save(
        self,
        nb: Any,
        *,
        final: bool = False,
        cell: Callable[[int], Mapping[str, Any]] | None = None,
    ) -> None:
        """Write *nb*; cells not noted as changed are taken from the last time.

        Parameters
        ----------
        final : bool
            Encode everything afresh and make it survive a power cut.
        cell : callable, optional
            Gives a copy of a cell that stands still while it is encoded, for a notebook that others write to.
            :meth:`changed` may be called meanwhile: such a cell is written again the next time.

        Raises
        ------
        OSError : it could not be written; the file is what it was.
        """
        if final or not self._last_is_ours():
            self.changed(None)
        old = self._last
        spans: dict[int, tuple[int, int]] = {}
        with _replacing(self.path, durable=final) as stream:
            stream.write(b'{"cells": [\n')
            for index in range(len(nb["cells"])):
                if index:
                    stream.write(b",\n")
                begin = stream.tell()
                with self._lock:
                    kept = self._spans.get(index)
                    # From here on a change counts for the next time.
                    self._spans.setdefault(index, (-1, 0))
                if kept is not None and kept[0] >= 0 and old is not None:
                    _copy(old, stream, kept)
                else:
                    for piece in _encoded(cell(index) if cell else nb["cells"][index], self._mask):
                        stream.write(piece)
                spans[index] = (begin, stream.tell() - begin)
            rest = {name: value for name, value in list(nb.items()) if name != "cells"}
            rest["metadata"] = {
                name: value
                for name, value in list(nb["metadata"].items())
                if name not in {"orig_nbformat", "orig_nbformat_minor", "signature"}
            }
            tail = self._masked(json.dumps(rest, ensure_ascii=False, sort_keys=True))[1:]
            stream.write(b"\n],\n" + tail.encode("utf-8", "replace") + b"\n")
        self._keep(spans)

    def close(self) -> None:
        """Let go of the last file."""
        if self._last is not None:
            self._last.close()
            self._last = None
        self.changed(None)

    def _masked(self, text: str) -> str:
        return text if self._mask is None else self._mask(text)

    def _keep(self, spans: dict[int, tuple[int, int]]) -> None:
        """Remember what was written: what is not noted as changed since."""
        if self._last is not None:
            self._last.close()
        self._last = self.path.open("rb")
        self._last_seen = self._seen()
        with self._lock:
            self._spans = {index: spans[index] for index in spans if index in self._spans}

    def _seen(self) -> tuple[int, int] | None:
        if self._last is None:
            return None
        found = os.fstat(self._last.fileno())
        return found.st_size, found.st_mtime_ns

    def _last_is_ours(self) -> bool:
        """Whether nobody wrote into the file that we wrote last."""
        return self._last is not None and self._seen() == self._last_seen


def write_atomically(path: Path, text: str, *, durable: bool = True) -> None:
    """Replace *path* by *text* so that no reader ever sees a part of it."""
    with _replacing(path, durable=durable) as stream:
        stream.write(text.encode("utf-8", "replace"))


@contextlib.contextmanager
def _replacing(path: Path, *, durable: bool) -> Iterator[IO[bytes]]:
    """Give a file to write to that takes the place of *path*, or of what it links to, when all went well."""
    path = path.resolve()
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _copy(source: IO[bytes], target: IO[bytes], span: tuple[int, int]) -> None:
    at, left = span
    while left > 0:
        part = os.pread(source.fileno(), min(left, _PIECE), at)
        if not part:
            msg = "the file that was written last got shorter"
            raise OSError(msg)
        target.write(part)
        at += len(part)
        left -= len(part)


def _encoded(cell: Mapping[str, Any], mask: Callable[[str], str] | None) -> Iterator[bytes]:
    """Encode a cell piece by piece: a text of 60 MB is never there a second time."""
    outputs = cell.get("outputs")
    if not outputs:
        yield _json(dict(cell), mask)
        return
    rest = {name: value for name, value in cell.items() if name != "outputs"}
    yield _json(rest, mask)[:-1] + b', "outputs": ['
    for place, output in enumerate(outputs):
        yield b", " if place else b""
        kept = {name: value for name, value in output.items() if name != "transient"}
        text = kept.get("text")
        if isinstance(text, str) and len(text) > _PIECE:
            del kept["text"]
            yield _json(kept, None)[:-1] + b', "text": "'
            text = text if mask is None else mask(text)
            for begin in range(0, len(text), _PIECE):
                yield _json(text[begin : begin + _PIECE], None)[1:-1]
            yield b'"}'
        else:
            yield _json(kept, mask)
    yield b"]}"


def _json(value: Any, mask: Callable[[str], str] | None) -> bytes:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return (text if mask is None else mask(text)).encode("utf-8", "replace")


def _plain(text: str) -> str:
    """Text of others, as Markdown that shows it and nothing more."""
    return "".join(
        " " if char in "\r\n" else ("\\" + char if char in "`*_[]<>#|~$\\" else char) for char in text
    )


def _code(text: str) -> str:
    return "`" + " ".join(text.replace("`", "'").split()) + "`"
