"""Sentences as a cell's output shows them: front ends break a long line in the middle of a word."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

WIDTH = 96
"""Characters of a line: what an output has room for in a window of 1280 pixels with a side bar open."""


def broken(lines: Iterable[str]) -> str:
    """Return *lines* broken between words; what goes on is indented, so that each beginning is seen.

    Examples
    --------
    >>> print(broken(["The graph holds: 12 cells from top to bottom, alone with what the graph gives them "
    ...               "in 2 shuffled orders; no cell differs."]))
    The graph holds: 12 cells from top to bottom, alone with what the graph gives them in 2 shuffled
        orders; no cell differs.
    """
    return "\n".join(
        textwrap.fill(line, WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
        for line in lines
    )
