"""What is put into a kernel of IPython's before any cell runs."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from jupyter_flows.runtime import kernel_guard, kernels
from jupyter_flows.runtime.kernel_backend import CellRunner
from jupyter_flows.runtime.kernels import Kernel
from jupyter_flows.runtime.notebook_outputs import NotebookOutputs


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    """A started kernel."""
    kernel = Kernel("python3", directory=tmp_path / "k", cwd=str(tmp_path))
    try:
        kernel.start()
        yield kernel
    finally:
        kernel.stop(now=True)


def run(kernel: Kernel, source: str) -> Any:
    """Run a cell; return it."""
    from papermill.iorw import load_notebook_node

    nb = load_notebook_node(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)]))
    CellRunner(NotebookOutputs(nb), kernel).call(0, name="one")
    return nb.cells[0]


def test_a_kernel_that_is_asked_to_end_waits_for_no_stream(kernel: Kernel, tmp_path: Path) -> None:
    """From the request on a flush waits for nobody, before ipykernel's own way to end begins."""
    before = run(
        kernel,
        "import atexit, pathlib, sys\n"
        "streams = [sys.stdout, sys.stderr]\n"
        "def note():\n"
        "    pathlib.Path('left').write_text(str(['flush' in vars(stream) for stream in streams]))\n"
        "atexit.register(note)\n"
        "['flush' in vars(stream) for stream in streams]",
    )
    assert "[False, False]" == before.outputs[0].data["text/plain"]
    kernel.stop()
    assert "[True, True]" == (tmp_path / "left").read_text()


@pytest.mark.parametrize("needed", ["os.getppid", "thread.socket.setsockopt", "shell.kernel.do_shutdown"])
def test_what_cannot_be_put_in_place_drops_none_of_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needed: str
) -> None:
    """In a kernel that lacks what one part needs, cells are bounded all the same."""
    source = inspect.getsource(kernel_guard)
    assert needed in source
    monkeypatch.setattr(
        kernels, "_guard_source", lambda: source.replace(needed, f"{needed}_of_another_version")
    )
    monkeypatch.setattr(kernels, "OUTPUT_LIMIT_BYTES", 1000)
    kernel = Kernel("python3", directory=tmp_path / "k", cwd=str(tmp_path))
    try:
        kernel.start()
        assert "x" * 1000 == run(kernel, "print('x' * 5000)").outputs[0].text
    finally:
        kernel.stop(now=True)
