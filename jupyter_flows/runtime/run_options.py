"""How the cells of a notebook are run: data only, and light to import."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec

from jupyter_flows.runtime.earlier import Earlier

Parallel = Literal["off", "threads", "processes"]


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How the cells of a notebook are run.

    Parameters
    ----------
    parallel : {"off", "threads", "processes"}, optional
        Default: what the notebook declares (``%flow --parallel``), else the setting of that name.
        One after the other in one kernel, or independent ones at once: in threads of it, or in several.
    jobs : int
        Most kernels at once; 0: twice the number of cores.
    checkpoint : Path, optional
        Directory for what cells give, to go on from; None: a temporary one, removed at the end.
    earlier : Earlier, optional
        A run whose successful tasks stand.
    only : tuple of str
        Names of tasks that run, with what they need; empty: all.
    start : str, optional
        A task that runs, with all below it.
    cell_timeout_s : float, optional
        For cells without a timeout of their own.
    time_limit_s : float, optional
        How long the whole notebook may take; what was done by then is kept.
    memory_limit_bytes : int, optional
        What each kernel may use.
    """

    parallel: Parallel | None = None
    jobs: int = 0
    checkpoint: Path | None = None
    earlier: Earlier | None = None
    only: tuple[str, ...] = ()
    start: str | None = None
    cell_timeout_s: float | None = None
    time_limit_s: float | None = None
    memory_limit_bytes: int | None = None

    @property
    def most_kernels(self) -> int:
        """Most kernels at once."""
        return self.jobs or 2 * (os.cpu_count() or 1)
