"""The truth about small notebooks: run them with each cell left out and see which later cells change."""

from __future__ import annotations

import ast
import builtins
import contextlib
import io
import random
import re
import sys
from collections.abc import Collection, Coroutine, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
_IMPORTED = re.compile(r"\b(?:import|from) +([\w.]+)")


def seen(value: Any, depth: int = 0) -> Any:
    """A picture of a value that does not depend on addresses."""
    if depth > 6:
        return "…"
    if isinstance(value, str):
        return _ADDRESS.sub("0x…", value)
    if isinstance(value, (int, float, bytes, bool, type(None), complex)):
        return value
    if isinstance(value, dict):
        return {str(key): seen(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *(seen(item, depth + 1) for item in value)]
    if isinstance(value, (set, frozenset)):
        return sorted(str(seen(item, depth + 1)) for item in value)
    if isinstance(value, type) or callable(value) or type(value).__name__ in {"module", "generator"}:
        return type(value).__name__
    if hasattr(value, "__dict__"):
        return [type(value).__name__, seen(vars(value), depth + 1)]
    return type(value).__name__


DELETED = ("deleted",)
"""What is seen of a name that a cell deleted; no picture of a value is a tuple."""


class TooLong(Exception):
    """A cell of a generated notebook that would run for ever."""


def _limit(lines: int = 3000) -> Any:
    """A tracer that stops a cell after so many lines; a clock would make the answer depend on the machine."""
    left = [lines]

    def trace(frame: Any, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename != "cell":
            return None
        left[0] -= 1
        if left[0] < 0:
            raise TooLong
        return trace

    return trace


class Stores(MutableMapping[str, Any]):
    """The namespace of a cell: remembers which names were bound, also to the value they had, or deleted."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.namespace = namespace
        self.bound: set[str] = set()
        self.deleted: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        return self.namespace[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.bound.add(name)
        self.namespace[name] = value

    def __delitem__(self, name: str) -> None:
        del self.namespace[name]
        self.deleted.add(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.namespace)

    def __len__(self) -> int:
        return len(self.namespace)


def run(cells: Sequence[str], left_out: int | None = None) -> list[Any]:
    """Run the cells top to bottom; return what each one printed, bound and raised."""
    order = [number for number in range(1, len(cells) + 1) if number != left_out]
    observed = run_in(cells, order)
    return [observed.get(number) for number in range(1, len(cells) + 1)]


def run_in(
    cells: Sequence[str], order: Sequence[int], watched: Mapping[int, Collection[str]] | None = None
) -> dict[int, Any]:
    """Run the cells of these numbers one after the other, in one namespace of their own.

    What names stand for after a cell is looked at where it bound them, and for those *watched* at it.
    """
    random.seed(7)
    namespace: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins}
    observed: dict[int, Any] = {}
    with _modules_as_they_were(cells):
        _run_each(cells, order, watched, namespace, observed)
    for value in namespace.values():
        # Where the cell that drives it was left out, Python would warn when it is thrown away.
        if isinstance(value, Coroutine):
            value.close()
    return observed


@contextlib.contextmanager
def _modules_as_they_were(cells: Sequence[str]) -> Iterator[None]:
    """Put back what cells replace in modules: where the cell that does so is left out, nobody else would."""
    names = set(_IMPORTED.findall("\n".join(cells)))
    before = [(module, dict(vars(module))) for name in names if (module := sys.modules.get(name))]
    try:
        yield
    finally:
        for module, attributes in before:
            for name, value in attributes.items():
                if vars(module).get(name) is not value:
                    setattr(module, name, value)


def _run_each(
    cells: Sequence[str],
    order: Sequence[int],
    watched: Mapping[int, Collection[str]] | None,
    namespace: dict[str, Any],
    observed: dict[int, Any],
) -> None:
    for number in order:
        source = cells[number - 1]
        before = dict(namespace)
        stores = Stores(namespace)
        printed = io.StringIO()
        problem = None
        with contextlib.redirect_stdout(printed):
            try:
                sys.settrace(_limit())
                tree = ast.parse(source)
                shown = None
                if tree.body and isinstance(tree.body[-1], ast.Expr):
                    last = tree.body.pop()
                    exec(compile(tree, "cell", "exec"), namespace, stores)
                    shown = eval(compile(ast.Expression(last.value), "cell", "eval"), namespace, stores)
                else:
                    exec(compile(tree, "cell", "exec"), namespace, stores)
                printed.write(repr(seen(shown)))
            except Exception as error:
                problem = type(error).__name__
            finally:
                sys.settrace(None)
        bound = {
            name: seen(value)
            for name, value in namespace.items()
            if not name.startswith("__")
            and (
                name in stores.bound
                or name not in before
                or before[name] is not value
                or (watched is not None and name in watched[number])
            )
        }
        bound |= {name: DELETED for name in stores.deleted - set(namespace)}
        observed[number] = (_ADDRESS.sub("0x…", printed.getvalue()), bound, problem)


def without_failures(cells: Sequence[str]) -> list[str]:
    """Drop cells that raise: what a failed cell did not do is no dependency."""
    kept = list(cells)
    while True:
        failing = [number for number, (_, _, problem) in enumerate(run(kept)) if problem]
        if not failing:
            return kept
        del kept[failing[0]]


def dependent_pairs(cells: Sequence[str]) -> set[tuple[int, int]]:
    """(i, j): cell j does something else when cell i is left out."""
    whole = run(cells)
    found = set()
    for left_out in range(1, len(cells) + 1):
        without = run(cells, left_out)
        for later in range(left_out + 1, len(cells) + 1):
            if whole[later - 1] != without[later - 1]:
                found.add((left_out, later))
    return found
