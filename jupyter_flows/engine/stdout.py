"""What a task with ``log_stdout`` prints, as lines of the flow's log; from whichever thread it runs in."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any


class _Lines:
    """Collects text and logs whole lines."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._rest = ""

    def write(self, text: str) -> None:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if line:
                self._logger.info("%s", line)

    def close(self) -> None:
        if self._rest:
            self._logger.info("%s", self._rest)
            self._rest = ""


_target: ContextVar[_Lines | None] = ContextVar("jupyter_flows_stdout", default=None)


class _Router:
    """Stands in for ``sys.stdout`` during a run: a context variable says whose text it is."""

    def __init__(self, before: Any) -> None:
        self.before = before

    def write(self, text: str) -> int:
        target = _target.get()
        if target is None:
            return int(self.before.write(text) or len(text))
        target.write(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.before, name)


@contextlib.contextmanager
def routed() -> Iterator[None]:
    """Let :func:`printing_to` work in this process, whatever thread calls it, within the block."""
    router: Any = _Router(sys.stdout)
    sys.stdout = router
    try:
        yield
    finally:
        # A task may have put its own stream there and left it: that is then no longer ours to undo.
        if sys.stdout is router:
            sys.stdout = router.before


@contextlib.contextmanager
def printing_to(logger: logging.Logger) -> Iterator[None]:
    """Send what this context prints to *logger*, line by line."""
    lines = _Lines(logger)
    token = _target.set(lines)
    try:
        with _shared.routed():
            yield
    finally:
        _target.reset(token)
        lines.close()


class _Shared:
    """A router for attempts that run without a run around them: in a worker's process, several at once."""

    def __init__(self) -> None:
        self._users = 0
        self._stack = contextlib.ExitStack()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def routed(self) -> Iterator[None]:
        with self._lock:
            if not self._users and not isinstance(sys.stdout, _Router):
                self._stack.enter_context(routed())
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._stack.close()


_shared = _Shared()
