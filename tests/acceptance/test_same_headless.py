"""The promise for headless runs: a plain kernel from the top = one kernel = threads = processes = cached = gone on.

The reference is nbclient in a kernel that knows nothing of flows. Compared are every name that a cell writes, at
the moment it has ended, and every output. Failures are injected from outside: a kernel that is told so by its
environment runs something else in place of one cell; the notebook is the same.

Not the same from run to run, and left out: addresses of objects, and what ``--cache-for`` says of itself.

``SAME_HEADLESS=100 pytest tests/acceptance/test_same_headless.py`` tries so many random notebooks, and lets a run
fail at each task anew instead of from one failure to the next.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import HealthCheck, given, seed, settings
from nbclient import NotebookClient

from jupyter_flows.core.task import Task
from jupyter_flows.notebook.build import build_flow
from jupyter_flows.notebook.cell_task import CellTask
from jupyter_flows.notebook.read import read_notebook
from jupyter_flows.runtime.cell_code import code_for_kernel, is_skipped
from tests.analysis.generated import notebooks
from tests.analysis.oracle import without_failures
from tests.runtime.conftest import write_notebook
from tests.typist import Typist

from . import digests
from .test_same_values import HAND_MADE, HERE, NOTEBOOKS, STARTUP

INJECTION = """
def _flows_injected(lines):
    import os, sys
    sys.path.insert(0, os.environ["SAME_VALUES_TOOLS"])
    import digests
    sys.path.pop(0)
    if digests.body_of("".join(lines)) in os.environ["SAME_VALUES_FAILS"].split("\\x1e"):
        return ["raise RuntimeError('injected')\\n"]
    return lines
get_ipython().input_transformers_cleanup.append(_flows_injected)
del _flows_injected
"""
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
_OF_THE_CACHE = re.compile(r"^\((?:from cache, |--cache-for: ).*\n", re.MULTILINE)
_OF_OURS = re.compile(r"%(load_ext jupyter_flows|flow )")
SHARE = 0.4
MODES = ["off", "threads", "processes"]
ON_DEMAND = int(os.environ.get("SAME_HEADLESS", "0"))


class Way:
    """A notebook that is run in each way; each in a copy of its directory."""

    def __init__(self, base: Path, notebook: Path, typist: Typist, *, every_cell: bool = False) -> None:
        self.base = base
        self.notebook = notebook
        self.every_cell = every_cell
        self._typist = typist
        startup = base / "ipython" / "profile_default" / "startup"
        startup.mkdir(parents=True)
        (base / "home").mkdir()
        (startup / "00-digests.py").write_text(STARTUP)
        (startup / "01-injection.py").write_text(INJECTION)
        read = read_notebook(notebook)
        self.flow = build_flow(read, all_cells=every_cell)
        self.tasks = [task for task in self.flow.slugs if isinstance(task, CellTask)]
        sources = {cell.id: cell.source for cell in read.cells}
        self.bodies = {task: digests.body_of(sources[task.cell_id]) for task in self.tasks}
        bodies = list(self.bodies.values())
        self.known = [task for task in self.tasks if bodies.count(self.bodies[task]) == 1]
        """Whose cell is the only one with its text."""

    def directory(self, way: str) -> Path:
        place = self.base / way
        if not place.exists():
            shutil.copytree(self.notebook.parent, place)
        return place

    def notes(self, way: str) -> Path:
        """Return where kernels note values: the cache takes what lies in our own home for no effect of a cell."""
        return self.base / "home" / f"{way}.jsonl"

    def environment(self, way: str, fails: Iterable[Task] = ()) -> dict[str, str]:
        return {
            "SAME_VALUES_FILE": str(self.notes(way)),
            "SAME_VALUES_TOOLS": str(HERE),
            "SAME_VALUES_FAILS": "\x1e".join(self.bodies[task] for task in fails),
            "IPYTHONDIR": str(self.base / "ipython"),
            "JUPYTER_FLOWS_HOME": str(self.base / "home"),
            "PYTHONHASHSEED": "0",  # the order of sets is the process's, not the engine's
        }

    def plain(self) -> Seen:
        """Every cell in one kernel from the top, by nbclient; what is ours is left out."""
        place = self.directory("plain")
        nb: Any = nbformat.read(place / self.notebook.name, as_version=4)
        for cell in nb.cells:
            if cell.cell_type == "code":
                ours = is_skipped(cell.source) or _OF_OURS.match(cell.source)
                cell.source = "" if ours else code_for_kernel(cell.source)
        client = NotebookClient(nb, kernel_name="python3", resources={"metadata": {"path": str(place)}})
        client.execute(env={**os.environ, **self.environment("plain")})
        return Seen(self, "plain", nb)

    def execute(self, way: str, *options: str, fails: Collection[CellTask] = ()) -> Seen:
        """Type ``jupyter flows execute``; the run fails if a cell is made to."""
        place = self.directory(way)
        every = ["--all-cells"] if self.every_cell else []
        code, words = self._typist.type(
            *("execute", self.notebook.name, "out.ipynb", *every, *options),
            cwd=place,
            environ=self.environment(way, fails),
        )
        assert code == (1 if fails else 0), (way, options, words)
        return Seen(self, way, nbformat.read(place / "out.ipynb", as_version=4))

    def execute_with_failures(self, modes: Iterable[str], rounds: Iterable[list[CellTask]]) -> Seen:
        """Let a run fail at some tasks, go on and let it fail at the next ones; return how it ended."""
        way = f"failed-{len(list(self.base.glob('failed-*')))}"
        mode, resume = itertools.cycle(modes), ()
        for tasks in rounds:
            self.execute(way, "--parallel", next(mode), *resume, fails=tasks)
            resume = ("--resume", "out.ipynb")
        return self.execute(way, "--parallel", next(mode), *resume)

    def rounds(self, can: Collection[CellTask]) -> list[list[CellTask]]:
        """Return tasks that are to fail, by how many of them they need: one run can fail at many."""
        level: dict[Task, int] = {}
        for task in self.flow.sorted_tasks():
            above = [level[edge.upstream_task] for edge in self.flow.edges_to(task) if edge.kind != "order"]
            level[task] = max(above, default=0) + (task in can)
        levels = sorted({level[task] for task in can})
        return [[task for task in can if level[task] == number] for number in levels]

    def cached(self) -> Way:
        """Return the same notebook with results of its tasks kept."""
        source = self.base / "cached-source"
        shutil.copytree(self.notebook.parent, source)
        nb = nbformat.read(self.notebook, as_version=4)
        for number, cell in enumerate(nb.cells):
            if cell.cell_type == "code" and cell.source.startswith("%%task"):
                line, _, rest = cell.source.partition("\n")
                cell.source = f"{line} --cache-for 1h\n{rest}"
            elif self.every_cell:
                cell.source = f"%%task kept_{number} --cache-for 1h\n{cell.source}"
        nbformat.write(nb, source / self.notebook.name)
        (self.base / "with-cache").mkdir()
        return Way(self.base / "with-cache", source / self.notebook.name, self._typist)


class Seen:
    """What is compared of a run."""

    def __init__(self, way: Way, name: str, nb: Any) -> None:
        noted = digests.read(way.notes(name))
        self.values = {
            task.cell_id: {key: noted.get(way.bodies[task], {}).get(key) for key in sorted(task.writes)}
            for task in way.known
        }
        code = [cell for cell in nb.cells if cell.cell_type == "code"]
        self.outputs = {cell["id"]: said(cell.outputs) for cell in code}
        self.states = {cell.metadata.get("jupyter_flows", {}).get("state") for cell in code}


def said(outputs: Iterable[Any]) -> list[tuple[str, Any]]:
    """Return what a cell has said: its streams each as one, what it has shown in turn."""
    streams: dict[str, str] = {}
    shown: list[tuple[str, Any]] = []
    for output in outputs:
        if output["output_type"] == "stream":
            streams[output["name"]] = streams.get(output["name"], "") + output["text"]
        elif output["output_type"] == "error":
            shown.append((output["ename"], output["evalue"]))
        else:
            shown.append((output["output_type"], sorted(output["data"].items())))
    texts = {name: _OF_THE_CACHE.sub("", text) for name, text in streams.items()}
    told = [*sorted((name, text) for name, text in texts.items() if text), *shown]
    return [(kind, _ADDRESS.sub("0x…", repr(what))) for kind, what in told]


def assert_same(reference: Seen, other: Seen, way: str) -> None:
    """Every value and every output is the reference's."""
    assert reference.values == other.values, way
    assert reference.outputs == other.outputs, way


def assert_same_in_every_way(way: Way, *, chance: random.Random, is_quick: bool = False) -> set[str | None]:
    """Run in each way; the notebook goes on after a failure at each task.

    Returns the states of cells whose results were kept by a run before; *is_quick*: fewer runs fail.
    """
    reference = way.plain()
    assert any(value for names in reference.values.values() for value in names.values())
    for mode in MODES:
        assert_same(reference, way.execute(mode, "--parallel", mode), mode)
    can = [task for task in way.known if task.role != "setup"]
    # From failure to failure: at all tasks, and at some while the others stand; the kernels change each time.
    some = [task for task in can if chance.random() < SHARE] or can[:1]
    for tasks in (can,) if is_quick else (can, some):
        rounds, modes = way.rounds(tasks), chance.sample(MODES, len(MODES))
        assert_same(reference, way.execute_with_failures(modes, rounds), f"failed: {rounds}, {modes}")
    for task in can if ON_DEMAND else ():
        modes = [chance.choice(MODES), chance.choice(MODES)]
        assert_same(reference, way.execute_with_failures(modes, [[task]]), f"failed: {task}, {modes}")
    kept = way.cached()
    assert_same(reference, kept.execute("off"), "kept")
    second = kept.execute("processes", "--parallel", "processes")
    assert_same(reference, second, "from the cache")
    return second.states


FILES = (
    "%%task first\nwith open('d.txt', 'w') as stream:\n    stream.write('1')",
    "%%task early\nfound = open('d.txt').read()",
    "%%task second\nwith open('d.txt', 'w') as stream:\n    stream.write('2')",
    "%%task between\nseen = open('d.txt').read()",
    "%%task third\nwith open('d.txt', 'a') as stream:\n    stream.write('3')",
    "%%task late\nlast = open('d.txt').read()",
)
HELD = (
    "%%task one\na = [1]",
    "%%task hold\nc = [a]",
    "%%task change\na.append(2)",
    "%%task anew\nd = [*c]",
    "%%task look\nprint(a, c, d, a is c[0])",
)
UNREAD = (
    "b = [[2]]",
    "%%task other\n(a := b)",
    "%%task grow\na += [7]",
    "%%task again\n(a := b)",
    "%%task look\nprint(a, b)",
)
FIGURES = (
    "import matplotlib.pyplot as plt",
    "%%task drawn\nfig, ax = plt.subplots()\nax.plot([1, 2, 3]);",
    "%%task lines\nprint(len(ax.lines))",
    "%%task shown\nfig",
)
CASES = {
    **HAND_MADE,
    "an object is changed by another name than is read": UNREAD,
    "files that are written again": FILES,
    "an object that others hold is changed": HELD,
}
HIDES = "exec, globals and star imports"
"""All cells below wait for its cells, and it waits for all above: it has a notebook of its own."""
IN_ONE = {
    HIDES: HAND_MADE[HIDES],
    "all others": tuple(
        cell.replace("%%task ", f"%%task case_{number}_")
        for number, name in enumerate(CASES)
        for cell in CASES[name]
        if name != HIDES
    ),
}


@pytest.mark.parametrize("name", CASES if ON_DEMAND else IN_ONE)
def test_hand_made_notebook(tmp_path: Path, typist: Typist, name: str) -> None:
    """All that tempts a run to differ, with a failure at each task."""
    (tmp_path / "source").mkdir()
    cells = CASES[name] if ON_DEMAND else IN_ONE[name]
    notebook = write_notebook(tmp_path / "source" / "book.ipynb", *cells)
    states = assert_same_in_every_way(Way(tmp_path, notebook, typist), chance=random.Random(name))
    # Some of the cases, each by itself, have nothing that could be kept.
    assert name != "all others" or "Cached" in states


def test_a_figure_is_a_picture_where_none_was_drawn(tmp_path: Path, typist: Typist) -> None:
    """A kernel that has only read a figure shows it as the one that drew it does; here since the run goes on."""
    (tmp_path / "source").mkdir()
    way = Way(tmp_path, write_notebook(tmp_path / "source" / "book.ipynb", *FIGURES), typist)
    [shown] = [task for task in way.tasks if task.name == "shown"]
    reference = way.plain()
    assert any("image/png" in text for told in reference.outputs.values() for _, text in told)
    assert_same(reference, way.execute_with_failures(["processes"], [[shown]]), "gone on")


@pytest.mark.parametrize("name", ["quickstart", "weather"])
def test_example_notebook(tmp_path: Path, typist: Typist, name: str) -> None:
    """The notebooks that we ship, with a failure at each task."""
    source = tmp_path / "source"
    shutil.copytree(NOTEBOOKS, source, ignore=shutil.ignore_patterns("weather-report", ".ipynb_checkpoints"))
    way = Way(tmp_path, source / f"{name}.ipynb", typist)
    assert "Cached" in assert_same_in_every_way(way, chance=random.Random(name), is_quick=not ON_DEMAND)


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


@pytest.mark.parametrize("number", range(ON_DEMAND or 2))
def test_random_notebook(tmp_path: Path, typist: Typist, number: int) -> None:
    """Careless notebooks, each cell a task, with a failure at each."""
    cells = random_notebooks(ON_DEMAND or 2)[number]
    shown = "\n".join(
        f"try:\n    print({name!r}, {name} if isinstance({name}, (int, str, list, dict, tuple)) else "
        f"type({name}).__name__)\nexcept NameError:\n    print('none')"
        for name in "abcd"
    )
    (tmp_path / "source").mkdir()
    notebook = write_notebook(tmp_path / "source" / "book.ipynb", *cells, shown)
    way = Way(tmp_path, notebook, typist, every_cell=True)
    assert_same_in_every_way(way, chance=random.Random(number))
