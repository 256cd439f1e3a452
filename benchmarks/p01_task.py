"""P1: a trivial task in process, with states, triggers and context; beside dask.delayed and Prefect 1.4.1."""

from __future__ import annotations

import time

from peers import ROUNDS, measured, median, options, peer_python, ratio, repeated, told

from jupyter_flows import Flow, task

SHAPES = {"chain": 1_000, "fan-out": 2_000}
LONG = 100_000
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


def peer(python: str | None, who: str, shape: str, count: int) -> float | None:
    """Time a peer; None if it cannot be had."""
    return median(measured(python, PEER_PROGRAM, shape, count, ROUNDS, who))


def main() -> None:
    """Print the table."""
    python = peer_python(options(__doc__).parse_args())
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
