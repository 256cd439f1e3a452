"""P3: serialize and register a chain of 1,000 tasks; beside Prefect 1.4.1's ``flow.serialize()``.

Registering here goes to a real server on this machine, and loads the pickle back in a fresh interpreter,
which Prefect 1 does not: that interpreter's time is told apart.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import redirect_stdout
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


def registering() -> tuple[float, float]:
    """Return the seconds of a ``register()``, and those of them in the fresh interpreter; medians."""
    from jupyter_flows.registering import register as module_of_register  # noqa: F401 - loads what it needs
    from jupyter_flows.server.standalone import start_server_thread
    from jupyter_flows.settings import load_settings

    inside: list[float] = []
    _watch_the_check(inside)
    with tempfile.TemporaryDirectory() as directory:
        os.environ["JUPYTER_FLOWS_HOME"] = str(Path(directory) / "home")
        server = start_server_thread(load_settings(), port=0)
        try:
            rounds = [_registered(number, inside) for number in range(6)][1:]
        finally:
            server.stop()
    wholes, checks = zip(*rounds, strict=True)
    return median([*wholes]) or 0.0, median([*checks]) or 0.0


def _registered(number: int, inside: list[float]) -> tuple[float, float]:
    inside.clear()
    flow = build(f"bench-{number}")
    began = time.perf_counter()
    with redirect_stdout(StringIO()):
        flow.register("bench")
    return time.perf_counter() - began, sum(inside)


def _watch_the_check(inside: list[float]) -> None:
    """Note how long each check in a fresh interpreter takes."""
    import importlib

    module: Any = importlib.import_module("jupyter_flows.registering.register")
    check = module.check_in_fresh_interpreter

    def timed(*arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            return check(*arguments, **options)
        finally:
            inside.append(time.perf_counter() - began)

    module.check_in_fresh_interpreter = timed


def main() -> None:
    """Print the table."""
    python = peer_python(options(__doc__).parse_args())
    own = repeated(serializing)
    theirs = median(measured(python, PEER_PROGRAM, TASKS))
    whole, check = registering()
    told = "-" if theirs is None else f"{theirs * 1e3:,.0f} ms"
    print(
        f"P3  serialize {TASKS:,} tasks: ours {own * 1e3:.1f} ms · Prefect 1.4.1 {told}{ratio(theirs, own)}\n"
        f"    serialize and register: ours {(whole - check) * 1e3:.0f} ms (promise: <= 50), "
        f"and {check * 1e3:.0f} ms in which a fresh interpreter loads the pickle"
    )


if __name__ == "__main__":
    main()
