"""P11: analysis of a notebook of 1,000 cells, and again after one edit, beside marimo's compiler."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from collections.abc import Sequence

from edges import MARIMO, peer

from jupyter_flows.analysis import CellSource, analyse
from jupyter_flows.analysis.reader import Reader

CELLS = 1_000
ROUNDS = 5
TOLD = """
import json, sys, time
from marimo._ast.compiler import compile_cell
from marimo._runtime.dataflow import DirectedGraph
cells = json.load(sys.stdin)
times = []
for _ in range(3):
    began = time.perf_counter()
    graph = DirectedGraph()
    for number, source in enumerate(cells):
        graph.register_cell(str(number), compile_cell(source, cell_id=str(number)))
    times.append(time.perf_counter() - began)
print(json.dumps(sorted(times)[1]))
"""


def sources(start: int = 0) -> list[str]:
    """Return cells, each name bound once, as marimo wants; *start* makes texts new to a cache."""
    cells = ["import numpy as np\nimport pandas as pd", "df0 = pd.DataFrame({'a': range(9)})"]
    for n in range(1, CELLS - 1):
        k = n + start
        cells.append(
            (
                f"df{n} = df0[df0.a > {k}]",
                f"def f{n}(x):\n    return df0.a.sum() + x * {k}",
                f"total{n} = f{n - 1}({k}) if {k} else 0\nprint(f'total {{total{n}}}')",
                f"part{n} = [x + {k} for x in range({k})]",
            )[(n - 1) % 4]
        )
    return cells


def given(texts: Sequence[str]) -> list[CellSource]:
    """Return the cells as the notebook reader gives them."""
    return [CellSource(id=f"c{n}", index=n, source=text) for n, text in enumerate(texts, 1)]


def seconds(texts: Sequence[str]) -> float:
    """Time one analysis."""
    cells = given(texts)
    began = time.perf_counter()
    analyse(cells)
    return time.perf_counter() - began


EDITS = {
    "the first cell": (0, "{text}\nextra = {new}"),
    "the cell that all others use": (1, "{text}\nextra = {new}"),
    "that cell, which others see changed": (1, "extra = {new}\n{text}\ndf0['b'] = extra"),
    "a cell in the middle": (CELLS // 2, "{text}\nextra = {new}"),
    "the last cell": (CELLS - 1, "{text}\nextra = {new}"),
}
"""Cells and what they are edited to. The third is no promise: a thousand reasons name a line that moved, so
every cell that uses the frame is read again."""


def seconds_after_edit(texts: Sequence[str], cell: int, edited: str) -> float:
    """Time the analysis after one edit in one cell, its text new to every cache."""
    reader = Reader()
    reader.analyse(given(texts))
    texts = list(texts)
    texts[cell] = edited.format(text=texts[cell], new=time.perf_counter_ns())
    cells = given(texts)
    began = time.perf_counter()
    reader.analyse(cells)
    return time.perf_counter() - began


def main() -> None:
    """Print the figures."""
    first: list[float] = []
    edited: dict[str, list[float]] = {where: [] for where in EDITS}
    for number in range(ROUNDS):
        texts = sources(number * 10_000)
        first.append(seconds(texts))
        for where, (cell, text) in EDITS.items():
            edited[where].append(seconds_after_edit(texts, cell, text))
    own = statistics.median(first)
    theirs: float | None = None
    python = peer()
    if python is not None:
        done = subprocess.run(
            [python, "-c", TOLD],
            input=json.dumps(sources()),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            theirs = float(json.loads(done.stdout.splitlines()[-1]))
        else:
            print(f"    marimo did not run: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    ratio = "" if theirs is None else f" · marimo {MARIMO} {theirs * 1e3:,.0f} ms ({theirs / own:.1f} x)"
    print(f"P11 {CELLS} cells: ours {own * 1e3:,.0f} ms (promise: <= 500){ratio}")
    for where, times in edited.items():
        promise = "no promise" if "changed" in where else "promise: <= 20"
        print(f"    after one edit in {where}: {statistics.median(times) * 1e3:,.0f} ms ({promise})")


if __name__ == "__main__":
    main()
