"""What a ``%flow`` line says. Knows neither kernel nor server."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from difflib import get_close_matches

import msgspec

from jupyter_flows.errors import InvalidOption

VERBS = ("run", "register", "runs", "logs", "explain", "pause", "resume", "cancel")
_LINE = re.compile(r"^[ \t]*%flow\b(.*)$", re.MULTILINE)
_ONLY = re.compile(r"^[ \t]*(%flow\b.*|%(load|reload)_ext[ \t]+jupyter_flows[ \t]*|#.*)?$")
_MANY = {"--label": "labels", "-l": "labels", "--param": "params", "-p": "params"}
_ONE = {"--schedule": "schedule", "--storage": "storage", "--project": "project", "--path": "path"}


class FlowLine(msgspec.Struct, frozen=True, kw_only=True):
    """A ``%flow`` line, read. ``words`` is what stands behind the verb."""

    verb: str | None = None
    name: str | None = None
    words: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    schedule: str | None = None
    storage: str | None = None
    project: str | None = None
    path: str | None = None

    @property
    def declares(self) -> bool:
        """Whether it says something about the flow, rather than asking for something to be done."""
        return self.verb is None and (
            self.name is not None or bool(self.labels or self.schedule or self.storage)
        )


def parse_flow_line(line: str) -> FlowLine:
    """Read what stands behind ``%flow``.

    Raises
    ------
    InvalidOption : one sentence that names the option and the nearest right one.

    Examples
    --------
    >>> parse_flow_line('etl --schedule "0 6 * * *" --label night').schedule
    '0 6 * * *'
    """
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        msg = f"%flow: {str(error).lower()} in {line.strip()!r}; close the quotation mark"
        raise InvalidOption(msg) from None
    plain: list[str] = []
    many: dict[str, list[str]] = {"labels": [], "params": []}
    one: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        option, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if not option.startswith("-") or option == "-":
            plain.append(word)
            continue
        if option not in _MANY and option not in _ONE:
            near = get_close_matches(option, [*_ONE, *_MANY], n=1)
            hint = (
                f"did you mean {near[0]}?"
                if near
                else f"there are {', '.join([*_ONE, '--label', '--param'])}"
            )
            msg = f"%flow: unknown option {option}; {hint}"
            raise InvalidOption(msg)
        if not equals:
            value = next(rest, "")
        if not value:
            msg = f"%flow: option {option} needs a value"
            raise InvalidOption(msg)
        if option in _MANY:
            many[_MANY[option]].append(value)
        else:
            one[_ONE[option]] = value
    verb = plain.pop(0) if plain and plain[0] in VERBS else None
    name = None if verb else (" ".join(plain) or None)
    return FlowLine(
        verb=verb,
        name=name,
        words=tuple(plain) if verb else (),
        labels=tuple(many["labels"]),
        params=tuple(many["params"]),
        **one,
    )


def has_only_flow_lines(source: str) -> bool:
    """Whether a cell does nothing but speak to jupyter_flows: it is no part of the flow."""
    lines = source.splitlines()
    return any("%flow" in line for line in lines) and all(_ONLY.match(line) for line in lines)


def declaration(sources: Iterable[str]) -> FlowLine:
    """Return what the ``%flow`` lines of a notebook declare; a later line wins, labels add up."""
    found = FlowLine()
    for source in sources:
        if source.lstrip().startswith("%%"):
            continue
        for match in _LINE.finditer(source):
            line = parse_flow_line(match[1])
            if line.declares or (line.verb in {None, "register"}):
                found = FlowLine(
                    name=line.name or found.name,
                    labels=tuple(dict.fromkeys([*found.labels, *line.labels])),
                    schedule=line.schedule or found.schedule,
                    storage=line.storage or found.storage,
                    project=line.project or found.project,
                )
    return found
