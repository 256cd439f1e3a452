"""Source text to syntax tree, once per text; knows the dialects a notebook may be written in.

The running Python parses first. Text that only a newer Python accepts is brought to the old form
(``newer_syntax.py``); Python 2's ``print`` and ``except E, e`` likewise, with a warning,
as this Python will refuse the cell. Whatever is left gets a warning and the names that its words suggest.
Nothing is executed.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings as python_warnings
from functools import lru_cache

import msgspec

from jupyter_flows.analysis.newer_syntax import Needs, formatted_again, in_older_words


class Parsed(msgspec.Struct, frozen=True):
    """A tree, or None with the words that the text reads and binds; ``warning`` says what was odd."""

    tree: ast.Module | None
    warning: str | None = None
    type_parameters: dict[tuple[int, str], tuple[str, ...]] = {}
    """(line, name) of a definition -> its type parameters, where they had to be cut out."""
    words: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    needs: Needs | None = None
    """The newer Python that the text is written for."""


@lru_cache(maxsize=4096)
def parse(source: str) -> Parsed:
    """Return the tree of *source*; never raises.

    Examples
    --------
    >>> parse("x = (").warning
    'cannot be read as Python (line 1): its names are guessed'
    """
    tree, error = _try(source)
    if tree is not None:
        return Parsed(tree)
    newer = in_older_words(source)
    tree, _ = _try(newer.text) if newer.needs is not None else (None, None)
    if tree is not None:
        return Parsed(formatted_again(tree), None, newer.parameters, needs=newer.needs)
    older = _without_python2(source)
    tree, _ = _try(older)
    if tree is not None:
        return Parsed(tree, "is written for Python 2: it fails here, its names are read all the same")
    line = getattr(error, "lineno", None)
    at = f" (line {line})" if line else ""
    words, targets = _guess(source)
    return Parsed(None, f"cannot be read as Python{at}: its names are guessed", {}, words, targets)


def keep_statements(before: str, after: str) -> None:
    """Give the tree of *after* the very nodes of those statements that stand where they stood in *before*.

    Then a function is known to be the one that it was.
    """
    was, now = parse(before), parse(after)
    if was.tree is None or now.tree is None or Parsed(was.tree) != was or Parsed(now.tree) != now:
        return
    lines, others = before.split("\n"), after.split("\n")
    known = {_place(statement): statement for statement in was.tree.body}
    for number, statement in enumerate(now.tree.body):
        same = known.get(_place(statement))
        first, last = _first_line(statement), statement.end_lineno or statement.lineno
        # Whole lines: what stands beside it on its line is the same, too.
        if same is not None and lines[first - 1 : last] == others[first - 1 : last]:
            now.tree.body[number] = same


def _place(statement: ast.stmt) -> tuple[int, int, int | None, int | None]:
    return statement.lineno, statement.col_offset, statement.end_lineno, statement.end_col_offset


def _first_line(statement: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(decorator.lineno for decorator in decorators)])


def _try(source: str) -> tuple[ast.Module | None, Exception | None]:
    try:
        # A user's invalid escape or `is` with a literal is not our warning to give.
        with python_warnings.catch_warnings():
            python_warnings.simplefilter("ignore")
            return ast.parse(source), None
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return None, error


_PRINT = re.compile(
    r"^(\s*)print(?:[ \t]+(?![=(.])|(?=[\"']))(?:>>\s*[^,\n]+,)?(.*?)[ \t]*,?[ \t]*$", re.MULTILINE
)
_PRINT_PAREN = re.compile(r"^(\s*)print[ \t]+(\(.*)$", re.MULTILINE)
_EXCEPT = re.compile(r"^(\s*except\s+[\w.() ,]+?)\s*,\s*([^\W\d]\w*)\s*:", re.MULTILINE)
_EXEC = re.compile(r"^(\s*)exec[ \t]+(.+)$", re.MULTILINE)
_RAISE = re.compile(r"^(\s*raise\s+[\w.]+)\s*,\s*(.+)$", re.MULTILINE)


def _without_python2(source: str) -> str:
    text = _PRINT.sub(lambda m: f"{m[1]}print({m[2]})", source)
    text = _PRINT_PAREN.sub(lambda m: f"{m[1]}print({m[2]})", text)
    text = _EXCEPT.sub(r"\1 as \2:", text)
    text = _RAISE.sub(r"\1(\2)", text)
    text = _EXEC.sub(r"\1exec(\2)", text)
    text = re.sub(r"`([^`\n]+)`", r"repr(\1)", text)
    text = re.sub(r"\b(0)(\d+)\b", r"0o\2", text)
    return text.replace("<>", "!=")


_WORD = re.compile(r"[^\W\d]\w*")
_TARGET = re.compile(r"^\s*((?:[^\W\d]\w*\s*,\s*)*[^\W\d]\w*)\s*(?:[-+*/|&]|//|\*\*)?=(?!=)", re.MULTILINE)
_BINDER = re.compile(
    r"^\s*(?:def|class|import|for)\s+([^\W\d]\w*)|\bimport\s+([^\W\d]\w*)|\bas\s+([^\W\d]\w*)", re.MULTILINE
)


def _guess(source: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Words and likely targets of a text that does not parse."""
    code: list[str] = []
    try:
        tokens = tokenize.generate_tokens(io.StringIO(source).readline)
        code.extend(token.string for token in tokens if token.type == tokenize.NAME)
    except (tokenize.TokenError, SyntaxError, IndentationError):
        code = _WORD.findall(re.sub(r"#.*", "", source))
    targets: list[str] = []
    for match in _TARGET.finditer(source):
        targets += _WORD.findall(match[1])
    for match in _BINDER.finditer(source):
        targets += [name for name in match.groups() if name]
    return tuple(dict.fromkeys(code)), tuple(dict.fromkeys(targets))
