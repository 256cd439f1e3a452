"""Source text to names to edges: what each cell of a notebook needs of the cells above it.

Pure: nothing is executed, no file is read. :func:`analyse` takes cells whose IPython syntax has been
rewritten (``jupyter_flows.notebook.transform``) and returns every cell's reads and writes and every edge
with its reason. The rule: an extra edge rather than a missing one, and a warning where neither is known.
"""

from jupyter_flows.analysis.edges import analyse, validate
from jupyter_flows.analysis.model import Analysis, CellEdge, CellInfo, CellSource, TaskOptions
from jupyter_flows.analysis.options import parse_task_line

__all__ = [
    "Analysis",
    "CellEdge",
    "CellInfo",
    "CellSource",
    "TaskOptions",
    "analyse",
    "parse_task_line",
    "validate",
]
