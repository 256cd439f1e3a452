"""Durations under the name the model uses; read and written in :mod:`~jupyter_flows.schema.duration`.

The text form stands on the lowest floor because the cell options of ``analysis``, a sibling of this
package, are read with it too.
"""

from jupyter_flows.schema.duration import format_duration, parse_duration

__all__ = ["format_duration", "parse_duration"]
