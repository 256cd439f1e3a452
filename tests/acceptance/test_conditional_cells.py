"""``--when``: the cell runs if an expression is true, in the notebook, in the engine and headless alike."""

from __future__ import annotations

import pytest

from jupyter_flows import Flow
from jupyter_flows.notebook.build import build_flow
from jupyter_flows.notebook.read import read_notebook
from jupyter_flows.schema.runs import CreateRun

from .conftest import write_notebook

CELLS = (
    "%%task load\nrows = list(range(count))\nlabel = 'all'",
    "%%task trim --when 'len(rows) > 3'\nrows = rows[:3]\nlabel = 'some'",
    "%%task alarm --when 'len(rows) == 0'\nalarmed = True",
    "%%task mail --after alarm\nmailed = alarmed",
    "%%task tell\nwith open('told.txt', 'w') as stream:\n    stream.write(f'{label} {rows}')",
)
STATES = {
    5: {"trim": "Success", "alarm": "Skipped", "mail": "Skipped", "tell": "Success"},
    2: {"trim": "Skipped", "alarm": "Skipped", "mail": "Skipped", "tell": "Success"},
    0: {"trim": "Skipped", "alarm": "Success", "mail": "Success", "tell": "Success"},
}
TOLD = {5: "some [0, 1, 2]", 2: "all [0, 1]", 0: "all []"}


@pytest.fixture
def book(tmp_path):
    return write_notebook(tmp_path / "book.ipynb", *CELLS, parameters="count = 2")


@pytest.mark.parametrize("count", STATES)
def test_by_the_engine(book, tmp_path, monkeypatch, count):
    """A cell that skips hands its skip on, but not to one that has what it needs from cells above."""
    monkeypatch.chdir(tmp_path)
    flow = build_flow(read_notebook(book), make=Flow)
    state = flow.run(count=count)
    found = {task.name: type(own).__name__ for task, own in state.result.items()}
    assert {**STATES[count], "load": "Success"} == {name: found[name] for name in [*STATES[count], "load"]}
    assert TOLD[count] == (tmp_path / "told.txt").read_text()


@pytest.mark.parametrize("storage", ["notebook", "pickle"])
def test_by_an_agent(book, tmp_path, server, start_agent, cli, storage):
    assert 0 == cli("register", str(book), "--storage", storage, "--name", "book").returncode
    start_agent()
    for count, states in STATES.items():
        run = server.api.create_run("book", CreateRun(parameters={"count": count}))
        for event in server.api.events(run=run.id, after=0):
            state = getattr(getattr(event.body, "run", None), "state", None)
            if state is not None and state.type in {"Success", "Failed", "Cancelled"}:
                assert ("Success", state.message) == (state.type, state.message)
                break
        rows = server.api.list_task_runs(run.id)
        found = {row.name: row.state.type for row in rows if row.name in states}
        assert states == found
        assert TOLD[count] == (tmp_path / "told.txt").read_text()


def test_a_condition_that_raises_fails_its_cell(tmp_path):
    book = write_notebook(tmp_path / "book.ipynb", "%%task a --when 'nothing > 0'\nx = 1", "%%task b\ny = 2")
    state = build_flow(read_notebook(book), make=Flow).run()
    found = {task.name: own for task, own in state.result.items()}
    assert found["a"].is_failed()
    assert found["a"].message.startswith("NameError in the condition (--when) of cell a; ")
    assert found["b"].is_successful()
