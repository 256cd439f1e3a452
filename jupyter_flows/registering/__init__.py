"""Metadata to the server, code to storage: what registering does, and its receipt."""

from jupyter_flows.registering.receipt import Receipt
from jupyter_flows.registering.register import (
    flow_of_notebook,
    is_headless,
    register,
    register_notebook,
    register_script,
)
from jupyter_flows.registering.source import Source

__all__ = [
    "Receipt",
    "Source",
    "flow_of_notebook",
    "is_headless",
    "register",
    "register_notebook",
    "register_script",
]
