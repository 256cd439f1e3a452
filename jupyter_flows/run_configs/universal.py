"""A run config for any agent: environment and labels, nothing about the machine."""

from __future__ import annotations

from typing import ClassVar

from jupyter_flows.run_configs.base import RunConfig


class UniversalRun(RunConfig, frozen=True, kw_only=True):
    """Run wherever an agent with the labels is.

    Examples
    --------
    >>> UniversalRun(env={"DEBUG": "1"}, labels=["prod"]).to_ref().options
    {'env': ['DEBUG=1'], 'labels': ['prod']}
    """

    kind: ClassVar[str] = "universal"
