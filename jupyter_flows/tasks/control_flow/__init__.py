"""Branches in a flow: ``case``, ``switch``, ``ifelse``, ``merge``, and a filter of results."""

from jupyter_flows.tasks.control_flow.case import case
from jupyter_flows.tasks.control_flow.conditional import CompareValue, Merge, ifelse, merge, switch
from jupyter_flows.tasks.control_flow.filter import FilterTask

__all__ = ["CompareValue", "FilterTask", "Merge", "case", "ifelse", "merge", "switch"]
