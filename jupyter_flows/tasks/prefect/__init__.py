"""Flows that start flows, by Prefect 1's import path."""

from jupyter_flows.tasks.prefect.flow_run import (
    CancelFlowRun,
    FlowRunView,
    StartFlowRun,
    create_flow_run,
    wait_for_flow_run,
)

__all__ = ["CancelFlowRun", "FlowRunView", "StartFlowRun", "create_flow_run", "wait_for_flow_run"]
