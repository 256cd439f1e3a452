"""A run config for agents that start processes on their own machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from jupyter_flows.errors import InvalidOption
from jupyter_flows.run_configs.base import LaunchPlan, RunConfig


class LocalRun(RunConfig, frozen=True, kw_only=True):
    """Run as a process of the agent's machine.

    Parameters
    ----------
    working_dir : str, optional
        Directory the flow's code sees as its current one; default: the notebook's own directory where
        it exists, else the run's.
    kernel_name : str, optional
        Kernel to use instead of the one the notebook was registered with.

    Examples
    --------
    >>> LocalRun(working_dir="/srv/etl").to_ref().options
    {'working_dir': '/srv/etl'}
    """

    kind: ClassVar[str] = "local"

    working_dir: str | None = None
    kernel_name: str | None = None

    def plan(self, *, environ: Mapping[str, str], run_directory: Path) -> LaunchPlan:
        """Return how the run's process is started; refuses a working directory that is not here."""
        plan = super().plan(environ=environ, run_directory=run_directory)
        if self.working_dir is None:
            return plan
        directory = Path(self.working_dir).expanduser()
        if not directory.is_dir():
            msg = f"run config: working_dir {self.working_dir} is no directory on this machine"
            raise InvalidOption(msg)
        return LaunchPlan(argv=plan.argv, env=plan.env, cwd=str(directory))
