"""P1: a trivial task in process, with states, triggers and context; beside dask.delayed and Prefect 1.4.1.

The peers live in an environment of their own: ``--peer-python PATH`` names its Python, else one is made
under the user's cache directory (once; ``--no-peers`` goes without).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

from jupyter_flows import Flow, task

ROUNDS = 5
SHAPES = {"chain": 1_000, "fan-out": 2_000}
LONG = 100_000
PEERS = ("dask==2024.8.0", "prefect==1.4.1", "setuptools<81")
"""Prefect 1 needs pkg_resources, which setuptools gave up."""

PEER_PROGRAM = """
import json, sys, time
shape, count, rounds, who = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
seconds = []
if who == "dask":
    import dask
    @dask.delayed
    def increase(x):
        return x + 1
    for _ in range(rounds):
        first = last = increase(0)
        ends = []
        for _ in range(count - 1):
            last = increase(last if shape == "chain" else first)
            ends.append(last)
        began = time.perf_counter()
        if shape == "chain":
            last.compute(scheduler="sync", optimize_graph=False)
        else:
            dask.compute(*ends, scheduler="sync", optimize_graph=False)
        seconds.append(time.perf_counter() - began)
else:
    import logging
    logging.disable(logging.CRITICAL)
    from prefect import Flow, task
    @task
    def increase(x):
        return x + 1
    for _ in range(min(rounds, 1)):
        with Flow("bench") as flow:
            first = last = increase(0)
            for _ in range(count - 1):
                last = increase(last if shape == "chain" else first)
        began = time.perf_counter()
        assert flow.run().is_successful()
        seconds.append(time.perf_counter() - began)
print(json.dumps(seconds))
"""


@task
def increase(x: int) -> int:
    """Do next to nothing."""
    return x + 1


def build(shape: str, count: int) -> Flow:
    """Make a flow of *count* trivial tasks."""
    with Flow(shape) as flow:
        first = last = increase(0)
        for _ in range(count - 1):
            last = increase(last if shape == "chain" else first)
    return flow


def ours(shape: str, count: int) -> float:
    """Time one run, in seconds."""
    flow = build(shape, count)
    began = time.perf_counter()
    state = flow.run()
    ended = time.perf_counter()
    assert state.is_successful(), state
    return ended - began


def peer_python(given: str | None) -> str | None:
    """Return the Python that has the peers; make its environment at the first call."""
    if given:
        return given
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jupyter-flows" / "bench-p01"
    python = cache / "bin" / "python"
    done = cache / ".installed"
    if done.exists():
        return str(python)
    print(f"    installing the peers into {cache} ...", flush=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(cache)], check=True, capture_output=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PEERS], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"    the peers could not be installed ({type(error).__name__}); ours alone follows")
        return None
    done.touch()
    return str(python)


def peer(python: str | None, who: str, shape: str, count: int) -> float | None:
    """Time a peer; None if it cannot be had."""
    if python is None:
        return None
    arguments = [python, "-c", textwrap.dedent(PEER_PROGRAM), shape, str(count), str(ROUNDS), who]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"    {who} did not run: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
        return None
    seconds: list[float] = json.loads(done.stdout.splitlines()[-1])
    return statistics.median(seconds)


def told(seconds: float | None, count: int) -> str:
    """Return a duration as microseconds a task."""
    return "-" if seconds is None else f"{seconds / count * 1e6:,.1f} µs"


def ratio(seconds: float | None, own: float) -> str:
    """Return how many times our time it is."""
    return "" if seconds is None else f" ({seconds / own:.1f} x)"


def repeated(function: Callable[[], float]) -> float:
    """Return the median of several rounds, after one that warms up."""
    function()
    return statistics.median(function() for _ in range(ROUNDS))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python", help="a Python with dask and prefect 1.4.1")
    parser.add_argument("--no-peers", action="store_true", help="our figures only")
    chosen = parser.parse_args()
    python = None if chosen.no_peers else peer_python(chosen.peer_python)
    for shape, count in SHAPES.items():
        own = repeated(lambda shape=shape, count=count: ours(shape, count))  # type: ignore[misc]
        dask = peer(python, "dask", shape, count)
        prefect = peer(python, "prefect", shape, count)
        print(
            f"P1  {shape} of {count:,}: ours {told(own, count)} a task (promise: <= 70) · "
            f"dask.delayed {told(dask, count)}{ratio(dask, own)} · "
            f"Prefect 1.4.1 {told(prefect, count)}{ratio(prefect, own)}"
        )
    short, long = (repeated(lambda: ours("chain", LONG // 10)) * 10, ours("chain", LONG))
    print(
        f"    chain of {LONG:,}: ours {told(long, LONG)} a task, {long / short:.2f} x that of a tenth as many"
    )


if __name__ == "__main__":
    main()
