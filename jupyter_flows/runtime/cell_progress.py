"""How far a cell is, read from what it says: our own progress, tqdm's bars as text and as widgets.

Answers for one kernel message: does it tell of progress, and of how much. Knows nothing of tasks. Of a bar
that others print only its numbers are taken: its title and what follows may be data, which does not leave.
"""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

PROGRESS_MIME = "application/vnd.jupyter-flows.progress+json"
"""What ``jupyter_flows.progress`` displays, beside its plain text."""

_TEXT_LIMIT = 120
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
# "load:  45%|████▌     | 45/100 [00:04<00:05, 10.0it/s]", as tqdm writes it; with no total it writes
# "45it [00:04, 10.0it/s]".
_BAR = re.compile(
    r"^(?:[^\r\n]{0,100}?: +)?(?P<percent>\d{1,3})%\|[^|\r\n]*\| *"
    r"(?P<count>[\d.]{1,20}[kMGTPE]?/[\d.]{1,20}[kMGTPE]?)(?=[ \r\n]|$)"
)
_COUNT = re.compile(
    r"^(?:[^\r\n]{0,100}?: +)?(?P<count>[\d.]{1,20}[kMGTPE]?)\w{1,20} \[\d[\d:]*, +[^\]\r\n]+\]"
)
_BARS = {"FloatProgressModel", "IntProgressModel"}


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far: *fraction* from 0 to 1, None if the total is not known; *text* says it for people."""

    fraction: float | None
    text: str = ""


class ProgressReader:
    r"""Reads the messages of one cell.

    Examples
    --------
    >>> from jupyter_flows.runtime.cell_progress import bar_in
    >>> bar_in("\rload:  45%|████▌     | 45/100 [00:04<00:05, 10.0it/s]")
    Progress(fraction=0.45, text='45/100')
    """

    def __init__(self) -> None:
        self._widgets: dict[str, dict[str, Any]] = {}

    def read(self, msg: dict[str, Any]) -> Progress | None:
        """Return the progress that a message tells of."""
        kind, content = msg["msg_type"], msg["content"]
        if kind == "stream":
            return bar_in(content["text"])
        if kind in {"display_data", "update_display_data"}:
            told = content.get("data", {}).get(PROGRESS_MIME)
            return _own(told) if isinstance(told, dict) else None
        if kind in {"comm_open", "comm_msg"}:
            return self._widget(content)
        return None

    def _widget(self, content: dict[str, Any]) -> Progress | None:
        state = content.get("data", {}).get("state")
        name = content.get("comm_id")
        if not isinstance(state, dict) or not isinstance(name, str):
            return None
        if state.get("_model_name") in _BARS:
            self._widgets[name] = dict(state)
        elif name in self._widgets:
            self._widgets[name].update(state)
        else:
            return None
        return _of_widget(self._widgets[name])


def bar_in(text: str) -> Progress | None:
    """Return the last of tqdm's bars in a piece of text."""
    if "%|" not in text and "it" not in text and " [" not in text:
        return None
    for line in reversed(re.split(r"[\r\n]+", text[-4000:])):
        line = _ANSI.sub("", line)  # noqa: PLW2901
        found = _BAR.match(line.lstrip())
        if found is not None:
            return Progress(fraction=min(int(found["percent"]), 100) / 100, text=found["count"])
        found = _COUNT.match(line.lstrip())
        if found is not None:
            return Progress(fraction=None, text=found["count"])
    return None


def _own(told: dict[str, Any]) -> Progress | None:
    fraction, text = told.get("fraction"), told.get("text")
    if fraction is not None and not (isinstance(fraction, int | float) and math.isfinite(fraction)):
        return None
    return Progress(
        fraction=None if fraction is None else min(max(float(fraction), 0.0), 1.0),
        text=str(text or "")[:_TEXT_LIMIT],
    )


def _of_widget(state: dict[str, Any]) -> Progress | None:
    try:
        low, high, value = (float(state.get(name, 0)) for name in ("min", "max", "value"))
    except (TypeError, ValueError):
        return None
    # tqdm.notebook marks a bar of unknown length by the style "info".
    if not high > low or state.get("bar_style") == "info":
        return None
    fraction = min(max((value - low) / (high - low), 0.0), 1.0)
    return Progress(fraction=fraction, text=f"{value:g}/{high:g}" if low == 0 else "")
