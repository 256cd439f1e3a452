"""A notebook without an edit as a flow: what is printed, and what is in the JSON."""

from __future__ import annotations

import json

import pytest

from jupyter_flows.cli import run_command
from tests.registering.conftest import notebook

CELLS = (
    "import math",
    "numbers = [n * math.pi for n in range(3)]",
    "total = sum(numbers)",
    "most = max(numbers)",
    "exec(open('more.py').read())",
    "print(total, most)",
)


@pytest.fixture
def typed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = run_command(["infer", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def headed(path, *cells: str) -> None:
    """Write a notebook in which texts that begin with ``#`` are headings."""
    content = json.loads(notebook(path, *cells).read_text())
    for cell in content["cells"]:
        if cell["source"].startswith("#"):
            cell["cell_type"] = "markdown"
    path.write_text(json.dumps(content))


def test_tasks_width_chain_barriers_and_the_way_on_are_told(typed, tmp_path):
    before = notebook(tmp_path / "a.ipynb", *CELLS).read_bytes()
    code, out, err = typed("a.ipynb")
    assert (0, "") == (code, err)
    lines = out.splitlines()
    assert "3  total    needs numbers" == lines[2]
    assert "5 tasks, " in out
    assert "At once: up to 2 (total, most)." in lines
    assert "Critical path: 4 tasks: numbers → total → cell-5 → cell-6." in lines
    assert any(
        line.startswith("Barrier: cell-5 (cell 5) ") and "waits for all above" in line for line in lines
    )
    assert lines[-1] == (
        "To keep it: jupyter flows register a.ipynb --all-cells. To prove it: jupyter flows check a.ipynb."
    )
    assert before == (tmp_path / "a.ipynb").read_bytes()


def test_by_heading_in_json(typed, tmp_path):
    headed(
        tmp_path / "a.ipynb",
        "# Load",
        "x = len('ab')",
        "y = x + 1",
        "# Show",
        "print(y)",
        "# Alone",
        "z = len('')",
    )
    code, out, _ = typed("a.ipynb", "--by-heading", "--json")
    found = json.loads(out)
    assert 0 == code
    assert [("load", [1, 2]), ("show", [3]), ("alone", [4])] == [
        (t["name"], t["cells"]) for t in found["tasks"]
    ]
    assert [(1, 2, ["y"])] == [(edge["source"], edge["target"], edge["names"]) for edge in found["edges"]]
    assert ([[1, 3], [2]], [1, 2], [1, 3]) == (found["levels"], found["critical_path"], found["widest"])


def test_where_every_task_is_declared_no_option_is_needed(typed, tmp_path):
    notebook(tmp_path / "a.ipynb", "%%task a\nx = len('')", "%%task b\ny = x", "%flow a")
    assert "register a.ipynb. To prove" in typed("a.ipynb")[1]


def test_what_is_no_flow_is_one_sentence(typed, tmp_path):
    assert (2, "", "Error: gone.ipynb: there is no such file\n") == typed("gone.ipynb")
    notebook(tmp_path / "a.ipynb", "import os", "k = 3")
    assert "there is no flow in it" in typed("a.ipynb")[1]


def test_order_counts_where_tasks_share_memory(typed, tmp_path):
    """Cell 3 changes what cell 2 reads: they run at once as processes only."""
    notebook(tmp_path / "a.ipynb", "x = [1]", "total = sum(x)", "x.append(2)", "y = x[0]")
    lines = typed("a.ipynb")[1].splitlines()
    assert "At once: up to 2 (total, cell-3)." in lines
    assert (
        "Where tasks share memory (--parallel threads), at once: one; critical path: 3 tasks: "
        "total → cell-3 → y." in lines
    )
    found = json.loads(typed("a.ipynb", "--json")[1])
    assert [[2], [3], [4]] == found["shared_levels"]
    assert [(2, 3, "order")] == [(edge["source"], edge["target"], edge["kind"]) for edge in found["order"]]


def test_names_are_those_of_the_graph(typed, tmp_path, capsys):
    """One cell has one name, whichever command speaks of it."""
    notebook(tmp_path / "a.ipynb", *CELLS)
    inferred = [task["name"] for task in json.loads(typed("a.ipynb", "--json")[1])["tasks"]]
    run_command(["graph", str(tmp_path / "a.ipynb"), "--all-cells", "--json"])
    assert inferred == [cell["name"] for cell in json.loads(capsys.readouterr().out)[0]["cells"]]


def test_the_way_on_can_be_typed_as_it_stands(typed, tmp_path):
    """The path is the one that was given; of a script, cells are run but not registered."""
    (tmp_path / "my dir").mkdir()
    notebook(tmp_path / "my dir" / "a $x.ipynb", *CELLS)
    assert "jupyter flows register 'my dir/a $x.ipynb' --all-cells. " in typed("my dir/a $x.ipynb")[1]
    (tmp_path / "s.py").write_text("print(1)\n")
    said = typed("s.py")[1].splitlines()
    assert "At once: one." in said
    assert (
        "To run it: jupyter flows execute s.py --all-cells. To prove it: jupyter flows check s.py."
        == said[-1]
    )
