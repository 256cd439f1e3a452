"""``--map`` and ``--cache-for`` of a cell, done in the process whose namespace the cell runs in.

That process may be a kernel without this package: it is sent this file's text. So it imports nothing of
ours, and speaks plain dicts.
"""

from __future__ import annotations

import ast
import hashlib
import os
import pickle
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType, TracebackType
from typing import Any

LOOP = "_flows_map"
"""The name under which the loop of a mapped cell stands in the namespace while it runs."""
MOST_KEPT = 20
"""How many results of one cell are kept."""
DEPTH = 4
"""How deep functions that functions call are followed for a digest."""


class ItemsFailed(Exception):
    """Some items of a cell with ``--map`` failed; the first one's error is the cause."""


class CellWrapper:
    """Wraps one cell for one run.

    Parameters
    ----------
    asked : dict
        ``map`` (pairs of a name and an expression), ``out_map`` (names), ``retries`` and ``retry_delay_s``
        for each item; ``cache`` with ``directory``, ``key``, ``seconds``, ``names`` (what is hashed),
        ``writes`` (what is kept) and ``needed`` (the part of it that other cells read).
    namespace : dict
        The cell's.
    show : callable
        Shows the value of the cell's last expression, once for each item.

    Examples
    --------
    >>> names = {"rows": [1, 2, 3]}
    >>> wrapper = CellWrapper({"map": [["row", "rows"]], "out_map": ["twice"]}, names)
    >>> code = compile(wrapper.visit(ast.parse("twice = 2 * row")), "cell", "exec")
    >>> exec(code, names)
    >>> names["twice"]
    [2, 4, 6]
    """

    def __init__(
        self, asked: dict[str, Any], namespace: dict[str, Any], show: Callable[[Any], Any] | None = None
    ) -> None:
        self._asked = asked
        self._namespace = namespace
        self._show = show or _display
        self._place: Path | None = None
        self.hit = ""
        """When the values that stood for this run were made; empty if the cell ran."""

    def visit(self, tree: ast.Module) -> ast.Module:
        """Return what is to run in place of the cell's *tree*."""
        cache = self._asked.get("cache")
        if cache and self._look_up(cache):
            return ast.Module([], [])
        return self._looped(tree) if self._asked.get("map") and tree.body else tree

    def _looped(self, tree: ast.Module) -> ast.Module:
        loop = Items(self._asked, self._namespace, self._show)
        self._namespace[LOOP] = loop
        first = tree.body[0]
        body = list(tree.body)
        if isinstance(body[-1], ast.Expr):
            shown = ast.Call(_attribute("show"), [body[-1].value], [])
            body[-1] = ast.copy_location(ast.Expr(ast.copy_location(shown, body[-1])), body[-1])
        pairs = [(name, ast.parse(text, mode="eval").body) for name, text in self._asked["map"]]
        for _, expression in pairs:
            for node in ast.walk(expression):
                if hasattr(node, "lineno"):
                    ast.copy_location(node, first)
        targets = ast.Tuple([ast.Name(name, ast.Store()) for name, _ in pairs], ast.Store())
        items = ast.Call(_attribute("over"), [expression for _, expression in pairs], [])
        each = ast.With([ast.withitem(ast.Name(LOOP, ast.Load()))], body)
        made: list[ast.stmt] = [
            ast.For(targets, items, [each], [], None),
            ast.Expr(ast.Call(_attribute("finish"), [], [])),
        ]
        for node in (*made, each):
            ast.copy_location(node, first)
        return ast.fix_missing_locations(ast.Module(made, []))

    # -- the cache ------------------------------------------------------------------------------------

    def _look_up(self, cache: dict[str, Any]) -> bool:
        """Take over the values of an earlier run of the same cell on the same inputs, if they are fresh."""
        made_of = hashlib.sha256()
        for name in sorted(cache["names"]):
            found = digest(self._namespace.get(name))
            if found is None:
                print(f"(--cache-for: {name}, which the cell reads, cannot be compared)", file=sys.stderr)  # noqa: T201
                return False
            made_of.update(f"{name}={found};".encode())
        self._place = Path(cache["directory"]) / f"{cache['key']}-{made_of.hexdigest()[:32]}"
        try:
            kept = pickle.loads(self._place.read_bytes())  # noqa: S301 - our own file, in the user's own directory
            fresh = kept["until"] > time.time()
            values = pickle.loads(kept["values"]) if fresh else {}  # noqa: S301
        except Exception:  # noqa: BLE001 - no cache is as good as one that cannot be read
            return False
        if not fresh or not set(values) >= set(cache["needed"]):
            return False
        self._namespace.update(values)
        self.hit = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(kept["made"]))
        print(f"(not run: {', '.join(sorted(values)) or 'the cell'} kept since {self.hit})")  # noqa: T201
        return True

    def ended(self) -> None:
        """The cell has run without an error: keep what it made."""
        cache = self._asked.get("cache")
        self._namespace.pop(LOOP, None)
        if not cache or self.hit or self._place is None:
            return
        values = {name: self._namespace[name] for name in cache["writes"] if name in self._namespace}
        try:
            # A figure or a connection that no other cell reads is no reason not to keep the rest.
            values = {
                name: value
                for name, value in values.items()
                if name in cache["needed"] or _can_be_kept(value)
            }
            now = time.time()
            kept = {"made": now, "until": now + cache["seconds"], "values": _pickled(values)}
            self._place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            beside = self._place.with_name(f".{self._place.name}.{os.getpid()}")
            beside.touch(mode=0o600)
            beside.write_bytes(pickle.dumps(kept))
            beside.replace(self._place)
            others = sorted(
                self._place.parent.glob(f"{cache['key']}-*"), key=lambda path: -path.stat().st_mtime
            )
            for old in others[MOST_KEPT:]:
                old.unlink()
        except Exception as error:  # noqa: BLE001 - that it is not kept is no reason to fail
            said = ", ".join(sorted(values))
            print(f"(--cache-for: {said} cannot be kept: {type(error).__name__})", file=sys.stderr)  # noqa: T201


class Items:
    """The loop of a mapped cell: each item with its retries; a failed one does not stop the others."""

    def __init__(self, asked: dict[str, Any], namespace: dict[str, Any], show: Callable[[Any], Any]) -> None:
        self._attempts = 1 + int(asked.get("retries", 0))
        self._delay_s = float(asked.get("retry_delay_s", 0))
        self._out: dict[str, list[Any]] = {name: [] for name in asked.get("out_map", ())}
        self._namespace = namespace
        self._failed: list[int] = []
        self._first: BaseException | None = None
        self._error: BaseException | None = None
        self._count = 0
        self.show: Callable[[Any], Any] = lambda value: None if value is None else show(value)

    def over(self, *iterables: Any) -> Iterator[tuple[Any, ...]]:
        """Yield the items, one as often as it is tried; the shortest iterable ends the loop."""
        for item in zip(*iterables, strict=False):
            self._count += 1
            for attempt in range(1, self._attempts + 1):
                for name in self._out:
                    # A value of the item before must not pass for this one's.
                    self._namespace.pop(name, None)
                yield item
                if self._error is None:
                    break
                said = f"item {self._count}: {type(self._error).__name__}"
                if attempt < self._attempts:
                    print(f"({said}; trying again)", file=sys.stderr)  # noqa: T201
                    time.sleep(self._delay_s)
                    continue
                print(f"({said})", file=sys.stderr)  # noqa: T201
                self._failed.append(self._count)
                self._first = self._first or self._error

    def __enter__(self) -> None:
        self._error = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if error is not None and not isinstance(error, Exception):
            return False
        self._error = error
        if error is None:
            missing = [name for name in self._out if name not in self._namespace]
            if missing:
                self._error = NameError(f"--out-map: the cell gave no {missing[0]!r}")
            else:
                for name, values in self._out.items():
                    values.append(self._namespace[name])
        return True

    def finish(self) -> None:
        """Bind the lists; tell which items failed."""
        self._namespace.pop(LOOP, None)
        if self._failed:
            failed = ", ".join(map(str, self._failed[:10])) + (", …" if len(self._failed) > 10 else "")
            msg = f"{len(self._failed)} of {self._count} items failed: {failed}"
            raise ItemsFailed(msg) from self._first
        self._namespace.update(self._out)


def digest(value: Any, depth: int = 0) -> str | None:
    """Return a digest of *value* that is the same in another process, or None if there is none.

    A function counts by its code and what it reads, not by the file that it was compiled from.
    """
    made = hashlib.sha256()
    if isinstance(value, ModuleType):
        made.update(f"module {value.__name__} {getattr(value, '__version__', '')}".encode())
    elif isinstance(value, FunctionType) and value.__module__ == "__main__":
        made.update(repr(_code(value.__code__)).encode())
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        read = [value.__globals__[name] for name in value.__code__.co_names if name in value.__globals__]
        if depth < DEPTH:
            for part in (value.__defaults__, value.__kwdefaults__, *cells, *read):
                made.update(str(digest(part, depth + 1)).encode())
    else:
        try:
            made.update(_pickled(value))
        except Exception:  # noqa: BLE001 - whatever a class's own pickling raises
            return None
    return made.hexdigest()


def _code(code: CodeType) -> tuple[Any, ...]:
    constants = [_code(part) if isinstance(part, CodeType) else part for part in code.co_consts]
    return code.co_code, constants, code.co_names, code.co_varnames


def _pickled(value: Any) -> bytes:
    try:
        import cloudpickle
    except ImportError:
        return pickle.dumps(value)
    found: bytes = cloudpickle.dumps(value)
    return found


def _can_be_kept(value: Any) -> bool:
    try:
        pickle.loads(_pickled(value))  # noqa: S301 - what was pickled here just now
    except Exception:  # noqa: BLE001 - whatever a class's own pickling raises
        return False
    return True


def _attribute(name: str) -> ast.Attribute:
    return ast.Attribute(ast.Name(LOOP, ast.Load()), name, ast.Load())


def _display(value: Any) -> None:
    from IPython.display import display

    show: Any = display
    show(value)


def install(shell: Any, asked: dict[str, Any]) -> None:
    """Let the next cell of *shell* be wrapped."""

    class Once:
        """An AST transformer that takes itself away."""

        def visit(self, tree: ast.Module) -> ast.Module:
            shell.ast_transformers.remove(self)
            return wrapper.visit(tree)

    wrapper = shell._flows_wrapper = CellWrapper(asked, shell.user_ns)  # noqa: SLF001 - IPython has no place for ours
    shell.ast_transformers.append(Once())
