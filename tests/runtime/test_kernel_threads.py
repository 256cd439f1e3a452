"""What cells that run at once in threads of one kernel give: each what it gives alone."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from jupyter_flows.runtime.kernel_backend import CellFailed, CellRunner
from jupyter_flows.runtime.kernels import Kernel
from jupyter_flows.runtime.notebook_outputs import NotebookOutputs
from jupyter_flows.runtime.thread_seats import KernelThread

KINDS = (
    "'value «{n}»'",
    "'nothing of «{n}»';",
    "{n} / 0",
    "print('printed «{n}»')\n'value «{n}»'",
    "import asyncio\nawait asyncio.sleep(0)\n'value «{n}»'",
    "class Broken:\n    def _repr_html_(self):\n        raise KeyError('«{n}»')\nBroken()",
)
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
ROUNDS = 50
THREADS = 4


@pytest.fixture
def threads(tmp_path: Path) -> Iterator[list[KernelThread]]:
    """Threads of one kernel, of which none runs a cell yet."""
    kernel = Kernel("python3", directory=tmp_path / "k", cwd=str(tmp_path))
    opened = []
    try:
        kernel.start()
        for _ in range(THREADS):
            opened.append(KernelThread(kernel))
            opened[-1].start()
        yield opened
    finally:
        for thread in opened:
            thread.stop()
        kernel.stop(now=True)


def run_at_once(threads: list[KernelThread], sources: list[str]) -> tuple[Any, list[str]]:
    """Run cell after cell in the threads, each the next one that is left; return the cells and their ends."""
    from papermill.iorw import load_notebook_node

    nb = load_notebook_node(nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, sources)]))
    outputs = NotebookOutputs(nb)
    left = iter(range(len(sources)))
    taking = threading.Lock()
    ends = ["not run"] * len(sources)

    def run(thread: KernelThread) -> None:
        runner = CellRunner(outputs, thread)  # type: ignore[arg-type]
        while True:
            with taking:
                index = next(left, None)
            if index is None:
                return
            try:
                runner.call(index, name="one")
                ends[index] = "ok"
            except CellFailed as error:
                ends[index] = str(error)

    workers = [threading.Thread(target=run, args=(thread,)) for thread in threads]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return nb.cells, ends


def told(cell: Any, end: str) -> tuple[Any, ...]:
    """What a cell has said and how it ended; of its number, whether its value has the same one."""
    found: list[tuple[Any, ...]] = []
    for output in cell.outputs:
        if output.output_type == "stream":
            found.append(("stream", output.text))
        elif output.output_type == "error":
            found.append(("error", output.ename, output.evalue))
        else:
            text = _ADDRESS.sub("0x…", output.data["text/plain"])
            found.append(("value", text, output.execution_count == cell.execution_count))
    return end, *found


def test_each_cell_has_its_own_value_silence_error_and_number(threads: list[KernelThread]) -> None:
    """Many at once give what each gives alone; no two have one number."""
    rounds = [[kind.format(n=n) for kind in KINDS] for n in range(ROUNDS)]
    alone = [told(*both) for both in zip(*run_at_once(threads[:1], rounds[0]), strict=True)]
    assert ("ok", ("value", "'value «0»'", True)) == alone[0]
    assert ("ok",) == alone[1]
    assert "ZeroDivisionError in cell one, line 1" == alone[2][0]
    run_at_once(threads[:1], ["import sys\nsys.setswitchinterval(1e-6)"])
    cells, ends = run_at_once(threads, [source for one in rounds for source in one])
    wrong = []
    for position, (cell, end) in enumerate(zip(cells, ends, strict=True)):
        n, kind = divmod(position, len(KINDS))
        expected, seen = repr(alone[kind]).replace("«0»", f"«{n}»"), repr(told(cell, end))
        if expected != seen:
            wrong.append((cell.source, expected, seen))
    assert [] == wrong
    assert len(cells) == len({cell.execution_count for cell in cells})


def test_each_cell_shows_what_it_drew(threads: list[KernelThread]) -> None:
    """Not what another one is still drawing, and not without what it draws after another's end."""
    run_at_once(threads[:1], ["import threading\nimport matplotlib.pyplot as plt"])
    run_at_once(threads[:1], ["drawn, ended = threading.Event(), threading.Event()"])
    draws = (
        "_, axes = plt.subplots(figsize=(1, 1))\n"
        "drawn.set()\n"
        "assert ended.wait(20)\n"
        "assert [1] == plt.get_fignums() and plt.gca() is axes\n"
        "axes.plot([1, 2])\n"
        "None"
    )
    alone, _ = run_at_once(threads[:1], [f"ended.set()\n{draws}", "ended.clear(); drawn.clear()"])
    # The second cell ends while the first is drawing; the third begins when it has.
    other = "assert drawn.wait(20)\nplt.get_fignums()"
    cells, ends = run_at_once(threads[:2], [draws, other, "ended.set()"])
    assert ["ok"] * 3 == ends
    assert ["[]"] == [output.data["text/plain"] for output in cells[1].outputs]
    assert [] == cells[2].outputs
    [picture] = cells[0].outputs
    assert alone[0].outputs[0].data["image/png"] == picture.data["image/png"]
