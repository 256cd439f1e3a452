"""What a kernel remembers of its cells, and the notebook that they make with the saved file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from jupyter_flows.errors import NotebookNotSaved
from jupyter_flows.magics.cells import CellRecorder


def save(path: Path, *cells: tuple[str, str], tags: dict[str, list[str]] | None = None) -> Path:
    """Write a notebook of ``(id, source)``."""
    content = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {},
        "cells": [
            {
                "cell_type": "code",
                "id": own,
                "source": source,
                "metadata": {"tags": (tags or {}).get(own, [])},
                "outputs": [],
                "execution_count": None,
            }
            for own, source in cells
        ],
    }
    path.write_text(json.dumps(content))
    return path


def ran(recorder: CellRecorder, *cells: tuple[str | None, str], error: Exception | None = None) -> None:
    for own, source in cells:
        recorder.begin(source, own)
        recorder.end(error)


def shape(recorder: CellRecorder) -> list[tuple[str, str]]:
    return [(cell.id, cell.source) for cell in recorder.notebook().cells]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "book.ipynb"


def long_ago(path: Path) -> Path:
    os.utime(path, (1_000_000_000, 1_000_000_000))
    return path


def in_future(path: Path) -> Path:
    os.utime(path, (4_000_000_000, 4_000_000_000))
    return path


# -- without a file ---------------------------------------------------------------------------------------


def test_cells_stand_in_the_order_of_running():
    recorder = CellRecorder()
    ran(recorder, ("a", "x = 1"), ("b", "y = x"))
    assert [("a", "x = 1"), ("b", "y = x")] == shape(recorder)


def test_a_cell_run_again_replaces_what_was_known():
    """Edited or not: never a second one."""
    recorder = CellRecorder()
    ran(recorder, ("a", "%%task one\nx = 1"), ("b", "y = x"), ("a", "%%task two\nx = 2"))
    assert [("a", "%%task two\nx = 2"), ("b", "y = x")] == shape(recorder)


def test_cells_without_ids_are_known_by_their_source():
    recorder = CellRecorder()
    ran(recorder, (None, "x = 1"), (None, "y = x"), (None, "x = 1"))
    assert ["x = 1", "y = x"] == [source for _, source in shape(recorder)]


def test_states_follow_the_cell():
    recorder = CellRecorder()
    seen: list[str] = []
    recorder.watchers.append(lambda cell: seen.append(cell.state))
    ran(recorder, ("a", "x = 1"))
    ran(recorder, ("a", "1 / 0"), error=ZeroDivisionError())
    assert ["Running", "Success", "Running", "Failed"] == seen
    assert "ZeroDivisionError" == recorder.cells["a"].error


def test_code_that_a_cell_runs_itself_does_not_end_it():
    """``get_ipython().run_cell(...)`` within a cell sends events too."""
    recorder = CellRecorder()
    outer, inner = object(), object()
    recorder.begin("get_ipython().run_cell('x = 1')", "a", execution=outer)
    recorder.end(None, execution=inner)
    assert "Running" == recorder.cells["a"].state
    recorder.end(None, execution=outer)
    assert "Success" == recorder.cells["a"].state


def test_a_watcher_that_fails_does_not_stop_the_cell():
    recorder = CellRecorder()
    recorder.watchers.append(lambda cell: 1 / 0)
    ran(recorder, ("a", "x = 1"))
    assert "Success" == recorder.cells["a"].state


# -- with the saved file ----------------------------------------------------------------------------------


def test_order_is_that_of_the_file(path):
    """Run from the bottom up, the flow is that of the notebook all the same."""
    recorder = CellRecorder(save(path, ("a", "x = 1"), ("b", "y = x"), ("c", "z = y")))
    ran(recorder, ("c", "z = y"), ("a", "x = 1"))
    assert ["a", "b", "c"] == [own for own, _ in shape(recorder)]


def test_a_cell_that_ran_after_saving_is_as_it_ran(path):
    long_ago(save(path, ("a", "x = 1"), ("b", "y = x")))
    recorder = CellRecorder(path)
    ran(recorder, ("a", "x = 2"))
    assert [("a", "x = 2"), ("b", "y = x")] == shape(recorder)


def test_a_cell_changed_and_saved_after_it_ran_is_as_saved(path):
    """It has not run as it is now, so it has no state either."""
    recorder = CellRecorder(long_ago(save(path, ("a", "x = 1"))))
    ran(recorder, ("a", "x = 1"))
    in_future(save(path, ("a", "x = 3")))
    assert [("a", "x = 3")] == shape(recorder)
    assert "Pending" == recorder.cells["a"].state


def test_a_new_cell_stands_behind_the_one_that_ran_before_it(path):
    recorder = CellRecorder(long_ago(save(path, ("a", "x = 1"), ("b", "y = x"))))
    ran(recorder, ("a", "x = 1"), ("new", "w = x"))
    assert ["a", "new", "b"] == [own for own, _ in shape(recorder)]


def test_a_deleted_cell_vanishes_when_the_notebook_is_saved(path):
    recorder = CellRecorder(save(path, ("a", "x = 1"), ("b", "y = x")))
    ran(recorder, ("a", "x = 1"), ("b", "y = x"))
    assert ["a", "b"] == [own for own, _ in shape(recorder)]
    in_future(save(path, ("a", "x = 1")))
    assert ["a"] == [own for own, _ in shape(recorder)]


def test_tags_come_from_the_file(path):
    recorder = CellRecorder(save(path, ("a", "x = 1"), tags={"a": ["parameters"]}))
    ran(recorder, ("a", "x = 1"))
    assert ("parameters",) == recorder.notebook().cells[0].tags


def test_a_file_that_cannot_be_read_is_as_none(path):
    path.write_text("{")
    recorder = CellRecorder(path)
    ran(recorder, ("a", "x = 1"))
    assert [("a", "x = 1")] == shape(recorder)


def test_the_file_is_read_again_only_when_it_changed(path):
    recorder = CellRecorder(save(path, ("a", "x = 1")))
    assert recorder.on_disk() is recorder.on_disk()
    before = recorder.on_disk()
    in_future(save(path, ("a", "x = 2")))
    assert before != recorder.on_disk()


def test_the_server_that_started_the_kernel_says_where_the_file_is(path, monkeypatch):
    save(path, ("a", "x = 1"))
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    assert path == CellRecorder().path
    monkeypatch.setenv("JPY_SESSION_NAME", "untitled console 7")
    assert CellRecorder().path is None


def without_ids(path: Path) -> Path:
    """As format 4.4 keeps it."""
    content = json.loads(path.read_text())
    content["nbformat_minor"] = 4
    for cell in content["cells"]:
        del cell["id"]
    path.write_text(json.dumps(content))
    return path


def test_a_file_without_ids_takes_those_under_which_cells_ran(path):
    """Formats before 4.5 keep none; the front end's are what it finds cells by."""
    recorder = CellRecorder(long_ago(without_ids(save(path, ("-", "x = 1"), ("-", "y = x"), ("-", "x = 1")))))
    ran(recorder, ("lab-2", "y = x"), ("lab-1", "x = 1"))
    first, second, third = shape(recorder)
    assert (("lab-1", "x = 1"), ("lab-2", "y = x")) == (first, second)
    assert third[1] == "x = 1"
    recorder.check_saved(path)
    ran(recorder, ("lab-2", "y = 5"))
    assert refusal(recorder, path).startswith("a new cell is not in the saved book.ipynb")
    in_future(without_ids(save(path, ("-", "x = 1"), ("-", "y = 5"), ("-", "x = 1"))))
    recorder.check_saved(path)
    assert ["lab-1", "lab-2"] == [own for own, _ in shape(recorder)][:2]


# -- is it saved? -------------------------------------------------------------------------------------------


def refusal(recorder: CellRecorder, path: Path) -> str:
    with pytest.raises(NotebookNotSaved) as raised:
        recorder.check_saved(path)
    return str(raised.value)


def test_cells_that_ran_and_were_not_saved_are_named(path):
    long_ago(save(path, ("a", "x = 1"), ("b", "y = x"), ("c", "z = y")))
    recorder = CellRecorder(path)
    ran(recorder, ("a", "x = 2"), ("b", "y = x"), ("c", "z = 5"))
    assert (
        "cells 1 and 3 differ from the saved book.ipynb; save the notebook (Ctrl+S) and register again"
    ) == refusal(recorder, path)


def test_one_cell_differs_in_the_singular(path):
    recorder = CellRecorder(long_ago(save(path, ("a", "x = 1"))))
    ran(recorder, ("a", "x = 2"))
    assert refusal(recorder, path).startswith("cell 1 differs from the saved book.ipynb")


def test_a_new_cell_that_was_never_saved_is_told(path):
    recorder = CellRecorder(long_ago(save(path, ("a", "x = 1"))))
    ran(recorder, ("a", "x = 1"), ("new", "%%task\ny = 2"))
    assert refusal(recorder, path).startswith("a new cell is not in the saved book.ipynb; save the notebook")
    ran(recorder, ("a", "x = 2"), ("newer", "z = 1"))
    assert refusal(recorder, path).startswith(
        "cell 1 differs from the saved book.ipynb, and 2 new cells are not in it"
    )


def test_a_saved_notebook_passes(path):
    recorder = CellRecorder(save(path, ("a", "x = 1")))
    ran(recorder, ("a", "x = 1"))
    recorder.check_saved(path)


def test_edited_and_saved_without_running_passes(path):
    """What is on disk is what its author wants, although this kernel ran something else before."""
    recorder = CellRecorder(long_ago(save(path, ("a", "x = 1"))))
    ran(recorder, ("a", "x = 1"))
    in_future(save(path, ("a", "x = 2")))
    recorder.check_saved(path)


def test_cells_that_only_speak_to_flows_do_not_count(path):
    """A ``%flow register`` in a scratch cell need not be saved."""
    recorder = CellRecorder(long_ago(save(path, ("a", "x = 1"))))
    ran(recorder, ("a", "x = 1"), ("scratch", "%flow register"))
    recorder.check_saved(path)


def test_a_flow_line_that_declares_something_must_be_saved_too(path):
    recorder = CellRecorder(long_ago(save(path, ("a", "x = 1"), ("f", "%flow etl"))))
    ran(recorder, ("a", "x = 1"), ("f", '%flow etl --schedule "every 10 minutes"'))
    assert refusal(recorder, path).startswith("cell 2 differs from the saved book.ipynb")


def test_flow_lines_that_only_act_need_not_be_saved(path):
    recorder = CellRecorder(long_ago(save(path, ("a", "x = 1"))))
    ran(recorder, ("a", "x = 1"), ("r", "%flow register --label gpu"), ("s", "%flow"))
    recorder.check_saved(path)


def test_cells_stand_under_the_headings_of_the_file(path):
    """So that ``%flow`` groups them as a run will; a new cell stands where the one above it does."""
    save(path, ("a", "x = 1"), ("h", "# Data"), ("b", "y = x"))
    content = json.loads(path.read_text())
    content["cells"][1]["cell_type"] = "markdown"
    path.write_text(json.dumps(content))
    recorder = CellRecorder(path)
    ran(recorder, ("b", "y = x"), ("new", "z = y"))
    assert [("a", "", 0), ("b", "Data", 1), ("new", "Data", 1)] == [
        (cell.id, cell.heading, cell.section) for cell in recorder.notebook().cells
    ]
