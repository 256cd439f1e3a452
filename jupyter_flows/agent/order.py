"""What an agent gives a keeper to do, and what the processes of its runs find around them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from jupyter_flows.agent.crew import SpareOrder
from jupyter_flows.schema.agents import Claim
from jupyter_flows.settings import Settings

SECRET_VARIABLES = ("JUPYTER_FLOWS_API_TOKEN", "JUPYTER_FLOWS_API_URL", "JUPYTER_FLOWS_DATABASE_URL")
"""What no process of a run gets: the run's process has no way to the server."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent tells a keeper on its standard input."""

    claim: Claim
    api_url: str
    follow: bool = False
    """The address was found in the home, not configured: look there again when nobody answers."""
    settings: dict[str, Any]
    env: dict[str, str] = {}
    import_paths: tuple[str, ...] = ()
    show_logs: bool = False


def environment_of_runs(order: Order | SpareOrder) -> dict[str, str]:
    """Return what every run of the agent finds in its environment."""
    environ = {name: value for name, value in os.environ.items() if name not in SECRET_VARIABLES}
    if order.import_paths:
        paths = [*order.import_paths, environ.get("PYTHONPATH", "")]
        environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    return {**environ, **order.env}


def run_variables(settings: Settings) -> dict[str, str]:
    """Return the variables by which a run's process knows its keeper and its home."""
    return {
        "JUPYTER_FLOWS_KEEPER_PID": str(os.getpid()),
        "JUPYTER_FLOWS_HOME": str(settings.home),
        "JUPYTER_FLOWS_ENVIRONMENT_POLICY": settings.environment_policy,
    }


def settings_from(values: Mapping[str, Any]) -> Settings:
    """Return the settings that an agent sent along."""
    return Settings(**{**values, "home": Path(values["home"])})
