"""Which environment a flow was registered in, and how this one differs."""

from jupyter_flows.environment.compare import Difference, compare
from jupyter_flows.environment.fingerprint import fingerprint_here

__all__ = ["Difference", "compare", "fingerprint_here"]
