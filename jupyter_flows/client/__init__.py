"""Talking to the server: one method an endpoint, one place that speaks HTTP."""

from jupyter_flows.client.api import FlowsApi
from jupyter_flows.client.discovery import connect
from jupyter_flows.client.secrets import Secret

__all__ = ["FlowsApi", "Secret", "connect"]
