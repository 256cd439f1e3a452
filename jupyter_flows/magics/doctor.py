"""``%flow doctor``: whether this notebook could be registered and run now, part by part, as sentences.

Looks only: registers nothing, runs nothing, writes nothing. Each part answers for itself, so that one that
fails hides no other.
"""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Callable, Iterator
from typing import Any

from jupyter_flows.errors import FlowsError
from jupyter_flows.settings import package_version

Finding = tuple[bool, str]


def examine(shell: Any, flow_of: Callable[[], Any]) -> Iterator[tuple[str, bool, str]]:
    """Yield what was looked at, whether it is well, and a sentence.

    Parameters
    ----------
    shell : the IPython shell with the extension.
    flow_of : callable that returns the notebook's flow, or raises what is wrong with it.
    """
    yield "jupyter_flows", True, f"version {package_version()}, Python {platform.python_version()}"
    looks: dict[str, Callable[[], Iterator[Finding]]] = {
        "notebook": lambda: _notebook(shell.jupyter_flows_recorder),
        "flow": lambda: _flow(flow_of()),
        "storage": _storage,
    }
    for what, look in looks.items():
        try:
            for is_well, text in look():
                yield what, is_well, text
        except FlowsError as error:
            yield what, False, str(error)
    yield from _server(flow_of)


def _notebook(recorder: Any) -> Iterator[Finding]:
    path = recorder.path
    if path is None:
        yield False, "this kernel does not know the notebook's file; %flow register needs its name"
        return
    recorder.check_saved(path)
    yield True, f"saved at {path}"


def _flow(flow: Any) -> Iterator[Finding]:
    tasks = [task for task in flow.tasks if task.role == "task"]
    yield True, f"{flow.name}: {len(tasks)} task{'' if len(tasks) == 1 else 's'}"
    for task in flow.tasks:
        for warning in task.warnings:
            yield True, f"cell {task.index} ({task.name}): {warning}"


def _storage() -> Iterator[Finding]:
    from jupyter_flows.storage import Notebook

    store = Notebook()
    store.check()
    yield True, f"{store.root} can be written"


def _server(flow_of: Callable[[], Any]) -> Iterator[tuple[str, bool, str]]:
    from jupyter_flows.client import connect
    from jupyter_flows.errors import NotFound

    try:
        with contextlib.closing(connect()) as api:
            info = api.get_version()
            api.list_flows(limit=1)
            yield "server", True, f"{info.kind} at {api.url}, version {info.version}"
            agents = [agent for agent in api.list_agents().agents if agent.alive]
            if not agents:
                yield "agents", False, "none is running; start one: jupyter flows agent start"
            for agent in agents:
                yield "agents", True, f"{agent.name}: labels {', '.join(agent.labels) or 'none'}"
            try:
                name = str(flow_of().name)
                detail = api.get_flow(name)
            except NotFound:
                yield "registered", False, f"{name} is not registered; do it with %flow register"
                return
            except FlowsError:
                return  # said above
            yield "registered", True, f"{name}, version {detail.version.version}"
            for match in api.explain_flow(name).who_runs:
                if match.takes:
                    yield "who runs it", True, f"{match.agent} takes it"
                else:
                    yield "who runs it", False, f"{match.agent}: {match.reason}"
            yield from _environment(detail.version.spec.fingerprint)
    except FlowsError as error:
        yield "server", False, str(error)


def _environment(registered: Any) -> Iterator[tuple[str, bool, str]]:
    """Compare this kernel's environment with the registered one."""
    from jupyter_flows.environment import compare, fingerprint_here

    if registered is None:
        return
    differences = compare(registered, fingerprint_here(list(registered.distributions)))
    for difference in differences:
        yield "environment", False, str(difference)
    if not differences:
        yield "environment", True, "as registered"
