"""Signals by Prefect 1's import path; they are made in :mod:`jupyter_flows.core.signals`."""

from jupyter_flows.core.signals import (
    FAIL,
    RETRY,
    SKIP,
    SUCCESS,
    TRIGGERFAIL,
    VALIDATIONFAIL,
    PrefectStateSignal,
)

__all__ = ["FAIL", "RETRY", "SKIP", "SUCCESS", "TRIGGERFAIL", "VALIDATIONFAIL", "PrefectStateSignal"]
