"""The promise for headless runs: a plain kernel from the top = one kernel = processes = gone on after a failure.

The reference is nbclient in a kernel that knows nothing of flows. Compared are every name that a task writes, at
the moment it has ended, and the text of every output. Failures are injected from outside: a kernel that is told
so by its environment runs something else in place of one cell; the notebook is the same.

Known not to be the same from run to run, and left out: addresses of objects, durations and dates of the examples'
own runs, pictures (their bytes name the version of the library).
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import HealthCheck, given, seed, settings
from nbclient import NotebookClient

from jupyter_flows.notebook.build import build_flow
from jupyter_flows.notebook.read import read_notebook
from jupyter_flows.runtime.cell_code import code_for_kernel, is_skipped
from tests.analysis.generated import notebooks
from tests.analysis.oracle import without_failures
from tests.runtime.conftest import write_notebook

from . import digests
from .test_same_values import HAND_MADE, HERE, NOTEBOOKS, STARTUP

INJECTION = """
def _flows_injected(lines):
    import os, sys
    sys.path.insert(0, os.environ["SAME_VALUES_TOOLS"])
    import digests
    sys.path.pop(0)
    if digests.body_of("".join(lines)) == os.environ.get("SAME_VALUES_FAILS"):
        return ["raise RuntimeError('injected')\\n"]
    return lines
get_ipython().input_transformers_cleanup.append(_flows_injected)
del _flows_injected
"""
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
_FIGURES = re.compile(r"\d+(\.\d+)? (ms|s)\b|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*")


class Way:
    """A notebook that is run in each way; each in a copy of its directory."""

    def __init__(self, base: Path, notebook: Path, *, every_cell: bool = False) -> None:
        self.base = base
        self.notebook = notebook
        self.every_cell = every_cell
        startup = base / "ipython" / "profile_default" / "startup"
        startup.mkdir(parents=True)
        (startup / "00-digests.py").write_text(STARTUP)
        (startup / "01-injection.py").write_text(INJECTION)
        read = read_notebook(notebook)
        flow = build_flow(read, all_cells=every_cell)
        self.flow = flow
        self.bodies = {
            slug: digests.body_of(next(cell.source for cell in read.cells if cell.id == task.cell_id))
            for task, slug in flow.slugs.items()
        }

    def environment(self, way: str, fails: str = "") -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("JUPYTER_FLOWS_")},
            "SAME_VALUES_FILE": str(self.base / f"{way}.jsonl"),
            "SAME_VALUES_TOOLS": str(HERE),
            "SAME_VALUES_FAILS": fails,
            "IPYTHONDIR": str(self.base / "ipython"),
            "JUPYTER_FLOWS_HOME": str(self.base / "home"),
            "PYTHONHASHSEED": "0",  # the order of sets is the process's, not the engine's
        }

    def directory(self, way: str) -> Path:
        place = self.base / way
        shutil.copytree(self.notebook.parent, place)
        return place

    def plain(self) -> Seen:
        """Every cell in one kernel from the top, by nbclient."""
        place = self.directory("plain")
        nb: Any = nbformat.read(place / self.notebook.name, as_version=4)
        for cell in nb.cells:
            if cell.cell_type == "code":
                cell.source = "" if is_skipped(cell.source) else code_for_kernel(cell.source)
        client = NotebookClient(nb, kernel_name="python3", resources={"metadata": {"path": str(place)}})
        with client.setup_kernel(env=self.environment("plain")):
            for number, cell in enumerate(nb.cells):
                client.execute_cell(cell, number)
        return Seen(self, "plain", nb)

    def execute(self, way: str, *options: str, fails: str = "", expected: int = 0) -> Seen:
        """Type ``jupyter flows execute``."""
        place = self.base / way
        if not place.exists():
            self.directory(way)
        every = ["--all-cells"] if self.every_cell else []
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "jupyter_flows",
                "execute",
                self.notebook.name,
                "out.ipynb",
                *every,
                *options,
            ],
            cwd=place,
            env=self.environment(way, fails),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert expected == done.returncode, (way, done.stdout, done.stderr)
        return Seen(self, way, nbformat.read(place / "out.ipynb", as_version=4))

    def tasks(self) -> list[str]:
        """Tasks that a failure can be injected at: no other cell has the same text."""
        bodies = list(self.bodies.values())
        return [
            self.flow.slugs[task]
            for task in self.flow.slugs
            if task.role != "setup" and bodies.count(self.bodies[self.flow.slugs[task]]) == 1
        ]


class Seen:
    """What is compared of a run."""

    def __init__(self, way: Way, name: str, nb: Any) -> None:
        noted = digests.read(way.base / f"{name}.jsonl")
        self.values: dict[str, dict[str, str]] = {}
        for task, slug in way.flow.slugs.items():
            if task.role == "task" and way.tasks().count(slug):
                of_cell = noted.get(way.bodies[slug], {})
                self.values[slug] = {key: of_cell[key] for key in sorted(task.writes) if key in of_cell}
        self.texts = {
            cell["id"]: text_of(cell.outputs)
            for cell in nb.cells
            if cell.cell_type == "code" and "injected-parameters" not in cell.metadata.get("tags", [])
        }


def text_of(outputs: Iterable[Any]) -> str:
    """Return what a cell has said, streams as one."""
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]
    return _FIGURES.sub("…", _ADDRESS.sub("0x…", "".join(texts)))


def assert_same(reference: Seen, other: Seen, way: str) -> None:
    """Every value and every text is the reference's."""
    assert reference.values == other.values, way
    assert reference.texts == other.texts, way


def assert_same_in_every_way(way: Way, *, fails_at: Iterable[str] | None = None) -> None:
    """Run in each way; the notebook goes on after a failure at each task, or at some."""
    reference = way.plain()
    assert any(reference.values.values())
    assert_same(reference, way.execute("off"), "one kernel")
    assert_same(reference, way.execute("processes", "--parallel", "processes"), "processes")
    assert_same(reference, way.execute("processes", "--parallel", "processes"), "a second run")
    for number, slug in enumerate(way.tasks() if fails_at is None else fails_at):
        mode = ("off", "processes")[number % 2]
        name = f"failed-{number}"
        way.execute(name, "--parallel", mode, fails=way.bodies[slug], expected=1)
        found = way.execute(name, "--parallel", mode, "--resume", "out.ipynb")
        assert_same(reference, found, f"failed at {slug}, gone on ({mode})")


@pytest.mark.parametrize("name", list(HAND_MADE))
def test_hand_made_notebook(tmp_path: Path, name: str) -> None:
    """All that tempts a run to differ, with a failure at each task."""
    (tmp_path / "source").mkdir()
    notebook = write_notebook(tmp_path / "source" / "book.ipynb", *HAND_MADE[name])
    assert_same_in_every_way(Way(tmp_path, notebook))


@pytest.mark.parametrize("name", ["quickstart", "weather"])
def test_example_notebook(tmp_path: Path, name: str) -> None:
    """The notebooks that we ship, with a failure at each task."""
    source = tmp_path / "source"
    shutil.copytree(NOTEBOOKS, source, ignore=shutil.ignore_patterns("weather-report", ".ipynb_checkpoints"))
    assert_same_in_every_way(Way(tmp_path, source / f"{name}.ipynb"))


def random_notebooks(count: int) -> list[list[str]]:
    """Return notebooks by chance, the same ones each time, without the cells that raise."""
    found: list[list[str]] = []

    @settings(max_examples=4 * count, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @seed(5)
    @given(notebooks)
    def collect(cells: list[str]) -> None:
        found.append(cells)

    collect()
    kept = [cells for cells in map(without_failures, found) if len(cells) > 3]
    assert len(kept) >= count
    return kept[:count]


@pytest.mark.parametrize("number", range(12))
def test_random_notebook(tmp_path: Path, number: int) -> None:
    """Careless notebooks, each cell a task, with a failure at one of them."""
    cells = random_notebooks(12)[number]
    shown = "\n".join(
        f"try:\n    print({name!r}, {name} if isinstance({name}, (int, str, list, dict, tuple)) else "
        f"type({name}).__name__)\nexcept NameError:\n    print('none')"
        for name in "abcd"
    )
    (tmp_path / "source").mkdir()
    notebook = write_notebook(tmp_path / "source" / "book.ipynb", *cells, shown)
    way = Way(tmp_path, notebook, every_cell=True)
    at = random.Random(number).choice(way.tasks())
    assert_same_in_every_way(way, fails_at=[at])
