"""``why``: the reasons of an edge in words, of the way where there is none, and of edges that the author denies."""

from __future__ import annotations

import pytest

from jupyter_flows.analysis import analyse
from jupyter_flows.errors import InvalidOption
from jupyter_flows.notebook.read import CodeCell, NotebookCells
from jupyter_flows.notebook.reasons import reasons
from tests.analysis.cases import graph

CELLS = (
    "%%task load\nimport random\nrows = [3, 1, 2]",
    "%%task clean\nrows.sort()",
    "%%task report\nprint(rows)",
    "%%task reset\nrows = []",
    "%%task apart\nprint(1)",
)


def why(first, second, *cells):
    return reasons(graph(*(cells or CELLS)), first, second)


def test_an_edge_says_who_changed_what_and_where():
    assert why("clean", "report") == [
        "clean → report",
        "  data: cell 3 reads `rows`, changed in cell 2, line 2: .sort()",
    ]


def test_names_numbers_and_either_order_are_the_same_question():
    assert why("2", "3") == why("report", "clean") == why("clean", "report")


def test_a_way_through_others_is_told_hop_by_hop():
    found = why("load", "report", *CELLS[:2], "%%task more\ntop = rows[0]", "%%task report\nprint(top)")
    assert found[0] == "report needs load through others: load → clean → more → report"
    assert [line for line in found if not line.startswith(" ")][1:] == [
        "load → clean",
        "clean → more",
        "more → report",
    ]


def test_order_alone_is_said_to_be_for_shared_memory():
    (_, line) = why("report", "reset")
    assert line.startswith("  order: cell 4 ")
    assert line.endswith("(only where cells share memory)")


def test_what_does_not_depend_is_said_too():
    assert why("load", "apart") == [
        "apart needs nothing of load, directly or through others: either may run first"
    ]


def test_a_denied_edge_is_gone_but_told():
    cells = ["%%task load\nrows = [1]", "%%task note --not-after load\nprint(len(rows))"]
    analysis = graph(*cells)
    assert analysis.edges == ()
    assert [(edge.source_index, edge.target_index) for edge in analysis.denied] == [(1, 2)]
    assert analysis.cell(2).warnings == (
        "does not wait for cell 1 (--not-after), although cell 2 reads `rows`, assigned in cell 1, line 2",
    )
    assert why("load", "note", *cells)[1].startswith("  denied by --not-after: cell 2 reads `rows`")


def test_who_gave_a_name_before_the_denied_cell_is_needed_instead():
    cells = [
        "%%task load\nrows = [3, 1]",
        "%%task sort\nrows.sort()",
        "%%task late --not-after sort\nz = rows",
    ]
    assert why("load", "late", *cells) == [
        "load → late",
        "  data: cell 3 reads `rows`, as it is before cell 2 (--not-after): from cell 1",
    ]
    over = ["%%task load\nx = 1", "%%task over\nx = 2", "%%task late --not-after over\nz = x"]
    assert [(edge.source_index, edge.target_index) for edge in graph(*over).dependencies] == [(1, 3)]
    both = [*cells[:2], "%%task late --not-after load,sort\nz = rows"]
    assert [(edge.source_index, edge.target_index) for edge in graph(*both).dependencies] == [(1, 2)]


def test_a_name_that_no_cell_has_brings_the_nearest():
    with pytest.raises(InvalidOption, match=r"no cell is called 'lod'; did you mean load\?"):
        why("lod", "clean")
    with pytest.raises(InvalidOption, match=r"name a task, or the number of a cell \(1 to 5\)"):
        why("9", "clean")


def test_a_run_that_showed_the_same_is_told():
    from jupyter_flows.analysis import CellSource, analyse
    from jupyter_flows.analysis.observed import Observed, with_observed

    sources = ["xs = [1]", "print(xs)"]
    read = analyse([CellSource(id=str(n), index=n, source=text) for n, text in enumerate(sources, 1)])
    seen = with_observed(read, {"1": Observed(binds=frozenset({"xs"}))})
    assert reasons(seen, "1", "2")[1].endswith("(a run confirms it)")
    assert "run" not in reasons(read, "1", "2")[1]


def test_a_cell_goes_by_the_name_it_has_as_a_task_too():
    """What ``infer`` and ``register --all-cells`` call a plain cell is understood."""
    notebook = NotebookCells(
        path="n.ipynb",
        cells=tuple(
            CodeCell(id=str(index), index=index, position=index - 1, source=source)
            for index, source in enumerate(["rows = list('ab')", "total = sorted(rows)"], 1)
        ),
    )
    analysis = analyse(notebook.plain())
    assert reasons(analysis, "rows", "total", notebook=notebook) == reasons(analysis, "1", "2")
    with pytest.raises(InvalidOption, match="did you mean total"):
        reasons(analysis, "rows", "totl", notebook=notebook)
