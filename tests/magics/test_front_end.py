"""From the path that a front end gives to the notebook's file."""

from __future__ import annotations

import pytest

from jupyter_flows.errors import NotebookNotSaved
from jupyter_flows.magics.front_end import find_notebook


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A server's root with a notebook in a folder, in which the kernel works."""
    folder = tmp_path / "root" / "project"
    folder.mkdir(parents=True)
    (folder / "a.ipynb").write_text("{}")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    return folder


def test_path_below_the_servers_root(project):
    assert project / "a.ipynb" == find_notebook("project/a.ipynb")


def test_drive_prefix_is_dropped(project):
    assert project / "a.ipynb" == find_notebook("RTC:project/a.ipynb")


def test_absolute_path(project, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert project / "a.ipynb" == find_notebook(str(project / "a.ipynb"))


def test_cells_may_have_changed_the_directory(project, monkeypatch, tmp_path):
    """The kernel's session knows better than the working directory, where a file of that name may lie too."""
    (tmp_path / "a.ipynb").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JPY_SESSION_NAME", str(project / "a.ipynb"))
    assert project / "a.ipynb" == find_notebook("project/a.ipynb")


def test_renamed_since_the_kernel_started(project, monkeypatch, tmp_path):
    (project / "a.ipynb").rename(project / "b.ipynb")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JPY_SESSION_NAME", str(project / "a.ipynb"))
    assert project / "b.ipynb" == find_notebook("project/b.ipynb")


def test_never_saved(project):
    with pytest.raises(NotebookNotSaved, match=r"'project/c\.ipynb' is not on disk; save it"):
        find_notebook("project/c.ipynb")
