"""``--map`` and ``--cache-for``: the same in the notebook, in the engine, headless and from a pickle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_flows import Flow
from jupyter_flows.notebook.build import build_flow
from jupyter_flows.notebook.read import read_notebook
from jupyter_flows.schema.runs import CreateRun

from .conftest import write_notebook

CELLS = (
    "%%task load\nrows = list(range(count))\nnames = 'abcdef'",
    "def squared(x):\n    return x * x",
    """%%task score --map row=rows --map name=names --out-map score,line
score = squared(row)
line = f'''{name}
{score}'''
score""",
    "%%task total --cache-for 1h --cache-by inputs\ntotal = sum(score)\nwith open('called.txt', 'a') as f:\n    f.write('x')\ntotal",
    "%%task tell\nwith open('told.txt', 'w') as stream:\n    stream.write(f'{total} {line} {row}')",
)
TOLD = "14 ['a\\n0', 'b\\n1', 'c\\n4', 'd\\n9'] 3"


@pytest.fixture
def book(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUPYTER_FLOWS_HOME", str(tmp_path / "home"))
    return write_notebook(tmp_path / "book.ipynb", *CELLS, parameters="count = 4")


def called():
    return len(Path("called.txt").read_text())


def states_of(state):
    return {task.name: type(own).__name__ for task, own in state.result.items()}


def test_by_the_engine(book):
    flow = build_flow(read_notebook(book), make=Flow)
    assert "Success" == states_of(flow.run())["total"]
    assert TOLD == Path("told.txt").read_text()
    assert "Cached" == states_of(flow.run())["total"]
    assert 1 == called()
    assert "Success" == states_of(flow.run(count=5))["total"]
    assert 2 == called()


def test_the_graph_knows_what_a_map_reads_and_gives(book):
    flow = build_flow(read_notebook(book))
    score = flow.get_tasks(name="score")[0]
    assert score.reads == {"names", "rows", "squared"}
    assert score.writes == {"line", "name", "row", "score"}


def test_in_a_notebook(book):
    """In a kernel's own shell: each item shows its value; a second run takes what was kept."""
    source = f"""
from IPython.core.interactiveshell import InteractiveShell
import json
shell = InteractiveShell.instance(colors="nocolor")
shell.run_cell("%load_ext jupyter_flows")
count = 4
for cell in {["count = 4", *CELLS]!r}:
    result = shell.run_cell(cell, store_history=True)
    assert result.success
shell.run_cell({CELLS[3]!r}, store_history=True)
"""
    done = subprocess.run([sys.executable, "-c", source], text=True, capture_output=True, check=False)
    assert 0 == done.returncode, done.stderr
    assert TOLD == Path("told.txt").read_text()
    assert 1 == called()
    assert "(from cache, by hand at " in done.stdout
    for shown in ("0", "1", "4", "9"):
        assert f"\n{shown}\n" in f"\n{done.stdout}"


@pytest.mark.parametrize("storage", ["notebook", "pickle"])
def test_by_an_agent(book, server, start_agent, cli, storage):
    assert 0 == cli("register", str(book), "--storage", storage, "--name", "book").returncode
    start_agent()
    for expected in ("Success", "Cached"):
        run = server.api.create_run("book", CreateRun(parameters={"count": 4}))
        for event in server.api.events(run=run.id, after=0):
            state = getattr(getattr(event.body, "run", None), "state", None)
            if state is not None and state.type in {"Success", "Failed", "Cancelled"}:
                assert ("Success", state.message) == (state.type, state.message)
                break
        rows = {row.name: row.state.type for row in server.api.list_task_runs(run.id)}
        assert expected == rows["total"]
        assert TOLD == Path("told.txt").read_text()
    assert 1 == called()


@pytest.mark.parametrize("by", ["engine", "papermill"])
def test_a_failed_item_stops_no_other_and_has_its_retries(tmp_path, monkeypatch, by):
    monkeypatch.chdir(tmp_path)
    book = write_notebook(
        tmp_path / "book.ipynb",
        "%%task load\nrows = [1, 2, 3, 4]\ntried = []",
        "%%task flaky --map row=rows --out-map half --retries 1 --retry-delay 0s\n"
        "tried.append(row)\nif row == 2 and tried.count(2) < 2 or row == 3:\n    raise ValueError(row)\n"
        "half = row / 2\nwith open('done.txt', 'a') as f:\n    f.write(f'{half} ')",
        "%%task after\nprint(half)",
    )
    if by == "engine":
        state = build_flow(read_notebook(book), make=Flow).run()
        found = {task.name: own for task, own in state.result.items()}
        assert "ItemsFailed in cell flaky, line 4; " == found["flaky"].message.split("its")[0]
        assert "TriggerFailed" == type(found["after"]).__name__
        assert "1 of 4 items failed: 3" == str(found["flaky"].result)
    else:
        command = [sys.executable, "-m", "papermill", "--engine", "flows", str(book), "out.ipynb"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ})
        assert 0 != done.returncode
        outputs = json.loads(Path("out.ipynb").read_text())
        text = json.dumps(outputs)
        assert "(item 2: ValueError; trying again)" in text
        assert "1 of 4 items failed: 3" in text
    assert "0.5 1.0 2.0 " == Path("done.txt").read_text()


def test_what_cannot_be_kept_is_run_each_time_and_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUPYTER_FLOWS_HOME", str(tmp_path / "home"))
    book = write_notebook(
        tmp_path / "book.ipynb",
        "%%task gen --cache-for 1h --cache-by inputs\nrows = (i for i in range(3))\nwith open('called.txt', 'a') as f:\n    f.write('x')",
        "%%task use\ntotal = sum(rows)",
    )
    flow = build_flow(read_notebook(book), make=Flow)
    for _ in range(2):
        assert "Success" == states_of(flow.run())["gen"]
    assert 2 == called()
    assert "(--cache-for: f, rows cannot be kept: TypeError)" in capsys.readouterr().err


def test_another_text_or_another_hour_is_no_hit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUPYTER_FLOWS_HOME", str(tmp_path / "home"))
    for number, (text, expected) in enumerate(
        [("x = 1", "Success"), ("x = 1", "Cached"), ("x = 2", "Success"), ("x = 2", "Cached")]
    ):
        book = write_notebook(tmp_path / f"book{number}.ipynb", f"%%task a --cache-for 1h\n{text}")
        assert expected == states_of(build_flow(read_notebook(book), make=Flow).run())["a"]
    kept = next((tmp_path / "home" / "cache" / "cells").iterdir())
    assert 0o600 == kept.stat().st_mode & 0o777
    kept.write_bytes(b"nonsense")
