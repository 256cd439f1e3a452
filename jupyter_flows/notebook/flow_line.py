"""What a ``%flow`` line says. Knows neither kernel nor server."""

from __future__ import annotations

import ast
import re
import shlex
from collections import deque
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from itertools import takewhile
from typing import Any

import msgspec

from jupyter_flows.errors import InvalidOption
from jupyter_flows.notebook.transform import plain_python

VERBS = (
    "run",
    "register",
    "why",
    "check",
    "infer",
    "runs",
    "logs",
    "explain",
    "doctor",
    "pause",
    "resume",
    "cancel",
    "debug",
)
_ACTING = frozenset(VERBS) - {"register"}
"""What these do says nothing of what the flow is."""
_CRON_FIELD = re.compile(r"(?!\d{4}-)[\d*/,-]+|every")
_MANY = {"--label": "labels", "-l": "labels", "--param": "params", "-p": "params"}
_ONE = {"--schedule": "schedule", "--storage": "storage", "--project": "project", "--path": "path"}
_ONE |= {"--runs": "runs", "--seed": "seed", "--budget": "budget", "--cell-timeout": "cell_timeout"}
_ONE |= {"--parallel": "parallel"}
_PARALLEL = ("off", "threads", "processes")
_FLAGS = {"--all-cells": "all_cells", "--by-heading": "by_heading", "--stale": "stale"}


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
    runs: str | None = None
    seed: str | None = None
    budget: str | None = None
    parallel: str | None = None
    """Whether headless runs execute independent cells at once: ``off``, ``threads``, ``processes``."""
    cell_timeout: str | None = None
    all_cells: bool = False
    by_heading: bool = False
    stale: bool = False
    """Of ``run``: only what is out of date, among the user's own variables."""


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
    one: dict[str, Any] = {}
    rest = deque(words)
    while rest:
        word = rest.popleft()
        option, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if not option.startswith("-") or option == "-":
            plain.append(word)
            continue
        if option in _FLAGS and not equals:
            one[_FLAGS[option]] = True
            continue
        if option not in _MANY and option not in _ONE:
            near = get_close_matches(option, [*_ONE, *_MANY, *_FLAGS], n=1, cutoff=0.7)
            hint = (
                f"did you mean {near[0]}?"
                if near
                else f"there are {', '.join([*_ONE, *_FLAGS, '--label', '--param'])}"
            )
            msg = f"%flow: unknown option {option}; {hint}"
            raise InvalidOption(msg)
        if not equals:
            value = rest.popleft() if rest and not rest[0].startswith("--") else ""
            if option == "--schedule" and _CRON_FIELD.fullmatch(value):
                # Half of a schedule: its quotation marks were forgotten.
                while rest and not rest[0].startswith("-"):
                    value += f" {rest.popleft()}"
        if not value:
            msg = f"%flow: option {option} needs a value"
            raise InvalidOption(msg)
        if option in _MANY:
            many[_MANY[option]].append(value)
        else:
            one[_ONE[option]] = value
    verb = plain.pop(0) if plain and plain[0] in VERBS else None
    if verb is None and len(plain) == 1 and not words[1:]:
        slipped = next((verb for verb in VERBS if _is_slip(plain[0], verb)), None)
        if slipped is not None:
            msg = (
                f"%flow: {plain[0]!r} is no action; did you mean %flow {slipped}? "
                f"(To name the flow so, add an option: %flow {plain[0]} --project default)"
            )
            raise InvalidOption(msg)
    if "stale" in one and (verb != "run" or many["params"] or len(one) > 1):
        msg = (
            "%flow run --stale takes no other options: it runs cells among your variables as they are"
            if verb == "run"
            else "%flow: --stale is an option of run: %flow run --stale"
        )
        raise InvalidOption(msg)
    if one.get("parallel", "off") not in _PARALLEL:
        msg = f"%flow: --parallel is {one['parallel']!r}; use {', '.join(_PARALLEL[:-1])} or {_PARALLEL[-1]}"
        raise InvalidOption(msg)
    name = None if verb else (" ".join(plain) or None)
    return FlowLine(
        verb=verb,
        name=name,
        words=tuple(plain) if verb else (),
        labels=tuple(many["labels"]),
        params=tuple(many["params"]),
        **one,
    )


def _is_slip(typed: str, meant: str) -> bool:
    """Whether one slip of the fingers makes *typed* of *meant*: a letter lost, added, wrong, or two swapped.

    Examples
    --------
    >>> _is_slip("regsiter", "register"), _is_slip("long", "logs"), _is_slip("registry", "register")
    (True, False, False)
    """
    if len(meant) < 5 or typed == meant:
        return False
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(typed, meant, strict=False)))
    rest, wanted = typed[same:], meant[same:]
    return (
        rest[1:] == wanted[1:]
        or rest[1:] == wanted
        or rest == wanted[1:]
        or (rest[:2] == wanted[1::-1] and rest[2:] == wanted[2:])
    )


def has_only_flow_lines(source: str) -> bool:
    """Whether a cell does nothing but speak to jupyter_flows: it is no part of the flow."""
    if "%flow" not in source or source.lstrip().startswith("%%"):
        return False
    tree = _parsed(source)
    magics = [_magic_of(statement) for statement in tree.body]
    return bool(magics) and all(
        name in {"flow", "pinfo", "pinfo2"}
        or (name in {"load_ext", "reload_ext"} and line.strip() == "jupyter_flows")
        for name, line in magics
    )


def declaration(sources: Iterable[str]) -> FlowLine:
    """Return what the ``%flow`` lines of a notebook declare; a later line wins, labels add up.

    A slip in a line that only acts (``%flow run --stal``) declares nothing: it was told when it ran.

    Raises
    ------
    InvalidOption : a line that declares something cannot be read.

    Examples
    --------
    >>> declaration(["%flow etl", "%flow run --stal"]).name
    'etl'
    """
    found = FlowLine()
    for source in sources:
        for text in _flow_lines(source):
            if text.split(maxsplit=1)[:1] and text.split(maxsplit=1)[0] in _ACTING:
                continue
            line = parse_flow_line(text)
            if line.verb in {None, "register"}:
                found = FlowLine(
                    name=line.name or found.name,
                    labels=tuple(dict.fromkeys([*found.labels, *line.labels])),
                    schedule=line.schedule or found.schedule,
                    storage=line.storage or found.storage,
                    project=line.project or found.project,
                    parallel=line.parallel or found.parallel,
                    all_cells=line.all_cells or found.all_cells,
                    by_heading=line.by_heading or found.by_heading,
                )
    return found


def declares(source: str) -> bool:
    """Whether a cell says what the flow is: its name, schedule, labels; not only what to do with it.

    Examples
    --------
    >>> declares("%flow etl --schedule hourly"), declares("%flow"), declares("%flow register --label gpu")
    (True, False, False)
    """
    lines = []
    for text in _flow_lines(source):
        try:
            lines.append(parse_flow_line(text))
        except InvalidOption:
            continue  # it said so when it ran
    return any(line.verb is None and line != FlowLine() for line in lines)


def _flow_lines(source: str) -> Iterator[str]:
    """Yield what stands behind each ``%flow`` of a cell; one in a text or a comment is none."""
    if "%flow" not in source:
        return
    for node in ast.walk(_parsed(source)):
        name, line = _magic_of(node)
        if name == "flow":
            yield line


def _parsed(source: str) -> ast.Module:
    try:
        return ast.parse(plain_python(source).source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module(body=[], type_ignores=[])


def _magic_of(node: ast.AST) -> tuple[str, str]:
    """Return name and line of ``get_ipython().run_line_magic(NAME, LINE)``, else two empty texts."""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return "", ""
    call = node.value
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "run_line_magic" or len(call.args) != 2:
        return "", ""
    name, line = (item.value if isinstance(item, ast.Constant) else "" for item in call.args)
    return str(name), str(line)
