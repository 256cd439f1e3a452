"""jupyter_flows: the notebook is the workflow.

The map of the package, floor by floor (an upper floor imports lower ones, never the reverse)::

    cli                                   the command line
    magics                                %%task and %flow
    widget                                the DAG in a notebook
    flow                                  Flow = graph + verbs: run, register, visualize
    registering   agent   server          metadata to the server, code to storage; who runs it
    runtime                               the process of one run
    storage  run_configs  environment  client
    engine                                one engine for functions and cells
    executors     notebook                how tasks are called; cells to a graph and back
    core  schedules  analysis             the model; pure
    schema                                records that cross a process

Everything public is imported from here, at first use.

Examples
--------
>>> from jupyter_flows import Flow, task
>>> @task
... def add(x, y=1):
...     return x + y
>>> with Flow("sum") as flow:
...     three = add(1, 2)
>>> flow.run().result[three].result
3
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_flows import context as context
    from jupyter_flows import triggers as triggers
    from jupyter_flows.core.apply_map import apply_map as apply_map
    from jupyter_flows.core.current import tags as tags
    from jupyter_flows.core.edge import Edge as Edge
    from jupyter_flows.core.mapping import flatten as flatten
    from jupyter_flows.core.mapping import mapped as mapped
    from jupyter_flows.core.mapping import unmapped as unmapped
    from jupyter_flows.core.parameter import Parameter as Parameter
    from jupyter_flows.core.task import Task as Task
    from jupyter_flows.core.task import task as task
    from jupyter_flows.flow import Flow as Flow
    from jupyter_flows.tasks.control_flow import case as case
    from jupyter_flows.tasks.control_flow import ifelse as ifelse
    from jupyter_flows.tasks.control_flow import merge as merge
    from jupyter_flows.tasks.control_flow import switch as switch
    from jupyter_flows.tasks.core.resource_manager import resource_manager as resource_manager
    from jupyter_flows.tasks.progress import progress as progress

_WHERE = {
    "Edge": "core.edge",
    "Flow": "flow",
    "Parameter": "core.parameter",
    "Task": "core.task",
    "apply_map": "core.apply_map",
    "case": "tasks.control_flow",
    "flatten": "core.mapping",
    "ifelse": "tasks.control_flow",
    "mapped": "core.mapping",
    "merge": "tasks.control_flow",
    "progress": "tasks.progress",
    "resource_manager": "tasks.core.resource_manager",
    "switch": "tasks.control_flow",
    "tags": "core.current",
    "task": "core.task",
    "unmapped": "core.mapping",
}

_MODULES = {"context", "triggers"}

__all__ = [
    "Edge",
    "Flow",
    "Parameter",
    "Task",
    "apply_map",
    "case",
    "context",
    "flatten",
    "ifelse",
    "mapped",
    "merge",
    "progress",
    "resource_manager",
    "switch",
    "tags",
    "task",
    "triggers",
    "unmapped",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        value = getattr(import_module(f"jupyter_flows.{_WHERE[name]}"), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return import_module(f"jupyter_flows.{name}")
    if name == "__version__":
        return _own_version()
    msg = f"module 'jupyter_flows' has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, "__version__"])


def _own_version() -> str:
    try:
        return str(import_module("jupyter_flows._version").__version__)
    except ModuleNotFoundError:
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("jupyter-flows")
        except PackageNotFoundError:
            # A checkout on the path, not installed.
            return "0+checkout"


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "jupyter-flows"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from jupyter_flows.server.extension import FlowsExtension

    return [{"module": "jupyter_flows", "app": FlowsExtension}]


def load_ipython_extension(ipython: Any) -> None:
    """Make ``%%task`` and ``%flow`` known; called by ``%load_ext jupyter_flows``."""
    from jupyter_flows.magics import load_ipython_extension as load

    load(ipython)


def unload_ipython_extension(ipython: Any) -> None:
    """Forget ``%%task`` and ``%flow``."""
    from jupyter_flows.magics import unload_ipython_extension as unload

    unload(ipython)
