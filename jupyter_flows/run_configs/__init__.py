"""Where and how a run's process is started: one module a kind, each its data and its launcher."""

from __future__ import annotations

from jupyter_flows.run_configs.base import LaunchPlan as LaunchPlan
from jupyter_flows.run_configs.base import RunConfig as RunConfig
from jupyter_flows.run_configs.base import run_config_from_ref as run_config_from_ref
from jupyter_flows.run_configs.local import LocalRun as LocalRun
from jupyter_flows.run_configs.universal import UniversalRun as UniversalRun
