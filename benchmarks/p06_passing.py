"""P6: a DataFrame of 1 GB from a task's process to another's, beside a copy in memory and cloudpickle's file.

``JUPYTER_FLOWS_BENCH_MB`` makes it smaller. Measured is the whole way: written when the first task has ended,
mapped in the second's process; a first look at all of it there is shown beside.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# The grammar for checking IRIs costs 1.5 s of everybody's start; nobody here checks IRIs.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

import nbformat  # noqa: E402

from jupyter_flows.runtime.book import dumps  # noqa: E402
from jupyter_flows.runtime.kernel_backend import CellRunner  # noqa: E402
from jupyter_flows.runtime.kernels import Kernel  # noqa: E402
from jupyter_flows.runtime.notebook_outputs import NotebookOutputs  # noqa: E402
from jupyter_flows.runtime.seats import VALUES, Seat, _values_source  # noqa: E402

MEGABYTES = int(os.environ.get("JUPYTER_FLOWS_BENCH_MB", "1000"))
ROUNDS = 3
COLUMNS = 8
MAKE = (
    "import time, numpy as np, pandas as pd\n"
    f"rows = {MEGABYTES} * 1_000_000 // {8 * COLUMNS}\n"
    f"df = pd.DataFrame({{f'c{{n}}': np.random.default_rng(n).random(rows) for n in range({COLUMNS})}})"
)
COPY = (
    "def copied():\n"
    "    began = time.perf_counter()\n"
    "    again = df.copy()\n"
    "    return time.perf_counter() - began"
)
CLOUD = (
    "def dumped(path):\n"
    "    import cloudpickle\n"
    "    began = time.perf_counter()\n"
    "    with open(path, 'wb') as stream:\n"
    "        cloudpickle.dump(df, stream)\n"
    "    return time.perf_counter() - began\n"
    "def loaded(path):\n"
    "    import pickle\n"
    "    began = time.perf_counter()\n"
    "    with open(path, 'rb') as stream:\n"
    "        pickle.load(stream)\n"
    "    return time.perf_counter() - began"
)


def opened(directory: Path, name: str) -> Seat:
    """Start a kernel that can pass values, as a run does."""
    kernel = Kernel("python3", directory=directory / name, cwd=str(directory))
    kernel.launch()
    kernel.start()
    seat = Seat(0, kernel)
    seat.runner = CellRunner(NotebookOutputs(nbformat.v4.new_notebook()), kernel)
    install = f"names['install']({_values_source()!r}).begin()"
    seat.execute("", f"(lambda names: (exec({_values_source()!r}, names), {install})[1])({{}})")
    return seat


def passed(giver: Seat, taker: Seat, path: Path) -> tuple[float, float, float]:
    """Pass ``df``; return the seconds of writing, of reading, and of a first look at every value there."""
    began = time.perf_counter()
    told = json.loads(giver.ask(f"{VALUES}.give({dumps({'file': str(path), 'names': ['df']})})"))
    wrote = time.perf_counter()
    place: dict[str, Any] = told["names"]["df"]
    load = {"load": [{**place, "file": str(path), "names": ["df"], "joint": False}]}
    answer = taker.ask(f"{VALUES}.take({dumps(load)})")
    read = time.perf_counter()
    if json.loads(answer)["failed"]:
        raise SystemExit(answer)
    taker.ask("[float(df[name].sum()) for name in df]")
    looked = time.perf_counter()
    return wrote - began, read - wrote, looked - read


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        seats = [opened(directory, "a"), opened(directory, "b")]
        giver, taker = seats
        path = directory / "values"
        try:
            giver.execute(f"{MAKE}\n{COPY}\n{CLOUD}")
            taker.execute(f"import time, pandas\n{CLOUD}")
            found: dict[str, list[float]] = {}
            giver.ask("copied()")
            for _ in range(ROUNDS):  # in turns, so that a busy machine is unfair to all
                found.setdefault("copy", []).append(float(giver.ask("copied()")))
                write, read, look = passed(giver, taker, path)
                found.setdefault("ours", []).append(write + read)
                found.setdefault("write", []).append(write)
                found.setdefault("read", []).append(read)
                found.setdefault("look", []).append(look)
                taker.execute("del df")
                path.unlink()
                their = float(giver.ask(f"dumped({str(path)!r})")) + float(
                    taker.ask(f"loaded({str(path)!r})")
                )
                found.setdefault("cloudpickle", []).append(their)
                path.unlink()
        finally:
            for seat in seats:
                seat.kernel.stop(now=True)
    middle = {key: statistics.median(values) for key, values in found.items()}
    own, copy, their = middle["ours"], middle["copy"], middle["cloudpickle"]
    print(f"P6  a DataFrame of {MEGABYTES} MB from process to process, load {os.getloadavg()[0]:.1f}")
    print(f"    ours {own:.2f} s · one copy in memory {copy:.2f} s · cloudpickle by a file {their:.2f} s")
    print(
        f"    of ours written {middle['write']:.2f} s, mapped {middle['read']:.3f} s; "
        f"then a first look at all of it {middle['look']:.2f} s"
    )
    print(f"    ours / one copy = {own / copy:.2f} (promise: <= 1.5)")
    print(f"    cloudpickle / ours = {their / own:.1f}")


if __name__ == "__main__":
    main()
