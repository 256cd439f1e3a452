"""The place where cells run: the notebook's files are there, and what is written there stays there."""

from __future__ import annotations

from jupyter_flows.check import check_notebook, workspace
from jupyter_flows.check.workspace import make_workspace
from tests.registering.conftest import notebook


def test_small_files_are_copied_large_ones_and_what_lies_above_are_linked(tmp_path, monkeypatch):
    monkeypatch.setattr(workspace, "COPIED_BYTES", 10)
    source = tmp_path / "project" / "notebooks"
    (source / "data").mkdir(parents=True)
    (source / "data" / "small").write_text("123")
    (source / "large").write_text("x" * 100)
    (source / "__pycache__").mkdir()
    (tmp_path / "project" / "shared.txt").write_text("above")
    top = tmp_path / "top"
    top.mkdir()
    made = make_workspace(source, top)
    assert ["data", "large"] == sorted(path.name for path in made.iterdir())
    assert (False, True) == ((made / "data" / "small").is_symlink(), (made / "large").is_symlink())
    assert "above" == (made / ".." / "shared.txt").read_text()


def test_a_copy_does_not_hold_itself(tmp_path):
    """A notebook may lie in the very directory that is for temporary files."""
    top = tmp_path / "top"
    top.mkdir()
    (tmp_path / "a").write_text("1")
    assert ["a"] == [path.name for path in make_workspace(tmp_path, top).iterdir()]


def test_a_linked_file_that_a_cell_changes_becomes_a_copy(tmp_path, monkeypatch):
    monkeypatch.setattr(workspace, "COPIED_BYTES", 0)
    (tmp_path / "log.txt").write_text("old ")
    (tmp_path / "state.txt").write_text("before")
    place = notebook(
        tmp_path / "a.ipynb",
        "%%task add\nwith open('log.txt', 'a') as log:\n    log.write('new')",
        "%%task read --after add\ntext = open('log.txt').read()\nopen('state.txt', 'w').write(text)\nprint(text)",
    )
    report = check_notebook(place)
    assert report.holds, report.text
    assert ("old ", "before") == ((tmp_path / "log.txt").read_text(), (tmp_path / "state.txt").read_text())


def test_a_file_among_temporary_files_is_taken_away_between_sequences(tmp_path):
    """So that a file of an earlier sequence cannot stand in for one that was not written."""
    (tmp_path / "book").mkdir()
    hidden = tmp_path / "hidden.txt"
    place = notebook(
        tmp_path / "book" / "a.ipynb",
        f"%%task make\nimport cProfile\ncProfile.Profile().dump_stats({str(hidden)!r})",
        f"%%task read\nimport os as system\nfound = system.path.exists({str(hidden)!r})",
    )
    report = check_notebook(place)
    assert [("make", "read")] == [(item.source.name, item.cell.name) for item in report.differences]
    assert not hidden.exists()
