"""P2: a map in process, time and memory a child; beside Prefect 1.4.1 and dask.delayed.

Memory is what the process grew by, at its highest and with the final state still held, over the children:
each figure is of a process of its own.
"""

from __future__ import annotations

import sys
from typing import Any

from peers import measured, options, peer_python, ratio, told

SHORT, LONG = 5_000, 100_000

WATCH = """
import gc, json, os, resource, sys, time
def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()
def highest():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
count = int(sys.argv[1])
items = list(range(count))
"""

TELL = """
gc.collect()
print(json.dumps([seconds, (highest() - at_first) / count, (resident() - before) / count]))
"""

FLOW = """
import logging
logging.disable(logging.CRITICAL)
from {package} import Flow, Parameter, task
@task
def increase(x):
    return x + 1
@task
def total(values):
    return sum(values)
def build():
    with Flow("bench") as flow:
        values = Parameter("values")
        total(increase.map(values))
    return flow
assert build().run(values=[1, 2]).is_successful()
flow = build()
gc.collect()
before, at_first = resident(), highest()
began = time.perf_counter()
state = flow.run(values=items)
seconds = time.perf_counter() - began
assert state.is_successful()
"""

DASK = """
import dask
@dask.delayed
def increase(x):
    return x + 1
@dask.delayed
def total(values):
    return sum(values)
total([increase(1)]).compute(scheduler="sync")
gc.collect()
before, at_first = resident(), highest()
began = time.perf_counter()
state = total([increase(item) for item in items]).compute(scheduler="sync", optimize_graph=False)
seconds = time.perf_counter() - began
"""


def program(package: str) -> str:
    """Return the program that maps with *package* and says what it cost."""
    return WATCH + (DASK if package == "dask" else FLOW.format(package=package)) + TELL


def said(who: str, figures: Any, count: int, own: Any = None) -> str:
    """Return seconds and bytes a child, with the ratio to ours."""
    if figures is None:
        return f"{who} -"
    seconds, peak, held = figures
    beside = ["", ""] if own is None else [ratio(seconds, own[0]), ratio(peak, own[1])]
    memory = f"at most {peak:,.0f} bytes{beside[1]} and then {held:,.0f} bytes"
    return f"{who} {told(seconds, count)}{beside[0]}, {memory}"


def main() -> None:
    """Print the table."""
    peers = peer_python(options(__doc__).parse_args())
    for count in (SHORT, LONG):
        own = measured_here(count)
        print(
            f"P2  map over {count:,}, a child: {said('ours', own, count)} (promise: <= 50 µs, <= 1,000 bytes)"
        )
        print(f"    {said('dask.delayed', measured(peers, program('dask'), count), count, own)}")
        if count == SHORT:
            print(f"    {said('Prefect 1.4.1', measured(peers, program('prefect'), count), count, own)}")


def measured_here(count: int) -> Any:
    """Return our figures, of a process of its own."""
    figures = measured(sys.executable, program("jupyter_flows"), count)
    if figures is None:
        sys.exit(1)
    return figures


if __name__ == "__main__":
    main()
