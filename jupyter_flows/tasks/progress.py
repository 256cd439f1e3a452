"""``jupyter_flows.progress``: a loop that says how far it is, on the run's page or in the terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import Any, TypeVar

from jupyter_flows.runtime.cell_progress import PROGRESS_MIME

T = TypeVar("T")

EVERY_S = 0.5
"""How often a bar is shown again at most."""

_WIDTH = 30
_DESCRIPTION_LIMIT = 60


def progress(iterable: Iterable[T], total: int | None = None, description: str = "") -> Iterator[T]:
    """Yield the items of *iterable*, and tell how many of them are done.

    In a run's cell the page of the run and the picture of the flow show it while it runs. In a notebook and
    in a terminal a bar of text is shown.

    Parameters
    ----------
    iterable : iterable
        What is looped over.
    total : int, optional
        How many items there are; default: the length of *iterable*, if it has one.
    description : str
        What is done, in a word or two. In a run it is sent to the server, as a line of the log is.

    Examples
    --------
    >>> import jupyter_flows
    >>> sum(jupyter_flows.progress(range(1000), description="adding"))
    499500
    """
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    bar = _bar()
    done, shown_at = 0, float("-inf")
    for item in iterable:
        now = time.monotonic()
        if now - shown_at >= EVERY_S:
            shown_at = now
            bar.show(done, total, description[:_DESCRIPTION_LIMIT])
        yield item
        done += 1
    bar.show(done, total, description[:_DESCRIPTION_LIMIT], is_last=True)


def line_of(done: int, total: int | None, description: str) -> str:
    """Return a bar of text.

    Examples
    --------
    >>> line_of(45, 100, "load")
    'load: 45/100 [#############-----------------]  45%'
    >>> line_of(45, None, "")
    '45'
    """
    text = _counted(done, total, description)
    if not total:
        return text
    full = min(done, total) * _WIDTH // total
    return f"{text} [{'#' * full}{'-' * (_WIDTH - full)}] {min(done, total) / total:4.0%}"


def _counted(done: int, total: int | None, description: str) -> str:
    count = f"{done}/{total}" if total else str(done)
    return f"{description}: {count}" if description else count


class _TerminalBar:
    """On stderr: rewritten in place in a terminal; in a file its end alone."""

    def show(self, done: int, total: int | None, description: str, *, is_last: bool = False) -> None:
        """Show the bar."""
        if sys.stderr.isatty():
            sys.stderr.write("\r" + line_of(done, total, description) + ("\n" if is_last else ""))
            sys.stderr.flush()
        elif is_last:
            sys.stderr.write(line_of(done, total, description) + "\n")


class _KernelBar:
    """In a kernel: a display that is brought up to date, as text and as data for who runs the cell."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, done: int, total: int | None, description: str, *, is_last: bool = False) -> None:
        """Show the bar."""
        from IPython.display import display

        fraction = min(done / total, 1.0) if total else (1.0 if is_last else None)
        bundle = {
            "text/plain": line_of(done, total, description),
            PROGRESS_MIME: {"fraction": fraction, "text": _counted(done, total, description)},
        }
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


def _bar() -> _TerminalBar | _KernelBar:
    shells = sys.modules.get("IPython.core.getipython")
    shell = None if shells is None else shells.get_ipython()
    return _TerminalBar() if getattr(shell, "kernel", None) is None else _KernelBar()
