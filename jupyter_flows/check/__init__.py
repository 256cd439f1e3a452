"""Proving a notebook's graph: its cells are run by the graph, and what then differs is named."""

from jupyter_flows.check.check import check_notebook
from jupyter_flows.check.report import CellRef, Difference, FailedCell, Report, Unstable, UnusedEdge

__all__ = ["CellRef", "Difference", "FailedCell", "Report", "Unstable", "UnusedEdge", "check_notebook"]
