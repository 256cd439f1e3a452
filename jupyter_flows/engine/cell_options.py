"""``--map`` and ``--cache-for`` of a cell, done in the process whose namespace the cell runs in.

That process may be a kernel without this package: it is sent this file's text. So it imports nothing of
ours, and speaks plain dicts.
"""

from __future__ import annotations

import ast
import sys
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

if __name__ == "jupyter_flows.engine.cell_options":
    # In a kernel the name is there already.
    from jupyter_flows.engine.cell_cache import CellCache

LOOP = "_flows_map"
"""The name under which the loop of a mapped cell stands in the namespace while it runs."""


class ItemsFailed(Exception):
    """Some items of a cell with ``--map`` failed; the first one's error is the cause."""


class CellWrapper:
    """Wraps one cell for one run.

    Parameters
    ----------
    asked : dict
        ``map`` (pairs of a name and an expression), ``out_map`` (names), ``retries`` and ``retry_delay_s``
        for each item; ``cache``, what ``cell_cache`` is asked.
    namespace : dict
        The cell's.
    show : callable
        Shows the value of the cell's last expression, once for each item.
    shell : any
        IPython's, if there is one that shows what cells show.

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
        self,
        asked: dict[str, Any],
        namespace: dict[str, Any],
        show: Callable[[Any], Any] | None = None,
        *,
        shell: Any = None,
    ) -> None:
        self._asked = asked
        self._namespace = namespace
        self._show = show or _display
        cache = asked.get("cache")
        self._cache = CellCache(cache, namespace, shell) if cache else None

    def visit(self, tree: ast.Module) -> ast.Module:
        """Return what is to run in place of the cell's *tree*."""
        if self._cache is not None and self._cache.look_up():
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

    @property
    def hit(self) -> str:
        """From which run what stands for this one is; empty if the cell ran."""
        return self._cache.hit if self._cache is not None else ""

    def stop(self) -> None:
        """The cell has ended, well or not."""
        self._namespace.pop(LOOP, None)
        if self._cache is not None:
            self._cache.stop()

    def ended(self) -> None:
        """The cell has run without an error: keep what it made."""
        self._namespace.pop(LOOP, None)
        if self._cache is not None:
            self._cache.keep()


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

    under_way = 0
    is_well = True

    def begins(_info: Any) -> None:
        nonlocal under_way
        under_way += 1

    def ended(result: Any) -> None:
        # Within the execution of the cell: what is said is said in it, and nothing that is asked of the
        # kernel afterwards counts as done by the cell.
        nonlocal under_way, is_well
        under_way -= 1
        is_well = is_well and result.success
        if under_way > 0:
            return  # what a magic runs is a cell, too: %%capture, which ends well even if that fails
        shell.events.unregister("pre_run_cell", begins)
        shell.events.unregister("post_run_cell", ended)
        if is_well:
            wrapper.ended()
        else:
            wrapper.stop()

    wrapper = CellWrapper(asked, shell.user_ns, shell=shell)
    shell._flows_wrapper = wrapper  # noqa: SLF001 - IPython has no place for ours
    shell.ast_transformers.append(Once())
    shell.events.register("pre_run_cell", begins)
    shell.events.register("post_run_cell", ended)
