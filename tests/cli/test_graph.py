"""The command that reads a graph from outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jupyter_flows.cli import run_command


@pytest.fixture
def script(tmp_path):
    place = tmp_path / "s.py"
    place.write_text("# %%\nx = [1]\n# %%\nx.append(2)\n# %%\nprint(x)\n")
    return str(place)


def test_json_is_a_list_with_one_object_a_path(script, capsys):
    assert run_command(["graph", script, script, "--json", "--all-cells"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [[(e["from"], e["to"]) for e in one["edges"]] for one in printed] == [[(1, 2), (2, 3)]] * 2


def test_a_path_that_cannot_be_read_is_one_sentence_and_the_others_are_printed(script, tmp_path, capsys):
    assert run_command(["graph", str(tmp_path / "no.ipynb"), script, "--json"]) == 2
    streams = capsys.readouterr()
    assert len(json.loads(streams.out)) == 1
    assert streams.err == f"Error: {tmp_path / 'no.ipynb'}: there is no such file\n"


def test_pictures_are_written(script, tmp_path, capsys):
    dot, svg = tmp_path / "g.dot", tmp_path / "g.svg"
    assert run_command(["graph", script, "--dot", str(dot), "--svg", str(svg)]) == 0
    assert "1 -> 2" in dot.read_text()
    assert svg.read_text().startswith("<svg")
    assert "3 cells, 2 edges" in capsys.readouterr().out


def test_several_paths_give_several_pictures(script, tmp_path, capsys):
    assert run_command(["graph", script, script, "--svg", str(tmp_path / "g.svg")]) == 0
    assert sorted(place.name for place in tmp_path.glob("*.svg")) == ["g-1.svg", "g-2.svg"]
    assert run_command(["graph", script, "--svg", str(tmp_path / "no" / "g.svg")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_picture_takes_no_notebooks_or_scripts_name(script, tmp_path, capsys):
    """A slip of the hand must not cost the notebook."""
    before = Path(script).read_text()
    assert run_command(["graph", script, "--svg", script]) == 2
    assert "the picture needs another" in capsys.readouterr().err
    assert before == Path(script).read_text()
