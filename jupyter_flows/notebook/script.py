"""Scripts as cells: ``# %%`` lines divide, as in Spyder, VS Code and Jupytext. Text only."""

from __future__ import annotations

import re

import msgspec

_MARK = re.compile(r"^#[ \t]*%%(?!%)(.*)$")
_TAGS = re.compile(r"tags\s*=\s*\[([^\]]*)\]")
_TEXT_CELL = re.compile(r"\[(?:markdown|md|raw)\]")


class Piece(msgspec.Struct, frozen=True):
    """A code cell of a script."""

    source: str
    line: int
    """Line of the script where the cell's text begins, from 1."""
    tags: tuple[str, ...] = ()


def split_script(text: str) -> list[Piece]:
    r"""Split a script at its ``# %%`` lines; without any it is one cell.

    Magics that are commented out for Python's sake (``# %%time``, ``# !ls``) are not woken up, but a line
    ``# %%task clean`` makes its cell a task.

    Examples
    --------
    >>> [piece.source for piece in split_script("x = 1\n# %%\ny = x\n")]
    ['x = 1\n', 'y = x\n']
    >>> split_script("# %%task clean --retries 2\ny = 1\n")[0].source
    '%%task clean --retries 2\ny = 1\n'
    """
    pieces: list[Piece] = []
    lines: list[str] = []
    start, tags, is_text = 1, (), False

    def close(following: int) -> None:
        source = "".join(lines)
        if not is_text and source.strip():
            pieces.append(Piece(source, start, tags))
        lines.clear()
        del following

    first_magic = re.compile(r"#[ \t]*(%%(?:task|parameters|skip)\b.*)")
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        magic = first_magic.match(line)
        mark = _MARK.match(line.rstrip("\r\n"))
        if magic is not None:
            close(number)
            lines.append(magic[1].rstrip("\r\n") + "\n")
            start, tags, is_text = number, (), False
        elif mark is not None and (not mark[1] or mark[1][0] in " \t["):
            close(number)
            found = _TAGS.search(mark[1])
            words = re.findall(r"[\"']([^\"']+)[\"']", found[1]) if found else []
            start, tags, is_text = number + 1, tuple(words), bool(_TEXT_CELL.search(mark[1]))
        else:
            lines.append(line)
    close(0)
    return pieces
