"""The small cells under one heading, as one task. Cells in, cells out; nothing is read or run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby

import msgspec

from jupyter_flows.analysis import analyse
from jupyter_flows.notebook.flow_line import has_only_flow_lines
from jupyter_flows.notebook.read import CodeCell, NotebookCells
from jupyter_flows.notebook.transform import body_of, plain_python

_LONGEST_NAME = 60


def group_by_heading(notebook: NotebookCells) -> NotebookCells:
    r"""Make one cell of the plain cells under each heading, and of the setup cells between them.

    A cell that says what it is (a task, the parameters, one to be skipped) stays by itself and parts those
    before it from those after it; so do setup cells before the first and after the last plain cell. What
    stands above the first heading stays as it is.

    Returns
    -------
    NotebookCells
        Numbered anew; each cell has as ``members`` those that it stands for, with their own numbers. A
        group is a ``%%task`` named after the heading.

    Examples
    --------
    >>> cells = [
    ...     CodeCell(id=str(n), index=n, position=n, source=f"x{n} = len('')", heading="The data", section=1)
    ...     for n in (1, 2)
    ... ]
    >>> group_by_heading(NotebookCells(path="a.ipynb", cells=tuple(cells))).cells[0].source
    "%%task the-data\nx1 = len('')\nx2 = len('')"
    """
    roles = [info.role for info in analyse(notebook.plain()).cells]
    kinds = [
        "flow" if has_only_flow_lines(cell.source) else role
        for cell, role in zip(notebook.cells, roles, strict=True)
    ]
    taken: set[str] = {match[1] for cell in notebook.cells if (match := _NAMED.match(cell.source))}
    made: list[CodeCell] = []
    pieces = zip(notebook.cells, kinds, strict=True)
    for (_, section, is_open), run in groupby(pieces, key=lambda piece: _place(*piece)):
        cells = list(run)
        if not is_open or not section:
            made += [cell for cell, _ in cells]
            continue
        plain = [at for at, (_, kind) in enumerate(cells) if kind == "plain"]
        first, last = (plain[0], plain[-1]) if plain else (len(cells), len(cells))
        made += [cell for cell, _ in cells[:first]]
        if plain:
            made.append(_group([cell for cell, _ in cells[first : last + 1]], taken))
        made += [cell for cell, _ in cells[last + 1 :]]
    numbered = (
        msgspec.structs.replace(cell, index=number, members=cell.members or (cell,))
        for number, cell in enumerate(made, 1)
    )
    return msgspec.structs.replace(notebook, cells=tuple(numbered))


_NAMED = re.compile(r"\A\s*%%task[ \t]+([^\s-]\S*)")


def _place(cell: CodeCell, kind: str) -> tuple[int, int, bool]:
    """Return what is the same for cells that may be grouped; a cell that stays alone is like no other."""
    is_open = kind in {"plain", "setup"} and bool(cell.source.strip())
    return (0 if is_open else cell.index, cell.section, is_open)


def _group(members: list[CodeCell], taken: set[str]) -> CodeCell:
    name = _name(members[0].heading, taken)
    taken.add(name)
    body = "\n".join(_body(cell.source).strip("\n") for cell in members)
    return msgspec.structs.replace(
        members[0], source=f"%%task {name}\n{body}", members=tuple(members), tags=()
    )


def _body(source: str) -> str:
    """Return a cell's text so that it can stand below another's: a cell magic must be rewritten."""
    body = body_of(source)
    return plain_python(body).source if body.lstrip().startswith("%%") else body


def _name(heading: str, taken: Iterable[str]) -> str:
    """Return a task's name made of a heading.

    Examples
    --------
    >>> _name("2. One branch: *warmth*", ()), _name("Data", ("data",))
    ('2-one-branch-warmth', 'data-2')
    """
    plain = re.sub(r"[\W_]+", "-", heading.lower()).strip("-")[:_LONGEST_NAME].strip("-") or "section"
    name, count = plain, 1
    while name in taken:
        count += 1
        name = f"{plain}-{count}"
    return name
