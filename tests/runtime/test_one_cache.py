"""One cache: what was made by hand is found headless, and the other way round; what changed is no hit."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.magics.conftest import start_kernel
from tests.typist import Typist

HELPER = "import numpy as np\n\ndef tripled(x):\n    # the first version\n    return np.asarray(x) * 3\n"
SETUP = "import numpy as np\nimport helper\n\ndef doubled(x):\n    # comments do not count\n    return 2 * x"
LOAD = "%%task load\nrows = np.arange(4)\nother = 1"
WORK = """%%task work --cache-for 1h --cache-files data.csv
total = int(helper.tripled(doubled(rows)).sum())  # all
print("working")
display({"text/plain": "shown", "image/png": "aGVsbG8="}, raw=True)
np.vstack([rows, rows])"""
TELL = "%%task tell\nprint(total)"
CELLS = [SETUP, LOAD, WORK, TELL]


class Desk:
    """A directory with a notebook, a kernel by hand, and headless runs; all with one home."""

    def __init__(self, directory: Path, typist: Typist) -> None:
        self.directory = directory
        self.home = directory / "home"
        self._typist = typist
        directory.mkdir(exist_ok=True)
        (directory / "helper.py").write_text(HELPER)
        (directory / "data.csv").write_text("a,b\n1,2\n")
        self.entries = self.home / "cache" / "cells"

    def copy(self, directory: Path) -> Desk:
        """Return a desk with the same results kept."""
        shutil.copytree(self.directory, directory)
        return Desk(directory, self._typist)

    def by_hand(self, *cells: str, cwd: str = ".") -> str:
        """Run the cells in a fresh kernel as their author would; return what the third one showed."""
        kernel = start_kernel(self.directory / cwd, self.home)
        try:
            kernel.run("%load_ext jupyter_flows", "load")
            shown = ""
            for number, source in enumerate(cells):
                ran = kernel.run(source, f"cell-{number}")
                assert ran.status == "ok", ran.reply
                if number == 2:
                    shown = "\n".join(_as_text(message) for message in ran.messages)
            return shown
        finally:
            kernel.close()

    def headless(self, *cells: str, options: tuple[str, ...] = (), out: str = "out.ipynb") -> Any:
        """Run the cells by ``jupyter flows execute``; return the third one as executed."""
        executed = self.executed(*cells, options=options, out=out)
        assert "36\n" == executed[-1].outputs[0]["text"]
        return executed[2]

    def executed(self, *cells: str, options: tuple[str, ...] = (), out: str = "out.ipynb") -> list[Any]:
        """Run the cells by ``jupyter flows execute``; return all."""
        nb = nbformat.v4.new_notebook()
        nb.metadata["kernelspec"] = {"name": "python3", "display_name": "python3", "language": "python"}
        nb.cells = [nbformat.v4.new_code_cell(source, id=f"cell-{n}") for n, source in enumerate(cells)]
        nbformat.write(nb, self.directory / "book.ipynb")
        code, words = self._typist.type(
            *("execute", "book.ipynb", out, *options),
            cwd=self.directory,
            environ={"JUPYTER_FLOWS_HOME": str(self.home)},
        )
        assert 0 == code, words
        executed = nbformat.read(self.directory / out, as_version=4)
        nbformat.validate(executed)
        return list(executed.cells)


def _as_text(message: dict[str, Any]) -> str:
    content = message["content"]
    if message["msg_type"] == "stream":
        return str(content["text"])
    return json.dumps(content.get("data", {}), sort_keys=True)


def state_of(cell: Any) -> tuple[str, str]:
    ours = cell.metadata["jupyter_flows"]
    return ours["state"], ours.get("message", "")


def outputs_of(cell: Any) -> list[Any]:
    """Outputs without the line that says from where they are, and without numbers of executions."""
    kept = json.loads(json.dumps(cell.outputs))
    for output in kept:
        output.pop("execution_count", None)
        if output["output_type"] == "stream":
            lines = output["text"].splitlines(keepends=True)
            output["text"] = "".join(line for line in lines if not line.startswith("(from cache, "))
    return [output for output in kept if output.get("text") != ""]


@pytest.fixture
def desk(tmp_path: Path, typist: Typist) -> Desk:
    return Desk(tmp_path, typist)


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory, typist: Typist) -> Desk:
    """A desk at which the cells have been run once, by hand; to be copied."""
    desk = Desk(tmp_path_factory.mktemp("left"), typist)
    assert "(from cache" not in desk.by_hand(*CELLS)
    return desk


@pytest.mark.parametrize("parallel", [(), ("--parallel", "processes")])
def test_what_was_made_by_hand_is_found_headless(
    left: Desk, tmp_path: Path, parallel: tuple[str, ...]
) -> None:
    cell = left.copy(tmp_path / "desk").headless(*CELLS, options=parallel)
    state, message = state_of(cell)
    assert "Cached" == state
    assert message.startswith("from cache, by hand at 20")
    assert cell.outputs[0]["text"].startswith("(from cache, by hand at 20")
    shown = json.dumps(cell.outputs)
    for part in ("working", "aGVsbG8=", "[0, 1, 2, 3]"):
        assert part in shown
    assert "execute_result" == cell.outputs[-1]["output_type"]


@pytest.mark.parametrize("parallel", [(), ("--parallel", "processes")])
def test_what_was_made_headless_is_found_by_hand(desk: Desk, parallel: tuple[str, ...]) -> None:
    first = desk.headless(*CELLS, options=parallel)
    assert "Success" == state_of(first)[0]
    shown = desk.by_hand(*CELLS)
    assert "(from cache, run out.ipynb, 20" in shown
    for part in ("working", "aGVsbG8=", "[0, 1, 2, 3]"):
        assert part in shown
    again = desk.headless(*CELLS, options=parallel, out="again.ipynb")
    assert ("Cached", "from cache, run out.ipynb") == state_of(again)
    assert outputs_of(first) == outputs_of(again)


def with_helper(text: str) -> Callable[[Desk], list[str]]:
    def change(desk: Desk) -> list[str]:
        (desk.directory / "helper.py").write_text(text)
        return CELLS

    return change


def with_data(desk: Desk) -> list[str]:
    (desk.directory / "data.csv").write_text("a,b\n1,3\n")
    return CELLS


def with_other_numpy(desk: Desk) -> list[str]:
    """Another version of numpy, as its metadata tell it: what stands first on the path counts."""
    info = desk.directory / "numpy-99.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 99.0\n")
    return CELLS


CHANGES: dict[str, tuple[Callable[[Desk], list[str]], str]] = {
    "nothing": (lambda _: CELLS, "Cached"),
    "comments and layout": (
        lambda _: [SETUP.replace("# comments", "\n    # other words"), LOAD,
                   WORK.replace("  # all", "").replace("rows, rows", "rows,\n  rows"), TELL],
        "Cached",
    ),
    "comments of a module": (with_helper(HELPER.replace("the first", "the second")), "Cached"),
    "time of a declared file": (
        lambda desk: (os.utime(desk.directory / "data.csv", (1, 1)), CELLS)[1], "Cached"
    ),
    "a function": (lambda _: [SETUP.replace("2 * x", "x + x"), *CELLS[1:]], "Success"),
    "a module": (with_helper(HELPER.replace("np.asarray(x) * 3", "3 * np.asarray(x)")), "Success"),
    "an input": (lambda _: [SETUP, LOAD.replace("(4)", "(4.0)"), WORK, TELL], "Success"),
    "what is no input": (lambda _: [SETUP, LOAD.replace("other = 1", "other = 2"), WORK, TELL], "Cached"),
    "the cell": (lambda _: [SETUP, LOAD, WORK.replace("working", "at work"), TELL], "Success"),
    "a declared file": (with_data, "Success"),
    "a package": (with_other_numpy, "Success"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_second_run_after_a_change(left: Desk, tmp_path: Path, name: str) -> None:
    """Only what can make a difference does."""
    change, expected = CHANGES[name]
    desk = left.copy(tmp_path / "desk")
    cells = change(desk)
    assert expected == state_of(desk.headless(*cells))[0]


def test_a_file_as_it_was_is_found_again(desk: Desk) -> None:
    """Two states of a declared file have an entry each."""
    desk.headless(*CELLS)
    data = desk.directory / "data.csv"
    before = data.read_text()
    with_data(desk)
    assert "Success" == state_of(desk.headless(*CELLS))[0]
    data.write_text(before)
    assert "Cached" == state_of(desk.headless(*CELLS))[0]


EFFECTS = {
    "writes": ("open('made.txt', 'w').write('x')", "the cell writes made.txt; declare that by"),
    "writes in a function": ("helper.leave()", "the cell writes left.txt; declare that by"),
    "draws": ("np.random.rand(2)", "the cell draws random numbers; say --cache-by inputs"),
    "imports and draws": ("import random; random.random()", "the cell draws random numbers"),
    "makes a generator": ("np.random.default_rng().random()", "the cell draws random numbers"),
    "runs a program": ("!true", "the cell runs another program"),
}


@pytest.fixture(scope="module")
def with_effects(tmp_path_factory: pytest.TempPathFactory, typist: Typist) -> list[list[Any]]:
    """The cell with each of the effects, in one notebook that ran four times: twice, and twice when told."""
    desk = Desk(tmp_path_factory.mktemp("effects"), typist)
    more = "\ndef leave():\n    with open('left.txt', 'w') as stream:\n        stream.write('x')\n"
    (desk.directory / "helper.py").write_text(HELPER + more)
    cells = [
        WORK.replace('print("working")', line)
        .replace("work", f"work_{number}")
        .replace("total", f"t{number}")
        for number, (line, _) in enumerate(EFFECTS.values())
    ]
    told = [cell.replace("1h", "1h --cache-by inputs") for cell in cells]
    return [desk.executed(SETUP, LOAD, *each)[2:] for each in (cells, cells, told, told)]


@pytest.mark.parametrize("name", EFFECTS)
def test_effects_are_not_kept_unless_told(with_effects: list[list[Any]], name: str) -> None:
    words = EFFECTS[name][1]
    once, again, _, told_again = (cells[list(EFFECTS).index(name)] for cells in with_effects)
    for cell in (once, again):
        assert "Success" == state_of(cell)[0]
        assert f"(--cache-for: not kept, because {words}" in json.dumps(cell.outputs)
    assert "Cached" == state_of(told_again)[0]


def test_a_file_that_a_cell_reads_counts_without_being_declared(desk: Desk) -> None:
    (desk.directory / "read.txt").write_text("1")
    (desk.directory / "helper.py").write_text(
        HELPER + "\ndef look():\n    return open('read' + '.txt').read()\n"
    )
    cells = [SETUP, LOAD, WORK.replace('print("working")', "print(helper.look())"), TELL]
    desk.headless(*cells)
    assert "Cached" == state_of(desk.headless(*cells))[0]
    (desk.directory / "read.txt").write_text("2")
    assert "Success" == state_of(desk.headless(*cells))[0]


def test_a_declared_file_that_the_cell_writes_must_still_be_there(desk: Desk) -> None:
    work = WORK.replace("data.csv", "made.txt").replace(
        'print("working")', "open('made.txt', 'w').write('x')"
    )
    cells = [SETUP, LOAD, work, TELL]
    desk.headless(*cells)
    assert "Cached" == state_of(desk.headless(*cells))[0]
    (desk.directory / "made.txt").unlink()
    assert "Success" == state_of(desk.headless(*cells))[0]


def test_entries_are_private_and_torn_ones_are_nobodys(desk: Desk) -> None:
    desk.headless(*CELLS)
    (entry,) = desk.entries.iterdir()
    assert (0o600, 0o700) == (entry.stat().st_mode & 0o777, desk.entries.stat().st_mode & 0o777)
    whole = entry.read_bytes()
    for torn in (whole[: len(whole) // 2], whole[:-3] + b"abc", b"nonsense", b""):
        entry.write_bytes(torn)
        assert "Success" == state_of(desk.headless(*CELLS))[0]
        assert entry.read_bytes() != torn
