"""Tasks that a flow makes by itself; they are made in :mod:`jupyter_flows.core.operators`."""
