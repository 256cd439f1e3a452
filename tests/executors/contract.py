"""The executors that the shared contract is tried on, and what each is promised to give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from jupyter_flows.executors import LocalExecutor, ProcessExecutor, ThreadExecutor


class Kind(NamedTuple):
    """An executor under test.

    ``here``: bodies run in this process and may share objects with it. ``at_once``: how many run together.
    """

    name: str
    make: Callable[[], Any]
    here: bool
    at_once: int


KINDS = [
    Kind("local", LocalExecutor, here=True, at_once=1),
    Kind("threads", lambda: ThreadExecutor(2), here=True, at_once=2),
    Kind("processes", lambda: ProcessExecutor(2), here=False, at_once=2),
]
