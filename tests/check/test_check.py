"""Notebooks whose graph is right, and notebooks whose cells hide what they need; run for real."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jupyter_flows.check import check_notebook
from jupyter_flows.check.findings import Findings
from jupyter_flows.check.plan import view_of
from jupyter_flows.check.report import CellRef, NotCompared, Report, Unstable, unstable_sentence
from jupyter_flows.errors import InvalidNotebook, InvalidOption, KernelNotFound
from tests.analysis.cases import graph
from tests.registering.conftest import notebook

RIGHT = (
    "import random\ndef double(x):\n    return 2 * x",
    "%%task numbers\nrandom.seed(3)\nnumbers = [random.random() for i in range(5)]",
    "%%task total\ntotal = double(sum(numbers))\nprint(total)",
    "%%task most\nmost = max(numbers)\nfor i in range(3):\n    pass",
    "%%task report\nreport = [total, most]\nreport",
)


def pairs(report) -> list[tuple[int | None, int]]:
    """(cell that is needed, cell that differs)."""
    return [(item.source.index if item.source else None, item.cell.index) for item in report.differences]


def test_a_right_graph_holds_and_nothing_is_left_behind(tmp_path):
    """Scratch names, seeds, functions and shown values are no differences."""
    place = notebook(tmp_path / "right.ipynb", *RIGHT)
    before = place.read_bytes()
    report = check_notebook(place)
    assert report.lines == (report.summary,)
    assert report.holds
    assert (report.cells, report.left_out) == (5, 3)
    assert (before, ["right.ipynb"]) == (place.read_bytes(), [path.name for path in tmp_path.iterdir()])


# A file made past everything that source analysis knows to write files.
HIDDEN_FILE = (
    "import cProfile, os",
    "%%task make\ncProfile.Profile().dump_stats('made.flag')",
    "%%task unrelated\nother = 1",
    "%%task read\nimport os as system\nfound = system.path.exists('made.flag')",
    "%%task show\nprint(found + other)",
)


def test_what_a_hidden_file_carries_is_found(tmp_path):
    """The cell that reads differs without the one that writes; what only follows is not blamed."""
    report = check_notebook(notebook(tmp_path / "files.ipynb", *HIDDEN_FILE))
    (found,) = report.differences
    assert found.sentence == (
        "cell 4 (read) gives another `found` when cell 2 (make) is not run before it, and the graph has no "
        "edge between them; add --after make"
    )
    assert ["files.ipynb"] == [path.name for path in tmp_path.iterdir()]


# The interpreter's switch interval: state that no table of the analysis knows.
THROUGH_A_MODULE = (
    "from sys import getswitchinterval, setswitchinterval",
    "%%task put\nsetswitchinterval(0.0125)\ndone = True",
    "%%task other\nother = 3",
    "%%task get\ngot = str(getswitchinterval())\nprint(got)",
    "%%task after\nlast = got * other",
)


@pytest.mark.parametrize("budget_s", [60.0, 0.0], ids=["cells left out", "by the graph alone"])
def test_a_missing_edge_is_named_with_both_cells_and_the_way_out(tmp_path, budget_s):
    place = notebook(tmp_path / "hidden.ipynb", *THROUGH_A_MODULE)
    report = check_notebook(place, budget_s=budget_s)
    assert not report.holds
    assert pairs(report) == [(2, 4)]
    assert report.differences[0].sentence == (
        "cell 4 (get) gives another `got` and its output when cell 2 (put) is not run before it, and the graph "
        "has no edge between them; add --after put"
    )


def test_the_advice_helps(tmp_path):
    cells = [cell.replace("%%task get", "%%task get --after put") for cell in THROUGH_A_MODULE]
    report = check_notebook(notebook(tmp_path / "mended.ipynb", *cells))
    assert (report.holds, report.differences) == (True, ())


def test_a_cell_that_raises_without_a_hidden_one_is_named(tmp_path):
    place = notebook(
        tmp_path / "raises.ipynb",
        "%%task put\n__import__('linecache').cache['k'] = 5",
        "%%task get\ngot = __import__('linecache').cache['k']",
    )
    (found,) = check_notebook(place).differences
    assert (found.raised, found.source.index) == ("KeyError", 1)
    assert found.sentence.startswith("cell 2 (get) raises KeyError when cell 1 (put) is not run before it")


def test_what_differs_by_itself_is_named_and_left_aside(tmp_path):
    """Time, and random numbers without a seed; cells that follow are told as such; the rest is judged."""
    place = notebook(
        tmp_path / "chance.ipynb",
        "import random, time, uuid",
        "%%task now\nnow = time.time()",
        "%%task dice\ndice = random.random()\nsides = 6",
        "%%task key\nprint(uuid.uuid4())",
        "%%task follows\nlater = now + 1",
        "%%task steady\nsteady = sides + 1",
    )
    report = check_notebook(place)
    assert report.holds
    assert [item.cell.name for item in report.unstable] == ["now", "dice", "key", "follows"]
    assert [item.names for item in report.unstable] == [("now",), ("dice",), (), ("later",)]
    assert report.unstable[3].because_of == (2,)
    assert "Cell 3 (dice) is not deterministic: `dice` differs between two runs" in report.text
    assert "Cell 5 (follows) follows cell 2: `later` differs with it" in report.text


def test_a_failing_cell_is_named_and_what_needs_it_is_not_judged(tmp_path):
    place = notebook(
        tmp_path / "fails.ipynb",
        "%%task broken\nbad = 1 / 0",
        "%%task needs\nworse = bad + 1",
        "%%task free\nfine = 2",
    )
    report = check_notebook(place)
    assert [(item.cell.name, item.raised) for item in report.failed] == [
        ("broken", "ZeroDivisionError"),
        ("needs", "NameError"),
    ]
    assert (report.holds, report.differences) == (False, ())
    assert "2 failed cells" in report.summary


def test_a_cell_that_ends_its_process_is_a_failed_cell(tmp_path):
    place = notebook(
        tmp_path / "dies.ipynb", "%%task a\na = 1", "%%task dies\nimport os\nos._exit(3)", "%%task c\nc = a"
    )
    report = check_notebook(place)
    assert [item.cell.name for item in report.failed] == ["dies", "c"]
    assert report.failed[0].raised == "its process ended with code 3"


def test_a_cell_that_never_ends_is_a_failed_cell(tmp_path):
    """It is waited for as long as one cell may take; what stands above it is judged all the same."""
    place = notebook(
        tmp_path / "endless.ipynb",
        "%%task a\na = 1",
        "%%task b\nb = a + 1",
        "%%task stuck\nimport time\nwhile True:\n    time.sleep(0.01)",
        "%%task c\nc = a",
    )
    report = check_notebook(place, cell_limit_s=1.5)
    assert [(item.cell.name, item.raised) for item in report.failed] == [
        ("stuck", "its process was ended after 1.5 s, the limit for one cell (--cell-timeout)"),
        ("c", "was not run, since a cell above ended the process"),
    ]
    assert (report.unstable, report.differences) == ((), ())


def test_a_cell_that_asks_for_input_says_so(tmp_path):
    report = check_notebook(notebook(tmp_path / "asks.ipynb", "%%task ask\nname = input('who?')"))
    assert report.lines[0] == (
        "Cell 1 (ask) fails from top to bottom (it asks for input); what needs it was not judged"
    )


@pytest.mark.parametrize("cells", [(), ("",), ("%flow",)], ids=["none", "empty", "only a flow line"])
def test_a_notebook_without_code_has_nothing_to_prove(tmp_path, cells):
    report = check_notebook(notebook(tmp_path / "none.ipynb", *cells))
    assert report.holds
    assert report.text == "There is nothing to prove: no code cell of this notebook is part of a flow."


def test_an_edge_that_never_mattered_is_a_hint(tmp_path):
    place = notebook(
        tmp_path / "after.ipynb",
        "%%task guard\nassert 1 < 2\nok = True",
        "%%task work --after guard\ndone = 1",
    )
    report = check_notebook(place)
    assert report.holds
    assert [(edge.source.name, edge.target.name, edge.kind) for edge in report.unused] == [
        ("guard", "work", "declared")
    ]
    assert "(declared by --after) never mattered" in report.text


def test_ipython_syntax_awaits_figures_and_conditions_are_run_as_in_a_kernel(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "n.txt").write_text("4")
    (tmp_path / "helper.py").write_text("def three():\n    return 3\n")
    place = notebook(
        tmp_path / "syntax.ipynb",
        "%load_ext jupyter_flows\n%matplotlib inline\nimport asyncio\nimport matplotlib.pyplot as plt\nimport helper",
        "%%task listing\nnames = !ls data\nnames",
        "%%task waits\nawait asyncio.sleep(0)\nn = int(open('data/n.txt').read())\n!echo $n",
        "%%task picture\nplt.plot([1, n]);",
        "%%task sometimes --when 'n > 10'\nrare = 1",
        "%%task rows\nrows = [helper.three(), n]\nopen('data/n.txt', 'a').write('5')\nprint(rows)",
        "%flow syntax",
    )
    report = check_notebook(place)
    assert report.differences == ()
    assert report.holds, report.text
    assert report.unstable == ()
    assert "4" == (tmp_path / "data" / "n.txt").read_text()


def test_plain_cells_are_checked_and_told_how_to_say_it(tmp_path):
    place = notebook(
        tmp_path / "plain.ipynb",
        "__import__('linecache').cache['k'] = 5",
        "y = 'k' in __import__('linecache').cache",
    )
    assert "add" not in check_notebook(place).text
    assert "begin cell 2 with %%task NAME --after cell-1" in check_notebook(place).text


@pytest.mark.parametrize(
    ("write", "error", "words"),
    [
        (lambda path: None, InvalidNotebook, "there is no such file"),
        (lambda path: path.write_text("{"), InvalidNotebook, "not a notebook"),
        (
            lambda path: notebook(path, "%%task a --retires 2\nx = 1"),
            InvalidOption,
            "did you mean --retries?",
        ),
        (lambda path: _with_kernel(path, "no-such-kernel", "python"), KernelNotFound, "no-such-kernel"),
        (lambda path: _with_kernel(path, "ir", "R"), InvalidNotebook, "its language is R"),
    ],
)
def test_what_cannot_be_checked_is_one_sentence(tmp_path, write, error, words):
    write(tmp_path / "bad.ipynb")
    with pytest.raises(error, match=words):
        check_notebook(tmp_path / "bad.ipynb")


def _with_kernel(path: Path, name: str, language: str) -> None:
    content = json.loads(notebook(path, "x = 1").read_text())
    content["metadata"] = {"kernelspec": {"name": name}, "language_info": {"name": language}}
    path.write_text(json.dumps(content))


def test_a_mapped_cell_is_run_for_each_item(tmp_path):
    place = notebook(
        tmp_path / "mapped.ipynb",
        "%%task load\nrows = [5, 3, 8]",
        "%%task score --map row=rows --out-map score\nscore = row ** 2\nscore",
        "%%task total --cache-for 1h\ntotal = sum(score)",
    )
    report = check_notebook(place)
    assert report.lines == (report.summary,)


def test_python_random_numbers_go_on_where_processes_part(tmp_path):
    """A fork would seed Python's generator anew; what the cells above drew and seeded holds."""
    cells = ["import random\nrandom.seed(3)", "a = 1", "b = 2", "x = random.random()", "y = random.random()"]
    report = check_notebook(notebook(tmp_path / "random.ipynb", *cells))
    assert report.holds, report.text


UNSURE = (
    "import time\nclass Box:\n    def __getstate__(self):\n        return {'size': 3}",
    "%%task load\nbox = Box()\nbox.unit = 'm'",
    "%%task now\nnow = time.time_ns()",
    "%%task later\nlater = now + 1",
    "%%task use\nused = box.unit + '2'",
    "%%task rest\npass",
)


def test_the_verdict_says_what_was_not_compared_and_what_processes_would_lose(tmp_path):
    """Most of a notebook may be left aside: that is no proof of it. What is left aside gets no hint."""
    report = check_notebook(notebook(tmp_path / "unsure.ipynb", *UNSURE))
    assert report.holds
    assert (
        3,
        [(3, "not deterministic"), (4, "not deterministic"), (6, "gives nothing that could differ")],
    ) == (
        report.compared,
        [(item.cell.index, item.why) for item in report.not_compared],
    )
    assert report.summary.startswith("The graph holds for 3 of 6 cells (")
    assert report.summary.endswith(
        "; 3 were not compared: cells 3, 4 (not deterministic); cell 6 (gives nothing that could differ)."
    )
    assert report.unused == ()
    # An attribute that was put onto the object is not pickled with it, as with data frames.
    assert [("load", "box", ("unit",))] == [
        (item.cell.name, item.name, item.attributes) for item in report.lost
    ]
    assert (
        "Warning: `box` of cell 2 (load) does not survive being passed between processes (`unit` of it is lost): "
        "run with --parallel threads or off, or keep it in a variable of its own"
    ) in report.lines


def test_where_nothing_can_be_compared_nothing_is_proved():
    cell = CellRef(index=1, name="now")
    left = NotCompared(cell=cell, why="not deterministic")
    report = Report(path="n.ipynb", cells=1, runs=2, seed=0, not_compared=(left,))
    assert (report.compared, report.holds) == (0, False)
    assert report.summary == "The graph is not proved: no cell could be compared: cell 1 (not deterministic)."


def test_an_edge_through_what_is_not_looked_into_gets_no_hint():
    """Of axes only the class and the text are compared: that a title came out alike proves nothing."""
    analysis = graph(
        "import matplotlib.pyplot as plt",
        "fig, ax = plt.subplots()",
        "ax.plot([1])\nn = 1",
        "ax.set_title('t')",
        "print(n)",
    )
    findings = Findings(analysis, view_of(analysis, range(1, 6), setup=()))
    assert [False, True] == [findings.can_be_unused(pair) for pair in ((3, 4), (3, 5))]


def test_cells_that_a_cell_follows_are_counted_as_one_speaks():
    cell = CellRef(index=10, name="cell-10")
    said = {
        n: unstable_sentence(Unstable(cell=cell, names=("x",), because_of=(2, 3, 9)[:n])) for n in (1, 2, 3)
    }
    starts = {
        1: "cell 10 follows cell 2: ",
        2: "cell 10 follows cells 2 and 3: ",
        3: "cell 10 follows cells 2, 3 and 9: ",
    }
    assert starts == {n: text[: text.index("`")] for n, text in said.items()}
