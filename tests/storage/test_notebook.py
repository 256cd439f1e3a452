"""What of a notebook is pinned: all that runs, nothing that running changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest

from jupyter_flows.errors import InvalidNotebook
from jupyter_flows.notebook.read import read_notebook
from jupyter_flows.storage import Notebook


def notebook(*sources: str, **metadata: Any) -> dict[str, Any]:
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}, **metadata},
        "cells": [
            {
                "cell_type": "code",
                "id": f"c{number}",
                "metadata": {"tags": ["parameters"]} if number == 0 else {},
                "source": source,
                "outputs": [],
                "execution_count": None,
            }
            for number, source in enumerate(sources)
        ],
    }


@pytest.fixture
def put(tmp_path):
    """Pin a notebook's JSON; return the reference."""

    def put(content: dict[str, Any], **options: Any):
        path = tmp_path / "a.ipynb"
        path.write_text(json.dumps(content, **options), encoding="utf-8")
        return Notebook(directory=str(tmp_path / "storage")).put_notebook(path, flow_name="a")

    return put


def test_running_again_changes_nothing(put):
    """Outputs, counts, times, widget state, folding, Python's patch version: the pinned bytes stay."""
    content = notebook("x = 1", "%%task one\ny = x")
    before = put(content)
    content["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["secret"]}]
    content["cells"][1]["execution_count"] = 7
    content["cells"][1]["metadata"] = {"execution": {"iopub.status.busy": "2026-01-01"}, "scrolled": True}
    content["metadata"]["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    content["metadata"]["kernelspec"] = dict(reversed(content["metadata"]["kernelspec"].items()))
    after = put(content, indent=4)
    assert before == after
    assert "secret" not in Path(after.location).read_text()


def test_the_version_of_python_does_not_change_it(put):
    first = put(notebook("x = 1", language_info={"name": "python", "version": "3.11.2"}))
    assert first == put(notebook("x = 1", language_info={"name": "python", "version": "3.11.9"}))


def test_source_as_text_or_as_lines_is_the_same(put):
    content = notebook("x = 1\ny = 2")
    before = put(content)
    content["cells"][0]["source"] = ["x = 1\n", "y = 2"]
    assert before == put(content)


@pytest.mark.parametrize(
    "change",
    [
        lambda nb: nb["cells"][0].update(source="x = 2"),
        lambda nb: nb["cells"][0].update(metadata={}),
        lambda nb: nb["cells"].reverse(),
        lambda nb: nb["cells"].pop(),
        lambda nb: nb["metadata"].update(kernelspec={"name": "other", "display_name": "Other"}),
    ],
    ids=["source", "tags", "order", "fewer cells", "kernel"],
)
def test_what_runs_changes_it(put, change):
    content = notebook("x = 1", "y = x")
    before = put(content)
    change(content)
    assert before.sha256 != put(content).sha256


def test_the_pinned_copy_is_a_valid_notebook_with_the_same_cells(put, tmp_path):
    content = notebook("x = 1", "%%task one\ny = x", language_info={"name": "python", "version": "3.11.2"})
    content["cells"].insert(0, {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "# Ünï"})
    ref = put(content)
    pinned = nbformat.read(ref.location, as_version=4)
    nbformat.validate(pinned)
    assert read_notebook(tmp_path / "a.ipynb").cells == read_notebook(ref.location).cells


@pytest.mark.parametrize("minor", [0, 2, 4])
def test_formats_without_cell_ids_stay_valid(put, minor):
    content = notebook("x = 1")
    content["nbformat_minor"] = minor
    del content["cells"][0]["id"]
    nbformat.validate(nbformat.read(put(content).location, as_version=4))


def test_attachments_of_text_cells_are_left_out(put):
    """An image pasted into text is no code; it can be large, and private."""
    content = notebook("x = 1")
    text = {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "![i](attachment:i.png)"}
    content["cells"].append({**text, "attachments": {"i.png": {"image/png": "aGlkZGVu"}}})
    ref = put(content)
    assert "aGlkZGVu" not in Path(ref.location).read_text()


def test_what_is_no_notebook_is_refused_in_a_sentence(tmp_path):
    store = Notebook(directory=str(tmp_path / "storage"))
    path = tmp_path / "a.ipynb"
    with pytest.raises(InvalidNotebook, match=r"a\.ipynb: there is no such file"):
        store.put_notebook(path, flow_name="a")
    for text in ("print(1)", "[1]", '"x"', '{"nbformat": 4}', '{"nbformat": 4, "cells": [3]}', ""):
        path.write_text(text)
        with pytest.raises(InvalidNotebook, match=r"a\.ipynb"):
            store.put_notebook(path, flow_name="a")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidNotebook, match=r"a\.ipynb"):
        store.put_notebook(path, flow_name="a")


def test_a_notebook_with_a_byte_order_mark_is_read(tmp_path):
    """Editors on Windows write one; reading for the graph takes it, so storing does too."""
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(notebook("x = 1")), encoding="utf-8-sig")
    ref = Notebook(directory=str(tmp_path / "storage")).put_notebook(path, flow_name="a")
    assert "x = 1" in Path(ref.location).read_text()


def test_a_notebook_of_format_3_is_pinned_as_what_it_becomes(tmp_path):
    """What is analysed and what runs are the same cells, also for old files."""
    old = nbformat.v3.new_notebook(
        worksheets=[nbformat.v3.new_worksheet(cells=[nbformat.v3.new_code_cell(input="%%task one\nx = 1")])]
    )
    path = tmp_path / "old.ipynb"
    nbformat.write(nbformat.from_dict(old), path, version=nbformat.NO_CONVERT)
    ref = Notebook(directory=str(tmp_path / "storage")).put_notebook(path, flow_name="old")
    pinned = read_notebook(ref.location)
    assert ["%%task one\nx = 1"] == [cell.source for cell in pinned.cells]
    assert read_notebook(path).cells == pinned.cells
