"""IPython's syntax to plain Python, without a running IPython.

Text that is already Python passes untouched. Cell magics whose body is Python (``%%time``, ``%%capture``,
``%%task``, …) are unwrapped; everything else of IPython's becomes calls of ``get_ipython()``, by IPython's
own transformer. Line numbers stay. What the calls mean is ``jupyter_flows.analysis.ipython``'s business.
"""

from __future__ import annotations

import ast
import re
import warnings as python_warnings
from functools import lru_cache
from typing import Literal

import msgspec

_FIRST_LINE = re.compile(r"\A((?:[ \t]*(?:#.*)?\n)*)%%([\w!]+)[ \t]*([^\n]*)(?:\n|\Z)")
_BLANK_LINES = re.compile(r"\A(?:[ \t]*\n)*")
_TRANSPARENT = frozenset(
    {"time", "timeit", "capture", "prun", "memit", "mprun", "lprun", "debug", "scalene", "snakeviz"}
)
"""Cell magics whose body is Python that runs in the notebook's namespace."""


class PlainCell(msgspec.Struct, frozen=True):
    """A cell as plain Python, with what its first line said."""

    source: str
    magic: str | None = None
    """The rest of a ``%%task`` line."""
    marker: Literal["parameters", "skip"] | None = None


@lru_cache(maxsize=4096)
def plain_python(source: str) -> PlainCell:
    r"""Rewrite a cell as plain Python.

    Examples
    --------
    >>> plain_python("files = !ls {folder}").source
    "files = get_ipython().getoutput('ls {folder}')\n"
    >>> plain_python("%%task clean --retries 2\nx = 1").magic
    'clean --retries 2'
    """
    magic: str | None = None
    marker: Literal["parameters", "skip"] | None = None
    first = _FIRST_LINE.match(source)
    if first is not None and first[2] in {"task", "parameters", "skip"}:
        if first[2] == "task":
            magic = first[3].strip()
        else:
            marker = "parameters" if first[2] == "parameters" else "skip"
        source = first[1] + "\n" + source[first.end() :]
    return PlainCell(_rewrite(source), magic, marker)


_FLOW_LINE = re.compile(r"^([ \t]*)(?:%flow\b|%(?:load|reload)_ext[ \t]+jupyter_flows\b).*$", re.MULTILINE)


def body_of(source: str) -> str:
    r"""Return what of a cell runs as part of a flow, in IPython's syntax; line numbers stay.

    Our own lines are left out: ``%%task`` has been read, and ``%flow register`` in a run would register.

    Examples
    --------
    >>> body_of("%%task clean --retries 2\n%%time\nx = 1")
    '\n%%time\nx = 1'
    >>> body_of("x = 1\n%flow etl")
    'x = 1\npass'
    """
    first = _FIRST_LINE.match(source)
    if first is not None and first[2] in {"task", "parameters", "skip"}:
        source = first[1] + "\n" + source[first.end() :]
    if "%flow" not in source and "_ext" not in source:
        return source
    # In text that is Python already, such a line stands within a string.
    return source if _is_python(source) else _FLOW_LINE.sub(r"\1pass", source)


def _rewrite(source: str) -> str:
    if _is_python(source):
        return source
    first = _FIRST_LINE.match(source)
    if first is not None and first[2] in _TRANSPARENT:
        return _unwrap(first, source)
    # Imported here: 0.1 s that plain notebooks need not pay.
    from IPython.core.inputtransformer2 import TransformerManager

    # The transformer drops empty lines at the top, which would shift every line number below.
    lead = first[1] if first is not None else _BLANK_LINES.match(source)[0]  # type: ignore[index]
    source = source[len(lead) :]
    try:
        text: str = TransformerManager().transform_cell(source)
    except (SyntaxError, ValueError, IndexError, RecursionError):
        return lead + source
    return lead + text


def _unwrap(first: re.Match[str], source: str) -> str:
    lead, name, line, body = first[1], first[2], first[3], source[first.end() :]
    inner = _rewrite(body)
    if name == "timeit":
        # timeit runs the body inside a function: what it binds stays there.
        indented = "".join(f" {row}" if row.strip() else row for row in inner.splitlines(keepends=True))
        if not indented.strip():
            return f"{lead}\n"
        return f"{lead}def __flows_timeit__():\n{indented.rstrip()}\n__flows_timeit__()\n"
    if name == "capture":
        target = next((word for word in line.split() if not word.startswith("-")), None)
        if target and target.isidentifier():
            return f"{lead}{target} = get_ipython().getoutput('')\n{inner}"
    if name in {"prun", "lprun"}:
        calls = "; ".join(function for function in re.findall(r"-f\s+([^\W\d]\w*)", line))
        return f"{lead}{calls}\n{inner}"
    return f"{lead}\n{inner}"


def _is_python(source: str) -> bool:
    if source.lstrip().startswith(("%", "!", "?")):
        return False
    try:
        with python_warnings.catch_warnings():
            python_warnings.simplefilter("ignore")
            ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
