"""A file's graph as JSON."""

from __future__ import annotations

import json

import pytest

from jupyter_flows.errors import InvalidNotebook
from jupyter_flows.notebook.build import build_flow
from jupyter_flows.notebook.dot import to_dot
from jupyter_flows.notebook.infer import infer
from jupyter_flows.notebook.outline import outline
from jupyter_flows.notebook.read import read_notebook


@pytest.fixture
def path(tmp_path):
    place = tmp_path / "n.ipynb"
    sources = [
        "import math",
        "%%task load\ndf = {'a': 1}",
        "%%task grow\ndf['b'] = math.pi",
        "print(df)",
        "%%skip\ndf = None",
    ]
    cells = [{"cell_type": "code", "id": f"c{i}", "source": s, "metadata": {}} for i, s in enumerate(sources)]
    place.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return place


def test_cells_and_edges_with_their_reasons(path):
    found = outline(path)
    assert found["path"] == str(path)
    assert found["cells"][2] == {
        "index": 3, "id": "c2", "name": "grow", "role": "task", "reads": ["df", "math"], "writes": ["df"], "warnings": [],
    }  # fmt: skip
    assert [cell["role"] for cell in found["cells"]] == ["setup", "task", "task", "plain", "skip"]
    assert {
        "from": 3, "to": 4, "names": ["df"], "kind": "data",
        "reason": "cell 4 reads `df`, changed in cell 3, line 2: item assignment",
    } in found["edges"]  # fmt: skip


def test_all_cells_makes_every_cell_a_task(path):
    found = outline(path, all_cells=True)
    assert {cell["role"] for cell in found["cells"]} == {"task"}
    assert (4, 5, "order") in {(edge["from"], edge["to"], edge["kind"]) for edge in found["edges"]}


def test_reasons_hold_no_source(tmp_path):
    place = tmp_path / "n.py"
    place.write_text("# %%\nkey = 'CANARY_1'\n# %%\nprint(key, 'CANARY_2')  # CANARY_3\n")
    assert "CANARY" not in json.dumps(outline(place))


def test_dot_text_survives_any_name(tmp_path):
    place = tmp_path / 'we"ird\\.py'
    place.write_text("# %%task <b>&\nx = 1\n# %%\nprint(x)\n")
    text = to_dot(outline(place))
    assert text.startswith("digraph")
    assert "1 -> 2" in text


def test_dot_shows_what_was_denied_without_a_head_and_barriers_with_two_borders(tmp_path):
    place = tmp_path / "n.py"
    place.write_text("# %%task load\nx = 1\n# %%task use --not-after load\ny = x\n# %%\nexec(input())\n")
    text = to_dot(outline(place), barriers={3})
    assert "arrowhead=none" in next(line for line in text.splitlines() if "1 -> 2" in line)
    assert "peripheries=2" in next(line for line in text.splitlines() if line.strip().startswith("3 ["))


def test_a_notebook_of_another_language_has_no_edges_and_says_why(tmp_path):
    """Read as Python, ``x <- 1`` would be a comparison."""
    place = tmp_path / "r.ipynb"
    cell = {"cell_type": "code", "metadata": {}, "source": "x <- 1", "outputs": [], "execution_count": None}
    spec = {"language_info": {"name": "R"}, "kernelspec": {"name": "ir", "display_name": "R"}}
    place.write_text(
        json.dumps({"cells": [cell, cell], "metadata": spec, "nbformat": 4, "nbformat_minor": 4})
    )
    found = outline(place)
    assert ([], []) == (found["edges"], found["cells"][0]["reads"])
    expected = "is written in R: only Python is read, so its edges are not known"
    assert [[expected], [expected]] == [item["warnings"] for item in found["cells"]]
    for read in (build_flow, infer):
        with pytest.raises(InvalidNotebook, match="r.ipynb: its language is R; flows are written in Python"):
            read(read_notebook(place))
