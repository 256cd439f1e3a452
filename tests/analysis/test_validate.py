"""What cannot become a flow is refused in one sentence; the graph is reported all the same."""

from __future__ import annotations

import pytest

from jupyter_flows.analysis import validate
from jupyter_flows.errors import DuplicateTaskName, FlowCycle, InvalidFlow, InvalidOption
from tests.analysis.cases import graph


def test_two_tasks_of_one_name():
    analysis = graph("%%task load\nx = 1", "%%task load\ny = 2")
    with pytest.raises(
        DuplicateTaskName, match="Cells 1 and 2 are both the task 'load'; give one of them another name"
    ):
        validate(analysis)


def test_made_up_names_never_clash():
    analysis = graph("%%task\nx = 1", "%%task\nx = 2", "%%task x\npass")
    assert len({cell.name for cell in analysis.cells}) == 3
    validate(analysis)


def test_after_an_unknown_task_names_the_nearest():
    with pytest.raises(
        InvalidOption, match=r"Cell 2 \(%%task b\): --after laod: there is no such task; did you mean load\?"
    ):
        validate(graph("%%task load\nx = 1", "%%task b --after laod\ny = 2"))


def test_a_cycle_by_after_names_its_cells():
    analysis = graph("%%task a --after c\nx = 1", "%%task b\ny = x", "%%task c\nz = y")
    with pytest.raises(
        FlowCycle, match=r"Cell 1 \(%%task a\): --after c makes a cycle of the cells 1, 2, 3: a → b → c → a"
    ):
        validate(analysis)


def test_after_itself_is_a_cycle():
    with pytest.raises(FlowCycle, match="a task cannot wait for itself"):
        validate(graph("%%task a --after a\nx = 1"))


def test_after_a_task_further_down_is_refused():
    with pytest.raises(InvalidFlow, match="stands below it"):
        validate(graph("%%task a --after c\nx = 1", "%%task c\nz = 2"))


def test_a_bad_option_is_a_warning_in_the_graph_and_an_error_for_a_flow():
    analysis = graph("%%task a --retires 1\nx = 1", "print(x)")
    assert analysis.cells[0].warnings == (
        "Cell 1 (%%task a): unknown option --retires; did you mean --retries?",
    )
    assert [(edge.source_index, edge.target_index) for edge in analysis.dependencies] == [(1, 2)]
    with pytest.raises(InvalidOption):
        validate(analysis)


def test_after_makes_a_declared_edge():
    edge = graph("%%task a\nx = 1", "%%task b --after a\ny = 2").edges[0]
    assert (edge.source_index, edge.target_index, edge.kind, edge.reason) == (
        1,
        2,
        "declared",
        "cell 2 says --after a",
    )


def test_in_out_and_mutates_say_what_analysis_cannot_see():
    analysis = graph(
        "%%task a --out table\nfetch = 1",
        "%%task b --in table --mutates table\nprint(1)",
        "%%task c\nprint(table)",
    )
    assert {(e.source_index, e.target_index, e.names) for e in analysis.dependencies} == {
        (1, 2, ("table",)),
        (2, 3, ("table",)),
    }
