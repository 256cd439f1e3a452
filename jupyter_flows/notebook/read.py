"""A file to code cells: notebooks of any format version, and scripts in percent format.

Reading never runs anything and never changes the file. Cells without an id (formats before 4.5) get one
made from their content, so that it is the same at every reading. What is wrong with a file is said in
one sentence.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from jupyter_flows.analysis import CellSource
from jupyter_flows.errors import InvalidNotebook
from jupyter_flows.notebook.script import split_script
from jupyter_flows.notebook.transform import plain_python

_HEADING = re.compile(r"[ ]{0,3}#{1,6}[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$")


class CodeCell(msgspec.Struct, frozen=True, kw_only=True):
    """A code cell as it stands in the file."""

    id: str
    index: int
    """1-based among code cells."""
    position: int
    """0-based among all cells."""
    source: str
    tags: tuple[str, ...] = ()
    heading: str = ""
    """The Markdown heading that it stands under, without its marks."""
    section: int = 0
    """How many headings stand above it."""
    members: tuple[CodeCell, ...] = ()
    """The cells that this one stands for, where cells are grouped (``headings.py``)."""

    def plain(self, *, python: tuple[int, int] | None = None) -> CellSource:
        """Return the cell as analysis takes it; *python* is the version of its kernel."""
        plain = plain_python(self.source)
        return CellSource(
            id=self.id,
            index=self.index,
            source=plain.source,
            tags=self.tags,
            magic=plain.magic,
            marker=plain.marker,
            python=python,
        )


class NotebookCells(msgspec.Struct, frozen=True, kw_only=True):
    """What a notebook or script holds, as far as flows care."""

    path: str
    cells: tuple[CodeCell, ...]
    kernel: str | None = None
    """Name of the kernelspec."""
    language: str = "python"
    python: tuple[int, int] | None = None
    """Version of the Python that ran it last, as the file says."""

    @property
    def is_python(self) -> bool:
        """Whether its cells can be read: a notebook says its language once a kernel has run it."""
        return self.language.lower() in {"python", "ipython"}

    def require_python(self) -> None:
        """Refuse a notebook whose cells cannot be read.

        Raises
        ------
        InvalidNotebook : it is written in another language.
        """
        if not self.is_python:
            raise InvalidNotebook(
                f"{self.path}: its language is {self.language}; flows are written in Python"
            )

    def plain(self) -> list[CellSource]:
        """Return all cells as analysis takes them."""
        return [cell.plain(python=self.python) for cell in self.cells]


def read_notebook(path: str | Path) -> NotebookCells:
    """Read an ``.ipynb`` or ``.py`` file.

    Raises
    ------
    InvalidNotebook : the file cannot be read, is not JSON, or is not a notebook.
    """
    place = Path(path)
    text = read_text(place)
    if place.suffix == ".py":
        sources = [(piece.source, piece.tags) for piece in split_script(text)]
        return NotebookCells(
            path=str(path), cells=_with_ids([(None, s, t, i) for i, (s, t) in enumerate(sources)])
        )
    return parse_notebook(text, path=str(path))


def read_text(path: Path) -> str:
    """Return the text of a notebook's or script's file.

    Raises
    ------
    InvalidNotebook : it cannot be read, or is not text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidNotebook(f"{path}: not a text file (UTF-8); is it a notebook?") from None
    except FileNotFoundError:
        raise InvalidNotebook(f"{path}: there is no such file") from None
    except OSError as error:
        raise InvalidNotebook(f"{path}: cannot be read: {error.strerror or error}") from None


def parse_notebook(text: str, *, path: str) -> NotebookCells:
    """Read the text of an ``.ipynb`` file; *path* is for messages.

    Raises
    ------
    InvalidNotebook : it is not JSON, or not a notebook.
    """
    return notebook_cells(notebook_content(text, path=path), path=path)


def notebook_content(text: str, *, path: str) -> dict[str, Any]:
    """Return what the text of an ``.ipynb`` file holds, in format 4 whatever it is written in.

    Raises
    ------
    InvalidNotebook : it is not JSON, or not a notebook.
    """
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" ({_place(text, error)})" if isinstance(error, json.JSONDecodeError) else ""
        if not text.strip():
            raise InvalidNotebook(f"{path}: the file is empty; is the notebook saved?") from None
        hint = "; it holds the marks of a merge conflict" if "<<<<<<<" in text and ">>>>>>>" in text else ""
        raise InvalidNotebook(f"{path}: not a notebook: the file is not JSON{where}{hint}") from None
    if not isinstance(content, dict) or not isinstance(content.get("nbformat"), int):
        raise InvalidNotebook(f"{path}: not a notebook: the JSON has no nbformat number")
    if content["nbformat"] < 4:
        content = _upgraded(content, path=path)
    if content["nbformat"] > 4:
        raise InvalidNotebook(
            f"{path}: format {content['nbformat']} is newer than this program knows (4); upgrade it"
        )
    if not isinstance(content.get("metadata", {}), dict):
        raise InvalidNotebook(f"{path}: not a notebook: its metadata are no JSON object")
    made: dict[str, Any] = content
    return made


def _place(text: str, error: json.JSONDecodeError) -> str:
    """Return where text stops to be JSON, as an editor counts."""
    if not text[error.pos :].strip():
        return f"it ends too early, in line {text.rstrip().count(chr(10)) + 1}"
    return f"line {error.lineno}, column {error.colno}"


def notebook_cells(content: Mapping[str, Any], *, path: str) -> NotebookCells:
    """Take the code cells out of a notebook in memory (nbformat 4, as a mapping).

    Raises
    ------
    InvalidNotebook : it has no cells, or a cell is not one.
    """
    cells = content.get("cells")
    if not isinstance(cells, list):
        raise InvalidNotebook(f"{path}: not a notebook: it has no list of cells")
    found: list[tuple[str | None, str, tuple[str, ...], int]] = []
    under: dict[int, tuple[str, int]] = {}
    heading, section = "", 0
    for position, cell in enumerate(cells):
        if not isinstance(cell, Mapping) or not isinstance(cell.get("cell_type"), str):
            raise InvalidNotebook(f"{path}: cell {position + 1} of the file is not a notebook cell")
        source = cell.get("source", "")
        if isinstance(source, list) and all(isinstance(line, str) for line in source):
            source = "".join(source)
        if cell["cell_type"] == "markdown" and isinstance(source, str):
            headings = _headings(source)
            heading, section = headings[-1] if headings else heading, section + len(headings)
        if cell["cell_type"] != "code":
            continue
        under[position] = (heading, section)
        if not isinstance(source, str):
            raise InvalidNotebook(f"{path}: cell {position + 1} of the file has no source text")
        metadata = cell.get("metadata")
        tags = metadata.get("tags") if isinstance(metadata, Mapping) else None
        own = cell.get("id")
        words = tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()
        found.append((own if isinstance(own, str) and own else None, source, words, position))
    metadata = content.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    spec = metadata.get("kernelspec")
    language = metadata.get("language_info")
    return NotebookCells(
        path=path,
        cells=_with_ids(found, under),
        kernel=spec.get("name") if isinstance(spec, Mapping) and isinstance(spec.get("name"), str) else None,
        language=str(language.get("name", "python")) if isinstance(language, Mapping) else "python",
        python=_python_version(language.get("version")) if isinstance(language, Mapping) else None,
    )


def _python_version(text: object) -> tuple[int, int] | None:
    found = re.match(r"(3)\.(\d+)", text) if isinstance(text, str) else None
    return (int(found[1]), int(found[2])) if found is not None else None


def _headings(text: str) -> list[str]:
    """Return the headings of a Markdown cell; a line of code that begins with ``#`` is none."""
    found = []
    is_code = False
    for line in text.splitlines():
        if line.lstrip().startswith(("```", "~~~")):
            is_code = not is_code
        marked = None if is_code else _HEADING.match(line)
        if marked is not None:
            found.append(marked[1].strip())
    return found


def _with_ids(
    found: Sequence[tuple[str | None, str, tuple[str, ...], int]],
    under: Mapping[int, tuple[str, int]] | None = None,
) -> tuple[CodeCell, ...]:
    """Number the cells and see to it that every id is there once; *under* are headings by position."""
    taken: set[str] = {own for own, *_ in found if own is not None}
    used: set[str] = set()
    cells = []
    for index, (own, source, tags, position) in enumerate(found, 1):
        name = own
        if name is None or name in used:
            # Made from the content, not from chance: the same file gives the same ids tomorrow.
            seed, count = hashlib.sha256(source.encode()).hexdigest()[:12], 1
            name = seed
            while name in used or name in taken:
                count += 1
                name = f"{seed}-{count}"
        used.add(name)
        heading, section = (under or {}).get(position, ("", 0))
        cells.append(
            CodeCell(
                id=name,
                index=index,
                position=position,
                source=source,
                tags=tags,
                heading=heading,
                section=section,
            )
        )
    return tuple(cells)


def _upgraded(content: dict[str, Any], *, path: str) -> dict[str, Any]:
    """Bring a notebook of format 3 or older to 4, by nbformat's own rules."""
    # jsonschema imports this one if it is there and builds a grammar for 1.5 s; nothing here checks IRIs.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    import nbformat

    log = logging.getLogger("traitlets")
    was_disabled, log.disabled = log.disabled, True  # it would print the schema's view of the file
    try:
        node = nbformat.from_dict(content)
        upgraded = nbformat.convert(node, 4)
        result: dict[str, Any] = json.loads(json.dumps(upgraded))
    except Exception as error:
        # nbformat raises whatever a missing key gives; all of it means one thing to a reader.
        raise InvalidNotebook(
            f"{path}: cannot be brought from format {content['nbformat']} to 4 ({type(error).__name__}); "
            "open and save it in JupyterLab"
        ) from error
    finally:
        log.disabled = was_disabled
    # Conversion makes random ids; ours come from the content.
    for cell in result.get("cells", ()):
        cell.pop("id", None)
    return result
