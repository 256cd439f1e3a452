"""P3: serialize and register a chain of 1,000 tasks; beside Prefect 1.4.1's ``flow.serialize()``.

Registering here goes to a real server on this machine, and loads the pickle back in a fresh interpreter,
which Prefect 1 does not: how long it waits for that interpreter is told apart.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

from peers import measured, median, options, peer_python, ratio, repeated

from jupyter_flows import Flow, task

TASKS = 1_000

PEER_PROGRAM = """
import json, sys, time
from prefect import Flow, task
@task
def increase(x):
    return x + 1
with Flow("bench") as flow:
    last = increase(0)
    for _ in range(int(sys.argv[1]) - 1):
        last = increase(last)
began = time.perf_counter()
flow.serialize()
print(json.dumps([time.perf_counter() - began]))
"""


@task
def increase(x: int) -> int:
    """Do next to nothing."""
    return x + 1


def build(name: str = "bench") -> Flow:
    """Make the chain."""
    with Flow(name) as flow:
        last = increase(0)
        for _ in range(TASKS - 1):
            last = increase(last)
    return flow


def serializing() -> float:
    """Time one ``serialize()``, in seconds."""
    flow = build()
    began = time.perf_counter()
    assert len(flow.serialize()["tasks"]) == TASKS
    return time.perf_counter() - began


WATCHED = (
    ("pickle", "jupyter_flows.registering.code", "pickle_flow"),
    ("check", "jupyter_flows.registering.fresh_interpreter", "_wait"),
    ("storage", "jupyter_flows.storage.local", "Local.put_pickle"),
    ("asking", "jupyter_flows.client.api", "FlowsApi._call"),
    ("server", "jupyter_flows.server.service", "FlowsService.answer_now"),
    ("database", "jupyter_flows.server.service", "FlowsService._write"),
)
"""What is told apart. The server's time is inside that of asking it, the database's inside the server's."""


def registering() -> dict[str, float]:
    """Return the seconds of a ``register()``, whole and in its parts, as medians; ``cpu`` is the processor's.

    Client and server share this process, so ``cpu`` is that of both, without the fresh interpreter's.
    """
    from jupyter_flows.registering import register as module_of_register  # noqa: F401 - loads what it needs
    from jupyter_flows.server.standalone import start_server_thread
    from jupyter_flows.settings import load_settings

    spent: dict[str, float] = {}
    for part, module, name in WATCHED:
        _watch(spent, part, module, name)
    with tempfile.TemporaryDirectory() as directory:
        os.environ["JUPYTER_FLOWS_HOME"] = str(Path(directory) / "home")
        server = start_server_thread(load_settings(), port=0)
        try:
            rounds = [_registered(number, spent) for number in range(8)][2:]
        finally:
            server.stop()
    return {part: median([spent_then[part] for spent_then in rounds]) or 0.0 for part in rounds[0]}


def _registered(number: int, spent: dict[str, float]) -> dict[str, float]:
    spent.clear()
    flow = build(f"bench-{number}")
    began, cpu_began = time.perf_counter(), time.process_time()
    with redirect_stdout(StringIO()):
        flow.register("bench")
    cpu, whole = time.process_time() - cpu_began, time.perf_counter() - began
    return {**spent, "cpu": cpu, "own": whole - spent["check"]}


def _watch(spent: dict[str, float], part: str, module_name: str, path: str) -> None:
    """Note how long each call of a function takes."""
    *classes, name = path.split(".")
    owner: Any = import_module(module_name)
    for class_name in classes:
        owner = getattr(owner, class_name)
    function = getattr(owner, name)

    def timed(*arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            spent[part] = spent.get(part, 0.0) + time.perf_counter() - began

    setattr(owner, name, timed)


def main() -> None:
    """Print the table."""
    python = peer_python(options(__doc__).parse_args())
    own = repeated(serializing)
    theirs = median(measured(python, PEER_PROGRAM, TASKS))
    spent = {part: seconds * 1e3 for part, seconds in registering().items()}
    told = "-" if theirs is None else f"{theirs * 1e3:,.0f} ms"
    rest = spent["own"] - spent["pickle"] - spent["storage"] - spent["asking"]
    print(
        f"P3  serialize {TASKS:,} tasks: ours {own * 1e3:.1f} ms · Prefect 1.4.1 {told}{ratio(theirs, own)}\n"
        f"    serialize and register: ours {spent['own']:.0f} ms{ratio(theirs, spent['own'] / 1e3)}, "
        f"{spent['cpu']:.0f} ms of them on a processor (promise: <= 50), "
        f"and {spent['check']:.0f} ms of waiting for a fresh interpreter that loads the pickle\n"
        f"    of ours: pickle {spent['pickle']:.0f} · storage with fsync {spent['storage']:.0f} · "
        f"checks and metadata {rest:.0f} · server asked {spent['asking']:.0f} ms, "
        f"in which it works {spent['server']:.0f}, the transaction that writes {spent['database']:.0f} of it"
    )


if __name__ == "__main__":
    main()
