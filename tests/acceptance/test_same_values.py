"""The promise: however a notebook runs, its tasks give what "Restart kernel and run all cells" gives.

The reference is a plain kernel, cell by cell from the top. Against it: the engine inside a kernel (as
``%flow run``), papermill's engine ``flows`` headless in a kernel of its own, an agent's run, and a pickle of the
flow in a fresh process. Compared is every name that a task writes, at the moment the task has ended.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_flows.notebook.build import build_flow
from jupyter_flows.notebook.read import read_notebook
from jupyter_flows.registering.pickling import pickle_flow
from jupyter_flows.schema.runs import CreateRun
from tests.magics.conftest import start_kernel

from . import digests
from .conftest import write_notebook

HERE = Path(__file__).parent
NOTEBOOKS = HERE.parents[1] / "notebooks"
Values = dict[str, dict[str, str]]

STARTUP = """
import os, sys
sys.path.insert(0, os.environ["SAME_VALUES_TOOLS"])
import digests
sys.path.pop(0)
digests.watch(get_ipython())
del digests, os, sys
"""

HAND_MADE: dict[str, tuple[str, ...]] = {
    "function globals that are bound again (B02)": (
        "rate = 2\ndef scaled(x):\n    return x * rate",
        "%%task early\nbefore = scaled(3)",
        "rate = 10",
        "%%task late\nafter = scaled(3)",
    ),
    "objects changed in place, and by another name": (
        "rows = []\nother = rows",
        "%%task one\nrows.append(1)\nfirst = list(other)",
        "%%task two\nother.append(2)\nsecond = list(rows)",
        "%%task three\nrows += [3]\nthird = (list(rows), list(other), rows is other)",
    ),
    "names bound again and again": (
        "%%task one\nx = 1\nfor i in range(3):\n    x += i",
        "%%task two\ny = x + i",
        "%%task three\nx = 'text'\ndel i",
        "%%task four\nz = (x, y)",
    ),
    "classes, instances, late methods": (
        "class Account:\n    rate = 1\n    def __init__(self):\n        self.total = 0",
        "%%task open\nmine = Account()\nmine.total += 5",
        "%%task change\nAccount.rate = 3\nAccount.pay = lambda self: self.total * self.rate",
        "%%task paid\nresult = mine.pay()",
    ),
    "random numbers and iterators in turn": (
        "import random\nrandom.seed(7)\nstream = iter(range(10))",
        "%%task one\na = [random.random(), next(stream)]",
        "%%task two\nb = [random.random(), next(stream)]",
        "%%task three\nc = [random.random(), *stream]",
    ),
    "IPython's syntax and top-level await": (
        "import asyncio\nasync def later(x):\n    await asyncio.sleep(0)\n    return x + 1",
        "%%task one\na = await later(1)",
        "%%task two\nwords = !echo one two\nwords = list(words)",
        "%%task three\n%%capture said\nprint('quiet', a)\nkept = a * 2",
        "%%task four\nb = [await later(n) for n in range(3)]",
    ),
    "exec, globals and star imports": (
        "from math import *",
        "%%task one\nexec('hidden = floor(2.7)')",
        "%%task two\nglobals()['made'] = hidden + 1",
        "%%task three\nseen = (hidden, made, ceil(1.2))",
    ),
    "annotations stay objects": (
        "%%task one\ndef f(x: int) -> str:\n    return str(x)\nkinds = [kind.__name__ for kind in f.__annotations__.values()]",
        "%%task two\nclass Point:\n    x: int = 1\nnames = {name: kind.__name__ for name, kind in Point.__annotations__.items()}",
    ),
    "parameters, files and plain cells between": (
        "%%parameters\nfactor = 3",
        "%%task write\nwith open('data.txt', 'w') as stream:\n    stream.write('4')",
        "text = open('data.txt').read()",
        "%%task use\nproduct = int(text) * factor",
    ),
    "numbers of numpy and pandas": (
        "import numpy as np\nimport pandas as pd",
        "%%task frame\ndf = pd.DataFrame({'a': np.arange(4), 'b': list('wxyz')})",
        "%%task view\npart = df[df['a'] > 0].copy()\npart['c'] = part['a'] * 2",
        "%%task change\ndf['a'] *= 10\ndf.loc[0, 'a'] = -1",
        "%%task total\ntotal = (int(df['a'].sum()), int(part['c'].sum()))",
    ),
}


@pytest.fixture
def world(tmp_path: Path):
    """A directory to run in, an IPython profile that notes values, and the environment of processes there."""
    return World(tmp_path)


class World:
    """Runs one notebook in each way; each in a copy of its directory."""

    def __init__(self, tmp_path: Path) -> None:
        self.base = tmp_path
        startup = tmp_path / "home" / "ipython" / "profile_default" / "startup"
        startup.mkdir(parents=True)
        (startup / "00-digests.py").write_text(STARTUP)
        self._count = 0

    def environment(self, way: str) -> dict[str, str]:
        return {
            "SAME_VALUES_FILE": str(self.base / f"{way}.jsonl"),
            "SAME_VALUES_TOOLS": str(HERE),
            "IPYTHONDIR": str(self.base / "home" / "ipython"),
            "JUPYTER_FLOWS_HOME": str(self.base / "home"),
            "PYTHONHASHSEED": "0",  # the order of sets is the process's, not the engine's
        }

    def place(self, notebook: Path, way: str) -> Path:
        """Copy the notebook with what lies beside it; return the copy."""
        directory = self.base / way
        shutil.copytree(notebook.parent, directory)
        return directory / notebook.name

    def noted(self, way: str) -> Values:
        return digests.read(self.base / f"{way}.jsonl")

    def in_plain_kernel(self, notebook: Path) -> Values:
        copy = self.place(notebook, "plain")
        kernel = start_kernel(copy.parent, self.base / "home", **self.environment("plain"))
        try:
            for cell in read_notebook(copy).cells:
                ran = kernel.run(cell.source, cell.id)
                assert ran.status == "ok", (cell.source, ran.errors, ran.stderr)
        finally:
            kernel.close()
        return by_task(copy, self.noted("plain"))

    def by_engine_in_a_kernel(self, notebook: Path) -> Values:
        copy = self.place(notebook, "engine")
        environ = {**self.environment("engine"), "IPYTHONDIR": str(self.base / "engine-ipython")}
        kernel = start_kernel(copy.parent, self.base / "home", **environ)
        try:
            ran = kernel.run(
                f"import sys; sys.path.insert(0, {str(HERE)!r})\nimport digests\n"
                f"digests.run_notebook({str(copy)!r})"
            )
            assert ran.status == "ok", ran.errors
        finally:
            kernel.close()
        return self.noted("engine")

    def by_papermill(self, notebook: Path) -> Values:
        copy = self.place(notebook, "papermill")
        subprocess.run(
            [
                sys.executable,
                "-m",
                "papermill",
                "--engine",
                "flows",
                "--no-progress-bar",
                copy.name,
                "out.ipynb",
            ],
            cwd=copy.parent,
            env={**os.environ, **self.environment("papermill")},
            check=True,
            timeout=120,
            capture_output=True,
        )
        return by_task(copy, self.noted("papermill"))

    def by_pickle(self, notebook: Path) -> Values:
        copy = self.place(notebook, "pickle")
        pickled = self.base / "flow.pickle"
        pickled.write_bytes(pickle_flow(build_flow(read_notebook(copy))))
        copy.unlink()  # it is not needed any more
        subprocess.run(
            [sys.executable, str(HERE / "digests.py"), "pickle", str(pickled)],
            cwd=copy.parent,
            env={**os.environ, **self.environment("pickle")},
            check=True,
            timeout=120,
        )
        return self.noted("pickle")


def by_task(notebook: Path, noted: Values) -> Values:
    """Turn what kernels noted by cell text into what was noted by task."""
    flow = build_flow(read_notebook(notebook))
    found: Values = {}
    for task, slug in flow.slugs.items():
        source = next(cell.source for cell in read_notebook(notebook).cells if cell.id == task.cell_id)
        values = noted.get(digests.body_of(source))
        if values is not None:
            found[slug] = values
    return found


def assert_same(reference: Values, other: Values, notebook: Path) -> None:
    """Every name that a task writes has the same value."""
    flow = build_flow(read_notebook(notebook))
    compared = 0
    for task, slug in flow.slugs.items():
        if task.role != "task":
            continue
        assert slug in reference, f"{slug} did not run in a plain kernel"
        assert slug in other, f"{slug} did not run"
        names = [name for name in sorted(task.writes) if name in reference[slug]]
        assert {name: reference[slug][name] for name in names} == {
            name: other[slug].get(name) for name in names
        }, slug
        compared += len(names)
    assert compared > 0


WAYS: dict[str, Callable[[World, Path], Values]] = {
    "engine in a kernel": World.by_engine_in_a_kernel,
    "papermill": World.by_papermill,
    "pickle": World.by_pickle,
}


def assert_same_in_every_way(world: World, notebook: Path) -> None:
    reference = world.in_plain_kernel(notebook)
    for way, run in WAYS.items():
        other = run(world, notebook)
        try:
            assert_same(reference, other, notebook)
        except AssertionError as error:
            raise AssertionError(f"{way}: {error}") from error


def test_hand_made_notebook(world: World) -> None:
    """All that tempts an engine to differ, in one notebook, in each way."""
    cells = [
        cell.replace("%%task ", f"%%task case_{number}_")
        for number, case in enumerate(HAND_MADE.values(), 1)
        for cell in case
    ]
    assert_same_in_every_way(world, write_notebook(world.base / "source" / "book.ipynb", *cells))


def test_function_globals_are_those_of_the_moment(world: World) -> None:
    """The figures of B02, not only their equality: 6 before the rate changes, 30 after."""
    cells = HAND_MADE["function globals that are bound again (B02)"]
    notebook = write_notebook(world.base / "source" / "book.ipynb", *cells)
    noted = world.by_pickle(notebook)
    assert ("int:6", "int:30") == (noted["early"]["before"], noted["late"]["after"])


@pytest.mark.parametrize("name", ["quickstart", "weather"])
def test_example_notebook(world: World, name: str) -> None:
    """The notebooks that we ship."""
    source = world.base / "source"
    shutil.copytree(NOTEBOOKS, source, ignore=shutil.ignore_patterns("weather-report", ".ipynb_checkpoints"))
    assert_same_in_every_way(world, source / f"{name}.ipynb")


def test_headless_through_an_agent(world: World, server, cli, start_agent) -> None:
    """Registered, claimed, fetched from storage and run by an agent."""
    cells = HAND_MADE["function globals that are bound again (B02)"]
    notebook = write_notebook(world.base / "source" / "book.ipynb", *cells)
    reference = world.in_plain_kernel(notebook)
    registered = cli("register", str(notebook))
    assert registered.returncode == 0, registered.stderr
    environ = {**world.environment("agent"), "JUPYTER_FLOWS_HOME": str(server.settings.home)}
    start_agent(env=environ)
    run = server.api.create_run("book", CreateRun())
    for event in server.api.events(run=run.id, after=0):
        state = getattr(getattr(event.body, "run", None), "state", None)
        if state is not None and state.type in {"Success", "Failed", "Cancelled", "Skipped"}:
            assert ("Success", state.message) == (state.type, state.message)
            break
    assert_same(reference, by_task(notebook, world.noted("agent")), notebook)


CASES = json.loads((HERE.parent / "cells.json").read_text("utf-8"))


def test_cell_cases_by_engine(tmp_path: Path) -> None:
    """Every short sequence of the cell cases that runs in a plain kernel gives the same by the engine."""
    cases = {case["id"]: case["cells"] for case in CASES} | {
        name: list(cells) for name, cells in HAND_MADE.items()
    }
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    noted: dict[str, list[Values]] = {}
    for way in ("plain", "engine"):
        subprocess.run(
            [sys.executable, str(HERE / "digests.py"), way, str(tmp_path / "cases.json")],
            env={
                **os.environ,
                "SAME_VALUES_FILE": str(tmp_path / way),
                "IPYTHONDIR": str(tmp_path / "ipython"),
                "PYTHONHASHSEED": "0",
            },
            check=True,
            timeout=240,
            capture_output=True,
        )
        noted[way] = [digests.read(tmp_path / f"{way}.{number}") for number in range(len(cases))]
    differ: dict[str, object] = {}
    compared = 0
    for name, plain, engine in zip(cases, *noted.values(), strict=True):
        if "error" in plain:
            continue  # it cannot run here (another Python, a file that is not there)
        for cell, values in engine.items():
            if cell == "flow":
                continue
            wrong = {
                key: (plain[cell].get(key), found)
                for key, found in values.items()
                if plain[cell].get(key) != found
            }
            if wrong:
                differ[f"{name}, cell {cell}"] = wrong
        compared += 1
        missing = set(plain) - set(engine)
        if missing:
            differ[name] = f"cells {sorted(missing)} did not succeed"
    assert differ == {}
    assert compared > 90
