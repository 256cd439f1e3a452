"""What runs in a kernel of IPython's whose threads run cells at once: each cell shows what it drew.

pyplot has one list of open figures, and at the end of each cell the inline backend shows and closes all that
are on it. With cells at once the one that ended first showed what another was still drawing, or lost it. Here
the list is the thread's. What a cell leaves open (``close_figures`` is off) is there for the next that looks.

The source of this module is sent to the kernel, which need not have this package. matplotlib is not imported
for it.
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

LIST_OF_FIGURES = "matplotlib._pylab_helpers"


class OpenFigures:
    """In place of pyplot's list of figures by number: the thread's own."""

    def __init__(self) -> None:
        self._own = threading.local()
        self._left: OrderedDict[Any, Any] = OrderedDict()
        self._lock = threading.RLock()

    def begin(self, _info: Any) -> None:
        """Take the thread for one that runs cells; others, which cells start, have no list of their own."""
        if not hasattr(self._own, "figures"):
            self._own.figures = OrderedDict()

    def show(self, flush: Any) -> None:
        """Have the backend show what this thread has drawn, and leave what is still open to others."""
        if not hasattr(self._own, "figures"):
            return
        figures = self._mine()
        if figures:
            flush()
            with self._lock:
                self._left.update(figures)
                figures.clear()

    def _mine(self) -> OrderedDict[Any, Any]:
        if not hasattr(self._own, "figures"):
            return self._left
        figures: OrderedDict[Any, Any] = self._own.figures
        if self._left:
            with self._lock:
                figures.update(self._left)
                self._left.clear()
        return figures

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mine(), name)

    def __getitem__(self, number: Any) -> Any:
        return self._mine()[number]

    def __setitem__(self, number: Any, manager: Any) -> None:
        self._mine()[number] = manager

    def __delitem__(self, number: Any) -> None:
        del self._mine()[number]

    def __contains__(self, number: Any) -> bool:
        return number in self._mine()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._mine())

    def __reversed__(self) -> Iterator[Any]:
        return iter(list(reversed(self._mine())))

    def __len__(self) -> int:
        return len(self._mine())


class WhenImported:
    """Among the finders of modules: puts the list in place as soon as pyplot's module is imported."""

    def __init__(self, figures: OpenFigures) -> None:
        self._figures = figures

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Find that module, and no other."""
        if name != LIST_OF_FIGURES:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                run(module)
                module.Gcf.figs = self._figures

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def install(shell: Any) -> None:
    """Have each thread's cells show their own figures; a second call does nothing."""
    if hasattr(shell, "flows_figures"):
        return
    shell.flows_figures = figures = OpenFigures()
    if LIST_OF_FIGURES in sys.modules:
        sys.modules[LIST_OF_FIGURES].Gcf.figs = figures
    else:
        sys.meta_path.insert(0, WhenImported(figures))
    events = shell.events
    register, unregister = events.register, events.unregister
    showing: dict[Any, Any] = {}

    def instead(function: Any) -> Any:
        if getattr(function, "__name__", "") != "flush_figures":
            return function
        return showing.setdefault(function, lambda: figures.show(function))

    events.register = lambda event, function: register(event, instead(function))
    events.unregister = lambda event, function: unregister(event, instead(function))
    for function in [one for one in events.callbacks["post_execute"] if instead(one) is not one]:
        unregister("post_execute", function)
        events.register("post_execute", function)
    events.register("pre_run_cell", figures.begin)
