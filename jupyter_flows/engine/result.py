"""The base of results, by Prefect 1's import path; write one for a place of your own."""

from jupyter_flows.engine.results.base import Result

__all__ = ["Result"]
