"""P15: what watching an interactive notebook costs, a cell: bare, extension, trace; beside ipyflow.

Each kernel runs the same sixty careless cells of pandas, sent as a front end sends them. The extension's
share (states, staleness, badges) and the trace's are told apart; ipyflow is compared with a bare kernel of
its own environment. The promise: the trace costs at most 2 ms a cell, or 5 %, whichever is more.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from jupyter_client.manager import KernelManager
from nbformat import v4
from peers import options, private_python

ROUNDS = 7
LIMIT_S = 120.0
PROMISED_S, PROMISED_SHARE = 0.002, 0.05
PEER = ("ipyflow==0.0.231", "ipykernel", "pandas")

CELLS = (
    "import numpy as np\nimport pandas as pd\nnp.random.seed(1)",
    "df = pd.DataFrame(np.random.rand(20_000, 6), columns=list('abcdef'))",
    "df['kind'] = np.where(df.a > 0.5, 'high', 'low')",
    *(
        text.replace("NUMBER", str(number))
        for number in range(14)
        for text in (
            "part_NUMBER = df[df.b > NUMBER / 20]",
            "part_NUMBER = part_NUMBER.sort_values('c').reset_index(drop=True)",
            "means_NUMBER = part_NUMBER.groupby('kind')[['a', 'b', 'c']].mean()\nmeans_NUMBER",
            "rows = [row for row in means_NUMBER.itertuples()]\nbest = max(rows, key=lambda row: row.a)",
        )
    ),
    "total = sum(len(part) for part in [part_0, part_1, part_2])\ntotal",
)
"""The first ones make; then four cells for each of fourteen parts; the last one reads."""


def as_tasks(cells: tuple[str, ...]) -> list[str]:
    """Return the cells as tasks, which is what the extension has most to do with."""
    return [cells[0], *(f"%%task t{number}\n{text}" for number, text in enumerate(cells[1:]))]


def saved(path: Path, cells: list[str]) -> Path:
    """Save the notebook whose cells are run."""
    notebook = v4.new_notebook(cells=[v4.new_code_cell(text, id=f"cell-{n}") for n, text in enumerate(cells)])
    path.write_text(nbformat.writes(notebook), encoding="utf-8")
    return path


class Took(NamedTuple):
    """What a cell takes, in seconds."""

    waited: float
    """From its request to its reply."""
    worked: float
    """Of the processor, in the kernel: what other programs do at the same time is not in it."""


def seconds_of(python: str, cells: list[str], *, before: str = "", environ: dict[str, str]) -> list[Took]:
    """Return what each cell takes in a new kernel of that Python."""
    manager = KernelManager(kernel_name="python3")
    assert manager.kernel_spec is not None
    manager.kernel_spec.argv = [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager.start_kernel(env={**os.environ, **environ}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=LIMIT_S)
        _, worked = _run(client, before, "before")
        took = []
        for number, text in enumerate(cells):
            waited_s, worked_then = _run(client, text, f"cell-{number}")
            took.append(Took(waited_s, worked_then - worked))
            worked = worked_then
        return took
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def _run(client: Any, text: str, cell_id: str) -> tuple[float, float]:
    """Return the seconds from request to reply, and those that the kernel has worked in all."""
    content = {
        "code": text,
        "silent": False,
        "store_history": True,
        "user_expressions": {"worked": "__import__('time').process_time()"},
        "allow_stdin": False,
        "stop_on_error": True,
    }
    message = client.session.msg("execute_request", content, metadata={"cellId": cell_id})
    began = time.perf_counter()
    client.shell_channel.send(message)
    while True:
        reply = client.get_shell_msg(timeout=LIMIT_S)
        if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
            break
    took = time.perf_counter() - began
    if reply["content"]["status"] != "ok":
        raise SystemExit(f"a cell failed: {reply['content'].get('ename')}: {reply['content'].get('evalue')}")
    worked = reply["content"]["user_expressions"]["worked"]["data"]["text/plain"]
    return took, float(worked)


def measured(hosts: dict[str, dict[str, Any]]) -> dict[str, list[Took]]:
    """Return by host the least of what each cell takes over several rounds, in turns.

    The least, since whatever else the machine does makes a cell of a few milliseconds longer, never shorter.
    """
    rounds: dict[str, list[list[Took]]] = {name: [] for name in hosts}
    for _ in range(ROUNDS):  # in turns, so that a busy machine is unfair to all
        for name, host in hosts.items():
            rounds[name].append(seconds_of(**host))
    # The first two cells import, which is no business of whoever watches.
    return {
        name: [Took(*map(min, zip(*cell, strict=True))) for cell in zip(*took, strict=True)][2:]
        for name, took in rounds.items()
    }


def mean_wait(cells: list[Took]) -> float:
    """Return the seconds that a cell is waited for."""
    return statistics.mean(cell.waited for cell in cells)


def line(name: str, cells: list[Took], base: list[Took]) -> str:
    """Return a row: milliseconds a cell, waited for and worked, and what they are more than the base's."""
    own, other = mean_wait(cells), mean_wait(base)
    worked = statistics.mean(cell.worked for cell in cells)
    row = f"    {name:<36} {1e3 * own:7.2f} ms a cell, {1e3 * worked:6.2f} of work"
    if cells is base:
        return row
    waited, added = (
        statistics.median(a - b for a, b in zip(of_cells, of_base, strict=True))
        for of_cells, of_base in zip(zip(*cells, strict=True), zip(*base, strict=True), strict=True)
    )
    return f"{row}  {1e3 * waited:+6.2f} and {1e3 * added:+6.2f} ms a cell ({own / other:.2f} x)"


def beyond(cells: list[Took], base: list[Took]) -> str:
    """Return how many cells take more than what is promised longer than those of the base."""
    waited, worked = (
        sum(a - b > max(PROMISED_S, PROMISED_SHARE * b) for a, b in zip(of_cells, of_base, strict=True))
        for of_cells, of_base in zip(zip(*cells, strict=True), zip(*base, strict=True), strict=True)
    )
    return f"{waited} waited for, {worked} by work"


def main() -> None:
    """Print the table."""
    chosen = options(__doc__).parse_args()
    peer = None if chosen.no_peers else private_python("bench-ipyflow", PEER)
    tasks = as_tasks(CELLS)
    with tempfile.TemporaryDirectory() as home:
        nothing = {
            "JUPYTER_FLOWS_HOME": str(Path(home) / "home"),
            "IPYTHONDIR": str(Path(home) / "ipython"),
            # As a Jupyter server says it: the saved notebook that the kernel serves.
            "JPY_SESSION_NAME": str(saved(Path(home) / "watched.ipynb", tasks)),
        }
        untraced = nothing | {"JUPYTER_FLOWS_TRACE": "0"}
        load = "%load_ext jupyter_flows"
        hosts: dict[str, dict[str, Any]] = {
            "bare kernel": {"python": sys.executable, "cells": list(CELLS), "environ": nothing},
            "tasks, trace off": {
                "python": sys.executable,
                "cells": tasks,
                "before": load,
                "environ": untraced,
            },
            "tasks, trace on": {"python": sys.executable, "cells": tasks, "before": load, "environ": nothing},
        }
        if peer is not None:
            hosts |= {
                "bare kernel beside ipyflow": {"python": peer, "cells": list(CELLS), "environ": nothing},
                "ipyflow": {
                    "python": peer,
                    "cells": list(CELLS),
                    "before": "%load_ext ipyflow",
                    "environ": nothing,
                },
            }
        found = measured(hosts)
    print(f"    {len(CELLS)} cells, least of {ROUNDS} rounds")
    print(line("bare kernel", found["bare kernel"], found["bare kernel"]))
    print(line("with the extension, trace off", found["tasks, trace off"], found["bare kernel"]))
    print(line("with the extension, trace on", found["tasks, trace on"], found["tasks, trace off"]))
    over = beyond(found["tasks, trace on"], found["tasks, trace off"])
    noise = beyond(found["tasks, trace off"], found["tasks, trace on"])
    print(
        f"    cells slower by more than 2 ms and 5 % with the trace on: {over}; with it off: {noise} (noise)"
    )
    if peer is not None:
        own = found["bare kernel beside ipyflow"]
        print(line("ipyflow 0.0.231", found["ipyflow"], own))
        ours = mean_wait(found["tasks, trace on"]) - mean_wait(found["bare kernel"])
        theirs = mean_wait(found["ipyflow"]) - mean_wait(own)
        print(f"    ipyflow adds {theirs / ours:.1f} x what the extension adds with the trace on")


if __name__ == "__main__":
    main()
