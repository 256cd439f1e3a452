"""Cells as bodies of tasks: each runs in the seat that it was given, and what it gives goes into the book."""

from __future__ import annotations

import contextlib
import functools
import inspect
import itertools
import queue
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from jupyter_flows.core.signals import SKIP
from jupyter_flows.core.task import Task
from jupyter_flows.engine import cell_cache, cell_graph, cell_key, cell_modules, cell_options, cell_watch
from jupyter_flows.engine.limits import RunTimedOut, TaskTimedOut
from jupyter_flows.engine.namespace import in_directory
from jupyter_flows.engine.task_runner import CellFailed as EngineCellFailed
from jupyter_flows.engine.task_runner import CellKept, condition_failed, kept_message, skip_message
from jupyter_flows.errors import KernelDied, ValueLost
from jupyter_flows.executors.threads import ThreadCalls
from jupyter_flows.notebook.cell_task import CellTask
from jupyter_flows.runtime.book import Book
from jupyter_flows.runtime.document import Document
from jupyter_flows.runtime.kernel_backend import (
    INTERRUPT_GRACE_S,
    CellFailed,
    CellRunner,
    CellStopped,
    CellTimedOut,
    RunTimeOver,
)
from jupyter_flows.runtime.seats import ReplayFailed, Seat, Seats

_MODULE = "_jupyter_flows_cells"
"""The module, in a kernel, of what does the options of cells."""
_WRAPPER = "get_ipython()._flows_wrapper"
STOPS_WITHIN_S = 2.0
"""How long a kernel that was killed, since the interrupt did not help, is waited for."""
RUN_OVER = "was not finished: the time limit of the run was over"


class SeatedCells:
    """The engine's backend for cells in kernels; values stay in kernels and book, so a call returns none.

    Parameters
    ----------
    seats : Seats
    book : Book
    document : Document
        The notebook; its cells get their outputs.
    slugs : mapping
        Slugs by task.
    cell_timeout_s : float, optional
        For cells without a timeout of their own.
    deadline_at : float, optional
        When the time of the whole run is over (``time.monotonic``).
    run_name : str
        Under which cached results of its cells are found later.
    """

    def __init__(
        self,
        seats: Seats,
        book: Book,
        document: Document,
        *,
        slugs: Mapping[Task, str],
        cell_timeout_s: float | None,
        deadline_at: float | None = None,
        run_name: str = "of the notebook",
    ) -> None:
        self._run_name = run_name
        self._own_places = document.own_places(slugs)
        self._seats = seats
        self._book = book
        self._document = document
        self._slugs = slugs
        self._cell_timeout_s = cell_timeout_s
        self._deadline_at = deadline_at
        self._counter = itertools.count(1)
        self._places = document.places_by_task(slugs)

    def call(
        self, task: Task, inputs: Mapping[str, Any], context: Mapping[str, Any], timeout_s: float | None
    ) -> None:
        """Run the cells of a task in its seat."""
        del inputs
        assert isinstance(task, CellTask)
        slug = self._slugs[task]
        limit_s = timeout_s if timeout_s is not None else self._cell_timeout_s
        try:
            seat = self._seats.seat_of(slug)
            try:
                self._call(task, slug, seat, limit_s)
            except (EngineCellFailed, TaskTimedOut, KernelDied):
                tries_again = context.get("task_run_count", 1) <= task.max_retries
                self._seats.has_failed(seat, slug, tries_again=tries_again)
                raise
        except (ValueLost, ReplayFailed, CellStopped) as error:
            raise EngineCellFailed(str(error), error) from error
        except RunTimeOver as error:
            raise RunTimedOut(RUN_OVER) from error
        finally:
            self._seats.release(slug)

    def _call(self, task: CellTask, slug: str, seat: Seat, limit_s: float | None) -> None:
        runner = seat.runner
        assert runner is not None
        began = time.monotonic()
        self._seats.fill(seat, slug)
        if task.when is not None:
            try:
                holds, raised = runner.ask(task.when, timeout_s=limit_s, deadline_at=self._deadline_at)
            except RunTimeOver:
                raise
            except CellTimedOut as error:
                msg = f"took longer than {limit_s or 0:g} s"
                raise TaskTimedOut(msg) from error
            if raised:
                raise EngineCellFailed(condition_failed(raised, task))
            if not holds:
                raise SKIP(skip_message(task))
        file = str(self._book.new_file(slug))
        texts: dict[str, str] = {}
        places = self._places[slug]
        expressions = self._seats.expressions(slug, file)
        own = self._own_places[slug][0]
        for place in places:
            if task.wrapping is not None and place == own:
                self._wrap(runner, task.wrapping)
            texts = self._run(runner, place, task.name, limit_s, expressions if place == places[-1] else None)
        if expressions and not texts:
            # The last cell ended early, but well: sys.exit(), or an error that it announces.
            texts = {name: seat.ask(expression) for name, expression in expressions.items()}
        self._seats.took(seat, slug, texts, file=file, seconds=time.monotonic() - began)
        if task.wrapping is not None:
            hit = seat.ask(f"{_WRAPPER}.hit")
            if hit:
                raise CellKept(kept_message(hit))

    def _wrap(self, runner: CellRunner, wrapping: dict[str, Any]) -> None:
        """Give the kernel, which may have no such package, what does a cell's options."""
        asked = in_directory(wrapping, run=self._run_name)
        install = f"install(get_ipython(), {asked!r})"
        known, _ = runner.ask(f"{_MODULE!r} in __import__('sys').modules")
        if not known:
            runner.ask(_install_module())
        _, raised = runner.ask(f"__import__({_MODULE!r}).{install}")
        if raised:
            msg = f"{raised} when the kernel was given the options of a cell; it is no kernel of IPython's"
            raise EngineCellFailed(msg)

    def _run(
        self,
        runner: CellRunner,
        place: int,
        name: str,
        timeout_s: float | None,
        expressions: Mapping[str, str] | None,
    ) -> dict[str, str]:
        count = next(self._counter)
        try:
            return runner.call(
                place,
                name=name,
                timeout_s=timeout_s,
                deadline_at=self._deadline_at,
                expressions=expressions,
            )
        except RunTimeOver as error:
            raise RunTimedOut(RUN_OVER) from error
        except CellTimedOut as error:
            msg = f"took longer than {timeout_s or 0:g} s"
            raise TaskTimedOut(msg) from error
        except (CellFailed, CellStopped) as error:
            raise EngineCellFailed(str(error), error) from error
        finally:
            self._document.number(place, count)


class SeatedExecutor:
    """Calls a task as soon as there is a seat for it.

    Parameters
    ----------
    seats : Seats
    slugs : mapping
        Slugs by task.
    limit : int
        Most tasks at once.
    """

    kind: ClassVar[str] = "seats"
    runs_cells: ClassVar[bool] = True

    def __init__(self, seats: Seats, slugs: Mapping[Task, str], *, limit: int) -> None:
        self._seats = seats
        self._slugs = slugs
        self._limit = limit

    def open(self) -> SeatedCalls:
        """Get ready for one run."""
        return SeatedCalls(self._seats, self._slugs, self._limit)


class SeatedCalls(ThreadCalls):
    """Threads of this process, each of which waits for a kernel."""

    def __init__(self, seats: Seats, slugs: Mapping[Task, str], limit: int) -> None:
        super().__init__(limit)
        self._seats = seats
        self._slugs = slugs

    def takes(self, task: Task) -> bool:
        """Whether a seat for *task* is free; it is kept for it."""
        return self._seats.reserve(self._slugs[task])

    def interrupt(self) -> None:
        """Have the kernels that are at work interrupted, and then whoever waits for something else.

        Each by who serves its sockets, once: a second interrupt would hit the kernel's own handling of the
        first.
        """
        for seat in self._seats.busy():
            if seat.runner is not None:
                seat.runner.stop()
        until = time.monotonic() + INTERRUPT_GRACE_S + STOPS_WITHIN_S
        while self._busy and time.monotonic() < until:
            with contextlib.suppress(queue.Empty):
                self._done.get(timeout=0.02)
        super().interrupt()


_CELL_PARTS = (cell_graph, cell_modules, cell_key, cell_watch, cell_cache, cell_options)
"""What a kernel is sent, in the order in which it is needed."""


@functools.cache
def _install_module() -> str:
    """Return an expression that makes the module in a kernel: one, for its hooks cannot be taken back."""
    sources = [inspect.getsource(part) for part in _CELL_PARTS]
    runs = ", ".join(f"exec({source!r}, module.__dict__)" for source in sources)
    made = f"__import__('types').ModuleType({_MODULE!r})"
    return f"(lambda module: ({runs}, __import__('sys').modules.update({{{_MODULE!r}: module}})))({made})"
