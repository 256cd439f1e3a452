"""Executors by Prefect 1's older import path; they are made in :mod:`jupyter_flows.executors`."""

from jupyter_flows.executors import DaskExecutor, Executor, LocalDaskExecutor, LocalExecutor

__all__ = ["DaskExecutor", "Executor", "LocalDaskExecutor", "LocalExecutor"]
