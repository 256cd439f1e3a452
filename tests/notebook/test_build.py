"""A notebook as a graph: its tasks, edges, parameters and what it declares; mistakes name their cell."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from jupyter_flows import Flow
from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.core.serialize import to_flow_spec
from jupyter_flows.errors import (
    DuplicateTaskName,
    FlowCycle,
    FlowsError,
    InvalidOption,
    InvalidParameters,
)
from jupyter_flows.notebook.build import build_flow, parameters_of
from jupyter_flows.notebook.read import CodeCell, NotebookCells, read_notebook
from jupyter_flows.schema.refs import StorageRef

CELLS = json.loads((Path(__file__).parents[1] / "cells.json").read_text("utf-8"))


def book(*sources: str, tags: dict[int, tuple[str, ...]] | None = None) -> NotebookCells:
    cells = (
        CodeCell(id=f"c{n}", index=n, position=n - 1, source=source, tags=(tags or {}).get(n, ()))
        for n, source in enumerate(sources, 1)
    )
    return NotebookCells(path="/x/book.ipynb", cells=tuple(cells))


def edges(flow: FlowGraph) -> set[tuple[str, str]]:
    return {
        (edge.upstream_task.name, edge.downstream_task.name) for edge in flow.edges if edge.kind == "data"
    }


@pytest.mark.parametrize("declared", [True, False])
def test_all_cells_makes_plain_cells_tasks_named_after_what_they_bind(declared):
    """Asked for, or declared in the notebook; setup, parameters and skipped cells stay what they are."""
    sources = ("import math", "n = 3", "x = math.sqrt(n)", "x = x + 1", "%%skip\nz = 1", "print(x)")
    line = "%flow etl --all-cells" if declared else "%flow etl"
    flow = build_flow(book(*sources, line, tags={2: ("parameters",)}), all_cells=not declared)
    assert [
        ("cell-1", "setup"),
        ("cell-2", "parameters"),
        ("x", "task"),
        ("cell-4", "task"),
        ("cell-6", "task"),
    ] == [(task.name, task.role) for task in flow.tasks]
    assert ("cell-4", "cell-6") in edges(flow)


# -- what becomes what --------------------------------------------------------------------------------


def test_each_code_cell_that_does_something_is_a_task():
    """Setup, parameters and plain cells are nodes too; skipped, empty and %flow cells are not."""
    flow = build_flow(
        book(
            "%load_ext jupyter_flows\nimport math",
            "n = 3",
            "%%task load\nx = math.sqrt(n)",
            "y = x + 1",
            "%%skip\nraise ValueError",
            "",
            "# only a comment",
            "%%task save\nprint(y)",
            "%flow etl",
            tags={2: ("parameters",)},
        )
    )
    assert ["setup", "parameters", "task", "plain", "task"] == [t.role for t in flow.tasks if t.index != 7]
    assert {"load", "save"} <= {task.name for task in flow.tasks}
    assert {("load", "cell-4"), ("cell-4", "save")} <= edges(flow)
    assert "etl" == flow.name
    assert isinstance(flow, FlowGraph)


def test_the_verbs_come_with_flow():
    assert isinstance(build_flow(book("%%task a\nx = 1"), make=Flow), Flow)


@pytest.mark.parametrize(
    ("path", "name"), [("/x/my book.ipynb", "my book"), ("etl.tar.ipynb", "etl.tar"), ("", "notebook")]
)
def test_the_name_is_declared_given_or_the_files(path, name):
    plain = NotebookCells(path=path, cells=book("%%task a\nx = 1").cells)
    assert name == build_flow(plain).name
    assert "given" == build_flow(plain, "given").name
    assert (
        "etl" == build_flow(NotebookCells(path=path, cells=book("%%task a\nx = 1", "%flow etl").cells)).name
    )


def test_options_of_a_task_arrive():
    flow = build_flow(
        book("%%task a --retries 2 --retry-delay 1m --timeout 90 --trigger always_run --tags red,blue\nx = 1")
    )
    (task,) = flow.tasks
    assert (2, timedelta(minutes=1), timedelta(seconds=90)) == (
        task.max_retries,
        task.retry_delay,
        task.timeout,
    )
    assert "all_finished" == task.trigger.__name__
    assert frozenset({"red", "blue"}) == task.tags
    assert ("a", "c1", 1, False) == (task.name, task.cell_id, task.index, task.auto_generated)


def test_a_timeout_of_nothing_is_refused_with_its_cell():
    """Our engine refuses it; the sentence names the cell, not only the task."""
    with pytest.raises(FlowsError, match="[Cc]ell 1|task 'a'"):
        build_flow(book("%%task a --timeout 0\nx = 1"))


def test_document_order_is_a_topological_order():
    flow = build_flow(book("%%task a\nx = 1", "%%task b\ny = x", "%%task c\nx = 2", "%%task d\nz = x + y"))
    assert [task.name for task in flow.tasks] == [task.name for task in flow.sorted_tasks()]


def test_what_the_notebook_declares_is_kept():
    flow = build_flow(
        book("%flow etl --schedule 'every 1 hour' -l gpu --storage pickle --project lab", "%%task a\nx = 1")
    )
    assert (("gpu",), "lab") == (flow.labels, flow.project)
    assert ("every 1 hour", "pickle") == (flow.declared.schedule, flow.declared.storage)


def test_no_source_is_in_what_the_server_gets():
    """The canary of this floor: names and reasons only."""
    flow = build_flow(
        book(
            "%%task load\n'''CANARY doc'''\nx = 'CANARY constant'  # CANARY comment\ny = x + 'CANARY'",
            "%%task use --after load\nprint(y, 'CANARY')\n!ls CANARY",
        )
    )
    import msgspec

    sent = msgspec.json.encode(to_flow_spec(flow, storage=StorageRef(kind="notebook"))).decode()
    assert "load" in sent
    assert "CANARY" not in sent


# -- parameters ---------------------------------------------------------------------------------------


def test_parameters_are_constants_of_their_cell():
    specs = parameters_of(
        "city = 'Oslo'\nyears: int = 3\na = b = -1.5\nlast = (1, 2)\nnone = None\nflag = True\n"
        "when = today()\ntable = {'a': 1}\nraw = b'x'\nannotated: int\ncity2, n = 'x', 1\np, q = pair()\n_x.y = 2\nodd = {1}"
    )
    assert {
        "city": "Oslo", "years": 3, "a": -1.5, "b": -1.5, "last": [1, 2], "none": None, "flag": True,
        "when": None, "table": None, "raw": None, "odd": None, "city2": "x", "n": 1, "p": None, "q": None,
    } == {spec.name: spec.default for spec in specs}  # fmt: skip
    assert not any(spec.required for spec in specs)


def test_a_later_value_of_a_parameter_counts():
    flow = build_flow(book("n = 1\nn = 2", "%%task a\nx = n", tags={1: ("parameters",)}))
    assert [("n", 2)] == [(spec.name, spec.default) for spec in flow.parameter_specs]


def test_a_parameters_cell_that_does_not_parse_makes_no_parameters():
    """It fails when it runs, with its line; reading the notebook goes on."""
    flow = build_flow(book("n = = 1", "%%task a\nx = 1", tags={1: ("parameters",)}))
    assert () == flow.parameter_specs
    assert "a" in {task.name for task in flow.tasks}


def test_a_parameters_cell_with_magics_is_read():
    flow = build_flow(book("%%parameters\n%matplotlib inline\nn = 1\nfiles = !ls", "%%task a\nx = n"))
    assert {"n": 1, "files": None} == {spec.name: spec.default for spec in flow.parameter_specs}


@pytest.mark.parametrize(
    "value", ["1e999", "-1e999", "'\\ud800'", "2**3", "10**5000", "[1e999]", "'\\x00'", str(2**80)]
)
def test_no_default_breaks_what_is_sent(value):
    """A default that JSON has no word for is not sent; the flow is read all the same."""
    import msgspec

    flow = build_flow(book(f"n = {value}", "%%task a\nx = n", tags={1: ("parameters",)}))
    sent = msgspec.json.encode(to_flow_spec(flow, storage=StorageRef(kind="notebook")))
    assert b'"n"' in sent
    json.loads(sent.decode(), parse_constant=pytest.fail)


def test_a_default_too_large_to_send_is_one_sentence():
    with pytest.raises(InvalidParameters, match="parameter 'n' has a default of more than 2 kB"):
        build_flow(book(f"n = '{'x' * 3000}'", "%%task a\nx = n", tags={1: ("parameters",)}))


# -- mistakes -----------------------------------------------------------------------------------------


def test_mistakes_name_their_cells():
    with pytest.raises(DuplicateTaskName) as refused:
        build_flow(book("import os", "%%task a\nx = 1", "%%task a\ny = 2"))
    assert all(word in str(refused.value) for word in ("'a'", "2", "3"))
    with pytest.raises(FlowCycle) as refused:
        build_flow(book("%%task a --after b\nx = 1", "%%task b\ny = x"))
    assert all(word in str(refused.value) for word in ("a", "b"))
    with pytest.raises(InvalidOption, match=r"[Cc]ell 1 .*always_rn"):
        build_flow(book("%%task a --trigger always_rn\nx = 1"))
    with pytest.raises(InvalidOption, match=r"--scedule; did you mean --schedule\?"):
        build_flow(book("%%task a\nx = 1", "%flow --scedule x"))


def test_a_cell_that_does_not_parse_is_still_a_cell():
    """Somebody is in the middle of typing: the graph is drawn, with a warning."""
    flow = build_flow(book("%%task a\nx = 1", "%%task b\ny = (x +", "%%task c\nz = x"))
    assert {"a", "b", "c"} <= {task.name for task in flow.tasks}
    assert next(task for task in flow.tasks if task.name == "b").warnings


def test_long_and_odd_names_are_refused_or_work():
    for name in ("x" * 300, "Ünï", "a.b", "a/b", "-a", "1"):
        try:
            flow = build_flow(book(f"%%task {name}\nx = 1"))
        except FlowsError as error:
            assert "\n" not in str(error)
        else:
            to_flow_spec(flow, storage=StorageRef(kind="notebook"))


# -- breadth ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CELLS, ids=lambda case: case["id"])
def test_every_known_notebook_becomes_a_graph_that_can_be_sent(case):
    """All cells of the cases: edges go forward, the graph is acyclic, its record passes the schema."""
    from jupyter_flows.schema.base import check
    from jupyter_flows.schema.flows import RegisterFlow

    flow = build_flow(book(*case["cells"]))
    flow.validate()
    assert all(edge.upstream_task.index < edge.downstream_task.index for edge in flow.edges)
    if flow.tasks:
        check(RegisterFlow(spec=to_flow_spec(flow, storage=StorageRef(kind="notebook"))))


def test_example_notebooks_build(tmp_path):
    for path in (Path(__file__).parents[2] / "notebooks").glob("*.ipynb"):
        assert len(build_flow(read_notebook(path)).tasks) > 3


def test_twice_the_cells_are_twice_the_work():
    """Counted in calls, so that it is the same on every machine."""

    def calls_for(count: int) -> int:
        made = book(
            "import math",
            *(f"%%task t{n}\nv{n} = v{n - 1} + math.pi" if n else "%%task t0\nv0 = 1" for n in range(count)),
        )
        calls = 0

        def seen(_frame: object, event: str, _arg: object) -> None:
            nonlocal calls
            calls += event in {"call", "c_call"}

        sys.setprofile(seen)
        try:
            build_flow(made)
        finally:
            sys.setprofile(None)
        return calls

    calls_for(10)
    assert calls_for(300) < 3 * calls_for(150)


# -- --when ------------------------------------------------------------------------------------------


def test_the_condition_reads_and_what_a_conditional_cell_writes_may_not_be_written():
    flow = build_flow(
        book(
            "%%task load\nrows = [1]",
            "%%task trim --when 'len(rows) > limit'\nkept = 1",
            "%%task limit\nlimit = 3",
            "%%task first\nx = 1",
            "%%task maybe --when rows\nx = 2",
            "%%task read\ny = x",
        )
    )
    assert {("load", "trim"), ("load", "maybe"), ("first", "read"), ("maybe", "read")} == edges(flow)
    by_name = {task.name: task for task in flow.tasks}
    assert by_name["trim"].when == "len(rows) > limit"
    assert {"read": False, "trim": True} == {
        name: by_name[name].skip_on_upstream_skip for name in ("read", "trim")
    }
