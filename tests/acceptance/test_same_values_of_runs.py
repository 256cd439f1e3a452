"""Runs with parameters, retries and pickled objects give what a person gets who does the same by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_flows.schema.runs import CreateRun

from .conftest import environment, write_notebook

CELLS = (
    (
        "import os, pickle, json, copy\nimport numpy as np\n"
        "def note(**values):\n"
        "    with open(os.environ['NOTES'], 'a') as stream:\n"
        "        for name, value in values.items():\n"
        "            stream.write(json.dumps([name, repr(value)]) + '\\n')"
    ),
    "rng = np.random.default_rng(seed)\ndef scaled(x):\n    return x * factor\ntries = []",
    "%%task draw\ndrawn = rng.integers(0, 1000, 4).tolist()\nnote(drawn=drawn)",
    (
        "%%task flaky --retries 2 --retry-delay 0\ntries.append(len(tries))\ndrawn_again = int(rng.integers(1000))\n"
        "if len(tries) < 3:\n    raise ValueError('not yet')\nnote(tries=tries, drawn_again=drawn_again)"
    ),
    "%%task first\nearly = scaled(10)\nnote(early=early)",
    "factor = factor + 100",
    "%%task second\nlate = scaled(10)\nnote(late=late)",
    "class Point:\n    def __init__(self, x):\n        self.x = x\n    def __repr__(self):\n        return f'Point({self.x})'",
    "%%task pack\npoint = Point(factor)\nbox = pickle.dumps({'p': point})\nnote(point=point)",
    (
        "%%task unpack\nagain = pickle.loads(box)['p']\nsame = (isinstance(again, Point), type(again) is Point, again.x)\n"
        "note(same=same, module=Point.__module__, copied=copy.deepcopy(point).x)"
    ),
    (
        "%%task awaited\nimport asyncio\nfound = await asyncio.gather(*[asyncio.sleep(0, n * factor) for n in range(3)])\n"
        "words = !echo {city}\nnote(found=found, words=list(words), city=city)"
    ),
    "%flow book",
)
PARAMETERS = "city = 'Oslo'\nfactor = 2\nseed = 7"
GIVEN = {"city": "New York", "factor": 5}

PLAIN = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
cells, given = json.load(open(sys.argv[1])), json.loads(sys.argv[2])
shell = InteractiveShell.instance()
for number, source in enumerate(cells):
    for attempt in range(3):  # a person runs a cell that failed again
        result = shell.run_cell(source, store_history=True)
        if result.success:
            break
    assert result.success, source
    if number == 1:
        shell.user_ns.update(given)  # ... and edits the parameters
"""
ENGINE = """
import json, sys
from jupyter_flows import Flow
from jupyter_flows.notebook.build import build_flow
from jupyter_flows.notebook.read import read_notebook
state = build_flow(read_notebook(sys.argv[1]), make=Flow).run(json.loads(sys.argv[2]))
assert state.is_successful(), [s for s in state.result.values() if s.is_failed()]
"""


def noted(path: Path) -> dict[str, str]:
    return dict(json.loads(line) for line in path.read_text("utf-8").splitlines())


@pytest.fixture
def by_hand(tmp_path) -> dict[str, str]:
    """What a person gets who runs all cells with these parameters."""
    cells = ["%load_ext jupyter_flows", PARAMETERS, *CELLS]
    (tmp_path / "cells.json").write_text(json.dumps(cells))
    notes = tmp_path / "hand.notes"
    subprocess.run(
        [sys.executable, "-c", PLAIN, str(tmp_path / "cells.json"), json.dumps(GIVEN)],
        env=environment(tmp_path / "home", NOTES=str(notes), IPYTHONDIR=str(tmp_path / "ipython")),
        check=True, timeout=120, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return noted(notes)


def test_by_the_engine_and_by_papermill(tmp_path, by_hand):
    book = write_notebook(tmp_path / "book.ipynb", *CELLS, parameters=PARAMETERS)
    given = [word for name, value in GIVEN.items() for word in ("-p", name, str(value))]
    ways = {
        "engine": ["-c", ENGINE, str(book), json.dumps(GIVEN)],
        "papermill": ["-m", "papermill", "--engine", "flows", "--no-progress-bar", str(book), str(tmp_path / "out.ipynb"), *given],
    }  # fmt: skip
    for way, arguments in ways.items():
        notes = tmp_path / f"{way}.notes"
        subprocess.run(
            [sys.executable, *arguments],
            env=environment(tmp_path / "home", NOTES=str(notes), IPYTHONDIR=str(tmp_path / "ipython")),
            check=True, timeout=120, capture_output=True, cwd=tmp_path,
        )  # fmt: skip
        assert {"way": way, **by_hand} == {"way": way, **noted(notes)}


def test_by_an_agent_from_both_storages(tmp_path, server, start_agent, by_hand, cli: Callable):
    """The same notebook registered as itself and as a pickle, run with the same parameters."""
    book = write_notebook(tmp_path / "book.ipynb", *CELLS, parameters=PARAMETERS)
    notes = tmp_path / "agent.notes"
    start_agent(env={"NOTES": str(notes)})
    for storage in ("notebook", "pickle"):
        registered = cli("register", str(book), "--storage", storage, "--name", storage)
        assert registered.returncode == 0, registered.stderr
        run = server.api.create_run(storage, CreateRun(parameters=GIVEN))
        for event in server.api.events(run=run.id, after=0):
            state = getattr(getattr(event.body, "run", None), "state", None)
            if state is not None and state.type in {"Success", "Failed", "Cancelled", "Skipped"}:
                assert ("Success", state.message) == (state.type, state.message)
                break
        assert {"storage": storage, **by_hand} == {"storage": storage, **noted(notes)}
        notes.unlink()
