"""The command that says why one task waits for another."""

from __future__ import annotations

import json

import pytest

from jupyter_flows.cli import run_command


@pytest.fixture
def script(tmp_path):
    place = tmp_path / "s.py"
    place.write_text("# %%\nx = [1]\n# %%\nx.append(2)\n# %%\nprint(x)\n")
    return str(place)


def test_the_reason_is_printed(script, capsys):
    assert run_command(["why", script, "2", "3", "--all-cells"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("  data: cell 3 reads `x`, changed in cell 2")


def test_an_edge_of_order_is_told(tmp_path, capsys):
    """Cell 4 needs nothing of cell 2, but what stands between them must not overtake it."""
    place = tmp_path / "o.py"
    place.write_text("# %%\nx = [1]\n# %%\ntotal = sum(x)\n# %%\nx.append(2)\n# %%\ny = x[0]\n")
    assert run_command(["why", str(place), "2", "3", "--all-cells"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "cell-3 must not overtake total"
    assert second.startswith("  order: cell 3 changes `x`, which cell 2 reads as it was")
    assert run_command(["why", str(place), "2", "4", "--all-cells"]) == 0
    assert capsys.readouterr().out.startswith("y must not overtake total, for what stands between them: ")


def test_json_has_the_same_sentences(script, capsys):
    assert run_command(["why", script, "1", "3", "--all-cells", "--json"]) == 0
    assert "needs" in json.loads(capsys.readouterr().out)["sentences"][0]


def test_an_unknown_task_is_one_sentence(script, capsys):
    assert run_command(["why", script, "1", "no"]) == 2
    assert capsys.readouterr().err.startswith("Error: no cell is called 'no'; ")
