"""What runs in a kernel of IPython's whose threads run cells at once: each cell keeps what is its own.

IPython was written for one cell at a time. ipykernel's threads (7.4) share one shell, whose attributes
hold, for whichever cell came last: the message with a value on its way out, the text whose last character
tells whether the value is shown, the number of the cell, the traceback of its error, and whether showing
its value failed. Two cells at once lost values or gave them twice, and silenced or failed one another. Here
these attributes are the thread's, and what must be one thing at a time (putting IPython's hooks in place
and back, compiling, naming the newest values) waits for its turn. No code of a cell runs while the lock is
held.

The source of this module is sent to the kernel, which need not have this package. A kernel that runs one cell
at a time is left as it is.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any


def own(name: str, values: threading.local, default: Any) -> property:
    """Return an attribute of which each thread has one.

    Parameters
    ----------
    name : str
        Its name among *values*.
    default : callable
        Gives what it is in a thread that has not set it.
    """

    def get(_self: Any) -> Any:
        return getattr(values, name) if hasattr(values, name) else default()

    def put(_self: Any, value: Any) -> None:
        setattr(values, name, value)

    return property(get, put)


def becomes(thing: Any, **members: Any) -> None:
    """Give an object other members of its class; the class keeps its name, by which programs know IPython."""
    kind = type(thing)
    thing.__class__ = type(
        kind.__name__, (kind,), {**members, "__module__": kind.__module__, "__qualname__": kind.__qualname__}
    )


def nothing() -> None:
    """Return what an attribute is before a cell has set it."""


def install(shell: Any) -> None:
    """Have each thread's cells keep what is theirs; a second call does nothing."""
    if hasattr(shell, "flows_threads"):
        return
    shell.flows_threads = values = threading.local()
    lock = threading.RLock()
    _own_numbers(shell, values, lock)
    _own_values(shell, values, lock)
    for trap in (shell.display_trap, shell.builtin_trap):
        _whole(trap, lock)

    flags = shell.compile.extra_flags

    @contextlib.contextmanager
    def extra_flags(wanted: int) -> Iterator[None]:
        # One cell would take back what lets another one await.
        with lock, flags(wanted):
            yield

    shell.compile.extra_flags = extra_flags


def _own_numbers(shell: Any, values: threading.local, lock: Any) -> None:
    """Give each cell a number of its own, and the traceback of its own error."""
    base = type(shell)
    next_number = shell.execution_count

    async def run_cell_async(
        self: Any,
        raw_cell: str,
        store_history: bool = False,  # noqa: FBT001, FBT002 - IPython's signature
        silent: bool = False,  # noqa: FBT001, FBT002 - IPython's signature
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        nonlocal next_number
        if store_history and not silent and raw_cell and not raw_cell.isspace():
            with lock:
                self.execution_count = next_number
                next_number += 1
        self._last_traceback, self._last_traceback_during_displayhook = None, False
        return await base.run_cell_async(self, raw_cell, store_history, silent, *args, **kwargs)

    becomes(
        shell,
        run_cell_async=run_cell_async,
        execution_count=own("execution_count", values, lambda: next_number),
        _last_traceback=own("last_traceback", values, nothing),
        _last_traceback_during_displayhook=own("failed_to_show", values, lambda: False),
    )


def _own_values(shell: Any, values: threading.local, lock: Any) -> None:
    """Show the value of a cell's last expression as its own, if its own text does not silence it."""
    history, hook = shell.history_manager, shell.displayhook
    base, store = type(hook), history.store_inputs

    def store_inputs(number: int, source: str, source_raw: str | None = None) -> None:
        values.source = source
        with lock:
            store(number, source, source_raw)

    def quiet(self: Any) -> bool:
        if not hasattr(values, "source"):
            return bool(base.quiet(self))
        return bool(self.semicolon_at_end_of_expression(values.source))

    def update_user_ns(self: Any, value: Any) -> None:
        with lock:
            base.update_user_ns(self, value)

    history.store_inputs = store_inputs
    becomes(
        hook,
        quiet=quiet,
        update_user_ns=update_user_ns,
        msg=own("message", values, nothing),
        exec_result=own("result", values, nothing),
    )


def _whole(trap: Any, lock: Any) -> None:
    """Have a trap count who is in it, and be set and opened, in one go."""
    base = type(trap)

    def enter(self: Any) -> Any:
        with lock:
            return base.__enter__(self)

    def leave(self: Any, *error: Any) -> Any:
        with lock:
            return base.__exit__(self, *error)

    becomes(trap, __enter__=enter, __exit__=leave)
