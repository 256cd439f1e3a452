"""What stands behind ``%%task``: options in, :class:`TaskOptions` or one clear sentence out.

Only options that something honours are known here; a word that is not one of them is a mistake that
is named together with the nearest right one.
"""

from __future__ import annotations

import ast
import difflib
import keyword
import re
import shlex
from collections.abc import Callable

from jupyter_flows.analysis.model import TaskOptions
from jupyter_flows.errors import InvalidDuration, InvalidOption
from jupyter_flows.schema.duration import parse_duration

TRIGGERS = (
    "all_successful",
    "all_failed",
    "all_finished",
    "always_run",
    "any_successful",
    "any_failed",
    "not_all_skipped",
    "manual_only",
)
_NAME = re.compile(r"[^\W_](?:[\w\-. ]*[\w\-.])?|_[\w\-. ]*")
MAX_RETRIES = 1000


def parse_task_line(line: str, *, where: str = "%%task") -> TaskOptions:
    """Read the rest of a ``%%task`` line.

    Parameters
    ----------
    line : the text behind ``%%task``.
    where : how messages name the cell, such as ``Cell 7``.

    Raises
    ------
    InvalidOption : one sentence with the option and the nearest right one.

    Examples
    --------
    >>> parse_task_line("clean --retries 2 --retry-delay 10s").retries
    2
    >>> parse_task_line("clean --retires 2", where="Cell 7")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    jupyter_flows.errors.InvalidOption: Cell 7 (%%task clean): unknown option --retires; did you mean ...
    """
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        raise InvalidOption(_at(where, None) + "a quotation mark is not closed") from None
    name_words: list[str] = []
    while words and not words[0].startswith("--"):
        name_words.append(words.pop(0))
    name = " ".join(name_words) or None
    at = _at(where, name)
    if name is not None and not _NAME.fullmatch(name):
        raise InvalidOption(
            f"{at}{name!r} cannot be a task name; use letters, digits, '_', '-', '.' and spaces"
        )
    if name is not None and len(name) > 100:
        raise InvalidOption(f"{at}a task name has at most 100 characters")
    values: dict[str, object] = {"name": name}
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            raise InvalidOption(f"{at}{word!r} belongs to no option; quote values that contain spaces")
        option, glued, value = word[2:].partition("=")
        if option not in _OPTIONS:
            raise InvalidOption(at + _unknown(option))
        if not glued:
            if not words or words[0].startswith("--"):
                raise InvalidOption(f"{at}--{option} needs a value, such as --{option} {_OPTIONS[option][2]}")
            value = words.pop(0)
            # `--after a, b`: a comma at an end says that the list goes on.
            while words and option in _NAMES and (value.endswith(",") or words[0].startswith(",")):
                value += words.pop(0)
        field, read, example = _OPTIONS[option]
        if field in values and option not in _NAMES and option != "map":
            raise InvalidOption(f"{at}--{option} is given twice")
        try:
            found = read(value)
            earlier = values.get(field, ())
            values[field] = (
                tuple(dict.fromkeys((*earlier, *found))) if isinstance(earlier, tuple) and earlier else found  # type: ignore[misc]
            )
        except InvalidDuration as error:
            raise InvalidOption(f"{at}--{option}: {error}") from None
        except ValueError as error:
            hint = "" if str(error).endswith("?") else f", such as --{option} {example}"
            raise InvalidOption(f"{at}--{option} {value}: {error}{hint}") from None
    for option in ("in", "out", "mutates", "out-map"):
        for variable in values.get(_OPTIONS[option][0], ()):  # type: ignore[attr-defined]
            if not variable.isidentifier() or keyword.iskeyword(variable):
                raise InvalidOption(f"{at}--{option} {variable}: that is not the name of a variable")
    for option, needed in _NEEDS.items():
        if _OPTIONS[option][0] in values and _OPTIONS[needed][0] not in values:
            raise InvalidOption(f"{at}--{option} needs --{needed}, such as --{needed} {_OPTIONS[needed][2]}")
    both = set(values.get("after", ())) & set(values.get("not_after", ()))  # type: ignore[call-overload]
    if both:
        raise InvalidOption(f"{at}--after and --not-after both name {min(both)}; drop one of them")
    return TaskOptions(**values)  # type: ignore[arg-type]


def _at(where: str, name: str | None) -> str:
    return f"{where}: " if where == "%%task" else f"{where} (%%task{' ' + name if name else ''}): "


def _unknown(option: str) -> str:
    near = difflib.get_close_matches(option, _OPTIONS, n=1, cutoff=0.5)
    hint = (
        f"did you mean --{near[0]}?" if near else "known are " + ", ".join(f"--{known}" for known in _OPTIONS)
    )
    return f"unknown option --{option}; {hint}"


def _list(text: str) -> tuple[str, ...]:
    items = tuple(dict.fromkeys(item.strip() for item in text.split(",") if item.strip()))
    if not items:
        raise ValueError("expected names with commas between them")
    return items


def _retries(text: str) -> int:
    if not re.fullmatch(r"\d{1,4}", text) or int(text) > MAX_RETRIES:
        raise ValueError(f"expected a whole number from 0 to {MAX_RETRIES}")
    return int(text)


def _seconds(text: str) -> float:
    return parse_duration(text).total_seconds()


def _timeout(text: str) -> float:
    seconds = _seconds(text)
    if seconds <= 0:
        raise ValueError("expected more than zero")
    return seconds


def _trigger(text: str) -> str:
    if text not in TRIGGERS:
        near = difflib.get_close_matches(text, TRIGGERS, n=1)
        raise ValueError(
            f"unknown trigger; did you mean {near[0]}?" if near else "known are " + ", ".join(TRIGGERS)
        )
    return text


def _condition(text: str) -> str:
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError("expected an expression of Python") from None
    effects = (ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)
    if any(isinstance(node, effects) for node in ast.walk(tree)):
        raise ValueError("expected an expression that only reads")
    return text.strip()


def _mapping(text: str) -> tuple[tuple[str, str], ...]:
    name, equals, expression = text.partition("=")
    name = name.strip()
    if not equals or not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError("expected NAME=ITEMS, a name for each item and what they come from")
    return ((name, _condition(expression)),)


def _cache_by(text: str) -> str:
    if text not in {"inputs", "parameters", "all"}:
        raise ValueError("expected inputs, parameters or all")
    return text


_OPTIONS: dict[str, tuple[str, Callable[[str], object], str]] = {
    "retries": ("retries", _retries, "3"),
    "retry-delay": ("retry_delay_s", _seconds, "10s"),
    "timeout": ("timeout_s", _timeout, "5m"),
    "trigger": ("trigger", _trigger, "all_finished"),
    "after": ("after", _list, "load,clean"),
    "not-after": ("not_after", _list, "load"),
    "in": ("inputs", _list, "df"),
    "out": ("outputs", _list, "df"),
    "mutates": ("mutates", _list, "df"),
    "tags": ("tags", _list, "nightly"),
    "when": ("when", _condition, '"len(rows) > 0"'),
    "map": ("map", _mapping, "row=rows"),
    "out-map": ("out_map", _list, "score"),
    "cache-for": ("cache_for_s", _timeout, "1d"),
    "cache-by": ("cache_by", _cache_by, "inputs"),
    "cache-files": ("cache_files", _list, "data.csv,more/*.parquet"),
}
_NAMES = frozenset({"after", "not-after", "in", "out", "mutates", "tags", "out-map", "cache-files"})
_NEEDS = {"out-map": "map", "cache-by": "cache-for", "cache-files": "cache-for"}
OPTION_NAMES = tuple(f"--{name}" for name in _OPTIONS)
"""For completion in the notebook."""
