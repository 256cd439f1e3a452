"""What of a cell is sent to the kernel: the cell, without the line that makes it a task.

The line (``%%task``, ``%%parameters``) is for the author's notebook; a headless run has read it already,
and the kernel that runs the cell need not have this package: where it has not, ``%load_ext jupyter_flows``
does nothing. Line numbers stay what the author sees.
"""

from __future__ import annotations

import re

_OUR_LINE = re.compile(r"\A((?:[ \t]*(?:#[^\n]*)?\n)*)%%(task|parameters|skip)\b[^\n]*(?:\n|\Z)")
_LOAD = re.compile(r"^%(?:load|reload)_ext[ \t]+jupyter_flows[ \t]*$", re.MULTILINE)
# One line, so that line numbers stay; nothing is bound and nothing is displayed.
_LOAD_IF_HERE = (
    'if __import__("importlib.util").util.find_spec("jupyter_flows"): '
    'get_ipython().run_line_magic("load_ext", "jupyter_flows")'
)
_ANY_CELL_MAGIC = re.compile(r"\A(?:[ \t]*\n)*%%")


def code_for_kernel(source: str) -> str:
    r"""Return the code of a cell as the kernel gets it.

    Examples
    --------
    >>> code_for_kernel("%%task clean\nx = 1")
    '# %%task clean\nx = 1'
    >>> code_for_kernel("%%task clean\n%%time\nx = 1")
    '%%time\nx = 1'
    """
    found = _OUR_LINE.match(source)
    if found is None:
        return source if source.startswith("%%") else _LOAD.sub(_LOAD_IF_HERE, source)
    body = source[found.end() :]
    if _ANY_CELL_MAGIC.match(body):
        # Another cell magic must stand on the first line, or IPython does not see it.
        return body.lstrip("\n \t")
    # A comment, not an empty line: IPython drops leading empty lines, and line numbers would shift. With the
    # line's own text, since tracebacks show it.
    return f"{found[1]}# {found[0][len(found[1]) :].rstrip()}\n{body}"


def line_offset(source: str, code: str) -> int:
    r"""Return how many lines the kernel's line numbers are behind those of the cell.

    Examples
    --------
    >>> line_offset("%%task clean\n%%time\nx = 1", "%%time\nx = 1")
    1
    """
    seen = code[len(code) - len(code.lstrip()) :]
    return source.count("\n") - seen.count("\n")


def is_skipped(source: str) -> bool:
    """Whether a cell says ``%%skip``."""
    found = _OUR_LINE.match(source)
    return found is not None and found[2] == "skip"
