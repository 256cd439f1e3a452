"""Loggers whose lines a run sends on, by Prefect 1's import path."""

from __future__ import annotations

import logging

from jupyter_flows.core.context import context

__all__ = ["get_logger"]


def get_logger(name: str | None = None) -> logging.Logger:
    """Return the logger of the run that the code is in; outside of one, that of all flows.

    Parameters
    ----------
    name : str, optional
        Of a logger below it.

    Examples
    --------
    >>> get_logger("load").name
    'jupyter_flows.flow.load'
    """
    found: logging.Logger = context.logger
    return found if name is None else found.getChild(name)
