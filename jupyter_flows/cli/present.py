"""How things look in a terminal: states, times, tables. Text from elsewhere is never markup.

Control characters of names and messages are shown escaped, so that a log cannot rewrite the screen.
"""

from __future__ import annotations

import sys
import unicodedata
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from jupyter_flows.schema.base import to_json, utc_now

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

STYLES = {
    "Scheduled": ("○", "yellow"),
    "Pending": ("○", "bright_black"),
    "Queued": ("○", "yellow"),
    "Submitted": ("◔", "yellow"),
    "Running": ("◑", "blue"),
    "Retrying": ("↻", "magenta"),
    "Paused": ("‖", "magenta"),
    "Resume": ("‖", "magenta"),
    "Cancelling": ("◌", "bright_black"),
    "Success": ("●", "green"),
    "Cached": ("●", "green"),
    "Mapped": ("●", "green"),
    "Looped": ("↻", "magenta"),
    "Skipped": ("◍", "cyan"),
    "Failed": ("✗", "red"),
    "TimedOut": ("✗", "red"),
    "TriggerFailed": ("⊘", "dark_orange3"),
    "ValidationFailed": ("✗", "red"),
    "Cancelled": ("⊖", "bright_black"),
}
FINAL = {"Success", "Cached", "Mapped", "Skipped", "Failed", "TimedOut", "TriggerFailed", "Cancelled"}
GOOD = {"Success", "Cached", "Mapped", "Skipped"}


def counted(number: int, what: str) -> str:
    """Return ``1 edge``, ``2 edges``."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def safe(text: str) -> str:
    """Return *text* with control and bidirectional characters shown escaped."""
    return "".join(
        character
        if character.isprintable()
        or (character == " " and not unicodedata.bidirectional(character).startswith("R"))
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def console(*, stderr: bool = False) -> Console:
    """Return a console that behaves in pipes: no colours there, lines as wide as they are."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    wide = None if stream.isatty() else 160
    return Console(stderr=stderr, highlight=False, width=wide, soft_wrap=False)


def print_json(value: Any) -> None:
    """Print a record (or list of them) as indented JSON."""
    import msgspec

    click.echo(msgspec.json.format(to_json(value), indent=2).decode())


def table(*columns: str, title: str | None = None) -> Table:
    """Return an empty table in the house's look: no boxes, a quiet header."""
    from rich import box
    from rich.table import Table

    made = Table(
        box=box.SIMPLE_HEAD,
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        pad_edge=False,
    )
    for column in columns:
        right = column.endswith(">")
        made.add_column(column.rstrip(">"), justify="right" if right else "left", no_wrap=right)
    return made


def plain(text: str, style: str = "") -> Text:
    """Return *text* as it is, never read as markup."""
    from rich.text import Text

    return Text(safe(text), style=style)


def plain_lines(text: str, style: str = "") -> Text:
    """Return a text of several lines as it is, never read as markup."""
    from rich.text import Text

    return Text("\n".join(safe(line) for line in text.split("\n")), style=style)


def state(name: str) -> Text:
    """Return a state with its sign and colour."""
    sign, style = STYLES.get(name, ("?", ""))
    return plain(f"{sign} {name}", style)


def strip(states: list[str]) -> Text:
    """Return the last runs as a strip of signs, oldest first."""
    from rich.text import Text

    text = Text()
    for name in states:
        sign, style = STYLES.get(name, ("?", ""))
        text.append(sign + " ", style)
    return text


def duration(seconds: float | None) -> str:
    """Return seconds for people: ``40 ms``, ``2.3 s``, ``12 s``, ``3 m 05 s``, ``2 h 10 m``.

    Examples
    --------
    >>> duration(0.04), duration(2.3), duration(185), duration(7800)
    ('40 ms', '2.3 s', '3 m 05 s', '2 h 10 m')
    """
    if seconds is None:
        return ""
    if 0 < seconds < 1:
        return f"{max(1, round(seconds * 1000))} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} m"


def between(start: datetime | None, end: datetime | None) -> str:
    """Return the time from *start* to *end* (or now) for people."""
    if start is None:
        return ""
    return duration(((end or utc_now()) - start).total_seconds())


def moment(at: datetime | None) -> str:
    """Return a time in the local zone, with how far it is from now."""
    if at is None:
        return ""
    local = at.astimezone()
    distance = at - utc_now()
    text = f"{local:%H:%M:%S}" if abs(distance) < timedelta(hours=20) else f"{local:%Y-%m-%d %H:%M}"
    seconds = distance.total_seconds()
    far = duration(abs(seconds) if abs(seconds) >= 10 else round(abs(seconds)))
    return f"{text} (in {far})" if seconds > 0.5 else f"{text} ({far} ago)"
