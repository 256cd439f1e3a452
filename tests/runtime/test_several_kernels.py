"""Several kernels, each in a thread of its own, write into one notebook."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from jupyter_flows.runtime.kernel_backend import CellRunner
from jupyter_flows.runtime.kernels import Kernel
from jupyter_flows.runtime.notebook_outputs import NotebookOutputs
from jupyter_flows.runtime.notebook_states import TimedManager


@pytest.fixture
def kernels(tmp_path: Path) -> Iterator[list[Kernel]]:
    """Two kernels."""
    both = [Kernel("python3", directory=tmp_path / f"k{n}", cwd=str(tmp_path)) for n in range(2)]
    for kernel in both:
        kernel.launch()
    try:
        for kernel in both:
            kernel.start()
        yield both
    finally:
        for kernel in both:
            kernel.stop(now=True)


def notebook(*sources: str) -> Any:
    """Return a notebook of code cells, as papermill opens one."""
    from papermill.iorw import load_notebook_node

    return load_notebook_node(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    )


def at_once(*calls: Callable[[], None]) -> None:
    """Call all, each in a thread; raise what one raised."""
    errors: list[BaseException] = []

    def run(call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def texts(cell: Any) -> list[str]:
    """Outputs of a cell as text."""
    return [output.get("text") or output["data"]["text/plain"] for output in cell.outputs]


def test_each_output_is_in_its_own_cell_and_the_file_is_whole(kernels: list[Kernel], tmp_path: Path) -> None:
    """Two kernels print and display at once while the notebook is saved; nothing is mixed, lost or torn."""
    source = "for n in range(300):\n    print('{0}', n)\n    display('{0}-' + str(n))\n'last {0}'"
    nb = notebook(*(source.format(name) for name in "abcdef"))
    path = tmp_path / "out.ipynb"
    manager = TimedManager(nb, output_path=str(path), progress_bar=False)
    manager.notebook_start()
    manager.save_now()
    reads = 0
    stop = threading.Event()

    def read() -> None:
        nonlocal reads
        while not stop.is_set():
            manager.save_now()
            nbformat.validate(nbformat.read(path, as_version=4))
            reads += 1

    def run(kernel: Kernel, indexes: tuple[int, ...]) -> None:
        runner = CellRunner(manager.outputs, kernel)
        for index in indexes:
            runner.call(index, name=f"cell-{index}")

    def both() -> None:
        try:
            at_once(lambda: run(kernels[0], (0, 2, 4)), lambda: run(kernels[1], (1, 3, 5)))
        finally:
            stop.set()

    at_once(read, both)
    manager.save_now(final=True)
    assert reads > 3
    for name, cell in zip("abcdef", nbformat.read(path, as_version=4).cells, strict=True):
        found = "".join(texts(cell))
        assert (300, 300) == (found.count(f"{name} "), found.count(f"{name}-"))
        assert f"'last {name}'" == texts(cell)[-1]
        for other in set("abcdef") - {name}:
            assert f"{other}-" not in found


def test_a_display_is_updated_from_another_kernels_cell(kernels: list[Kernel]) -> None:
    """What one cell displays under an id, a cell of another kernel can update: as from top to bottom."""
    nb = notebook(
        "_ = display('old', display_id='shared')",
        "from IPython.display import update_display\nupdate_display('new', display_id='shared')",
    )
    changed: list[int] = []
    outputs = NotebookOutputs(nb, on_change=changed.append)
    CellRunner(outputs, kernels[0]).call(0, name="a")
    changed.clear()
    CellRunner(outputs, kernels[1]).call(1, name="b")
    assert ["'new'"] == texts(nb.cells[0])
    assert [] == nb.cells[1].outputs
    assert 0 in changed


def test_clear_output_clears_the_cell_of_its_own_kernel(kernels: list[Kernel]) -> None:
    """A delayed clear of one cell does not empty the cell that runs beside it."""
    nb = notebook(
        "from IPython.display import clear_output\nprint('gone'); clear_output(wait=True); print('kept')",
        "print('beside')\nprint('it')",
    )
    outputs = NotebookOutputs(nb)
    at_once(
        lambda: CellRunner(outputs, kernels[0]).call(0, name="a"),
        lambda: CellRunner(outputs, kernels[1]).call(1, name="b"),
    )
    assert ["kept\n"] == texts(nb.cells[0])
    assert ["beside\nit\n"] == texts(nb.cells[1])


def test_the_limit_is_the_notebooks_not_a_kernels(kernels: list[Kernel]) -> None:
    """Two kernels share the room that the notebook has; the rest is dropped and told."""
    nb = notebook("print('x' * 60_000)", "print('y' * 60_000)")
    outputs = NotebookOutputs(nb, limit_bytes=100_000)
    at_once(
        lambda: CellRunner(outputs, kernels[0]).call(0, name="a"),
        lambda: CellRunner(outputs, kernels[1]).call(1, name="b"),
    )
    kept = ["".join(texts(cell)) for cell in nb.cells]
    assert 1 == sum(text.count("dropped: the executed notebook is over its limit") for text in kept)
    assert {60_001, len("… 0.1 MB of output dropped: the executed notebook is over its limit\n")} == {
        len(text) for text in kept
    }


def test_what_is_cleared_counts_no_more(kernels: list[Kernel]) -> None:
    """A cell that replaces its output again and again never fills the notebook."""
    nb = notebook(
        "from IPython.display import clear_output\n"
        "for n in range(30):\n    clear_output(wait=True)\n    print(str(n) * 30_000)"
    )
    CellRunner(NotebookOutputs(nb, limit_bytes=100_000), kernels[0]).call(0, name="a")
    assert ["29" * 30_000 + "\n"] == texts(nb.cells[0])
