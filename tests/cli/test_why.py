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


def test_json_has_the_same_sentences(script, capsys):
    assert run_command(["why", script, "1", "3", "--all-cells", "--json"]) == 0
    assert "needs" in json.loads(capsys.readouterr().out)["sentences"][0]


def test_an_unknown_task_is_one_sentence(script, capsys):
    assert run_command(["why", script, "1", "no"]) == 2
    assert capsys.readouterr().err.startswith("Error: no cell is called 'no'; ")
