"""A graph as data and as a picture: complete for the front end, harmless for everything else."""

from __future__ import annotations

import json
import subprocess
import sys
from xml.etree import ElementTree as ET

import pytest

from jupyter_flows import Flow, Parameter, task
from jupyter_flows.core.state import Failed, Retrying, Running, Success
from jupyter_flows.engine import signals
from jupyter_flows.errors import InvalidOption
from jupyter_flows.widget import picture
from jupyter_flows.widget.dag import (
    DAG_TYPE,
    bundle,
    graph_edges,
    graph_nodes,
    sentence,
    state_data,
    states_of,
)

from .conftest import notebook_flow

EVIL = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"
SVG = "{http://www.w3.org/2000/svg}"


def bundle_of(flow: Flow, states=None):
    return bundle(graph_nodes(flow), graph_edges(flow), states or {}, title=flow.name)


def test_nodes_tell_what_a_click_shows():
    """Cell, options, variables and warnings of each task; nothing of its source."""
    flow = notebook_flow(
        "import os",
        "%%task load --retries 2 --retry-delay 1 --timeout 60\nx = 'CANARY'",
        "%%task use\nprint(x)",
    )
    load = next(node for node in graph_nodes(flow) if node["name"] == "load")
    assert {
        "id": "load", "name": "load", "role": "task", "type": "CellTask", "trigger": "all_successful",
        "cell_id": "c2", "retries": 2, "timeout_s": 60.0, "writes": ["x"],
    } == load  # fmt: skip
    assert "CANARY" not in json.dumps(bundle_of(flow))


def test_several_edges_between_two_tasks_are_one_with_all_names():
    flow = notebook_flow("%%task a\nx, y = 1, 2", "%%task b\nprint(x + y)")
    (edge,) = graph_edges(flow)
    assert ("a", "b", {"x", "y"}, "data") == (edge["from"], edge["to"], set(edge["names"]), edge["kind"])
    assert edge["reason"]


def test_names_of_arguments_are_the_names_of_edges():
    @task
    def add(x, y):
        return x + y

    with Flow("sum") as flow:
        n = Parameter("n", default=1)
        add(n, n)
    (edge,) = graph_edges(flow)
    assert ["x", "y"] == edge["names"]


def test_order_edges_do_not_clutter_the_picture():
    flow = notebook_flow("%%task a\nx = 1", "%%task b\nprint(x)", "%%task c\nx = 2")
    assert any(edge.kind == "order" for edge in flow.edges)
    assert all(edge["kind"] != "order" for edge in graph_edges(flow))


def test_the_bundle_is_json_with_a_picture_and_a_sentence(flow):
    made = bundle_of(flow, {"load-1": {"state": "Success", "message": ""}})
    assert {DAG_TYPE, "image/svg+xml", "text/plain"} == set(made)
    assert made[DAG_TYPE] == json.loads(json.dumps(made[DAG_TYPE]))
    assert {"nodes", "edges", "states", "title", "run"} == set(made[DAG_TYPE])
    assert "Flow etl: 3 tasks, 1 Success" == made["text/plain"]
    assert 4 == len(list(ET.fromstring(made["image/svg+xml"]).iter(f"{SVG}rect")))


def test_ends_of_edges_are_nodes(flow):
    ids = {node["id"] for node in graph_nodes(flow)}
    assert {end for edge in graph_edges(flow) for end in (edge["from"], edge["to"])} <= ids


def test_the_picture_has_no_script_and_names_are_only_text():
    """Names, titles, messages and warnings may hold anything: the SVG holds elements of a picture alone."""

    @task(name=EVIL)
    def first():
        return 1

    @task(name="x" * 150)
    def second(x):
        return x

    with Flow(EVIL) as flow:
        second(first())
    states = {slug: {"state": EVIL, "message": EVIL} for slug in flow.slugs.values()}
    svg = bundle_of(flow, states)["image/svg+xml"]
    root = ET.fromstring(svg)
    assert {f"{SVG}{tag}" for tag in ("svg", "title", "rect", "g", "path", "text")} >= {
        e.tag for e in root.iter()
    }
    allowed = {
        "width", "height", "viewBox", "font-family", "font-size", "role", "x", "y", "rx", "d", "fill", "stroke",
        "stroke-width", "stroke-dasharray", "text-anchor",
    }  # fmt: skip
    assert {name for element in root.iter() for name in element.attrib} <= allowed
    assert "<script" not in svg
    assert "<img" not in svg


def test_setup_and_parameters_are_hidden_in_the_picture_and_kept_in_the_data():
    flow = notebook_flow("import os\nn = 1", "%%parameters\ncity = 'Oslo'", "%%task a\nx = city, os, n")
    made = bundle_of(flow)
    assert "Flow book: 1 task" == made["text/plain"]
    assert 2 == len(list(ET.fromstring(made["image/svg+xml"]).iter(f"{SVG}rect")))
    assert 3 == len(made[DAG_TYPE]["nodes"])


def test_warnings_are_what_a_pointer_over_the_box_says():
    flow = notebook_flow("%%task a\nexec(open('x').read())")
    assert flow.tasks[0].warnings
    titles = [e.text for e in ET.fromstring(bundle_of(flow)["image/svg+xml"]).iter(f"{SVG}title")]
    assert any(flow.tasks[0].warnings[0][:20] in (title or "") for title in titles)


def test_a_state_is_its_name_and_message_never_its_result():
    assert {"state": "Success", "message": ""} == state_data(Success(result="secret"))
    assert {"state": "Failed", "message": "no", "attempt": 2} == state_data(Failed("no"), attempt=2)


def test_states_of_a_finished_run_colour_the_picture(flow):
    state = flow.run()
    assert {
        slug: {"state": "Success", "message": found["message"]}
        for slug, found in states_of(flow, state).items()
    } == (states_of(flow, state))
    assert set(flow.slugs.values()) == set(states_of(flow, state))
    assert {} == states_of(flow, None) == states_of(flow, Running())


@pytest.mark.parametrize("kind", [Success, Failed, Running, Retrying])
def test_the_sentence_counts(flow, kind):
    states = dict.fromkeys(["load-1", "clean-1"], state_data(kind("x")))
    assert f"Flow etl: 3 tasks, 2 {kind.__name__}" == sentence(graph_nodes(flow), states, title="etl")


def test_visualize_returns_and_writes_the_picture(flow, tmp_path):
    made = flow.visualize(filename=str(tmp_path / "etl.svg"))
    assert made == (tmp_path / "etl.svg").read_text("utf-8") == made._repr_svg_()
    coloured = picture(flow, flow_state=flow.run())
    assert coloured != made
    assert made == flow.visualize(filename=str(tmp_path / "bare"))
    assert made == (tmp_path / "bare.svg").read_text("utf-8")
    for name in ("etl.png", "etl.svg.pdf"):
        with pytest.raises(InvalidOption, match=r"visualize writes \.svg files"):
            flow.visualize(filename=str(tmp_path / name))


def test_a_picture_that_cannot_be_written_is_one_sentence(flow, tmp_path):
    from jupyter_flows.errors import FlowsError

    with pytest.raises(FlowsError, match=r"gone/etl\.svg cannot be written: No such file"):
        flow.visualize(filename=str(tmp_path / "gone" / "etl.svg"))


def test_an_empty_flow_has_a_picture():
    made = bundle_of(Flow("empty"))
    ET.fromstring(made["image/svg+xml"])
    assert "Flow empty: 0 tasks" == made["text/plain"]


def test_drawing_loads_no_widget():
    program = (
        "import sys\nfrom jupyter_flows import Flow, task\n"
        "with Flow('a') as flow:\n    task(lambda: 1, name='x')()\n"
        "flow.visualize()\n"
        "print({m.split('.')[0] for m in sys.modules} & {'ipywidgets', 'graphviz', 'matplotlib', 'nbformat'})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert "set()" == done.stdout.strip()


def test_a_mapped_task_is_one_box_that_counts_its_children():
    @task
    def numbers():
        return [1, 2, 3]

    @task
    def inverse(x):
        if x == 2:
            raise signals.FAIL("two")
        return 1 / x

    with Flow("maps") as flow:
        inverse.map(numbers())
    node = next(node for node in graph_nodes(flow) if node["name"] == "inverse")
    assert node["mapped"]
    assert "inverse &lt;map&gt;" in bundle_of(flow)["image/svg+xml"]
    state = flow.run()
    assert {"Success": 2, "Failed": 1} == states_of(flow, state)[node["id"]]["counts"]
    assert "inverse &lt;map&gt; 3" in bundle_of(flow, states_of(flow, state))["image/svg+xml"]


def test_a_cell_with_map_looks_mapped():
    flow = notebook_flow("%%task load\nrows = [1, 2]", "%%task score --map row=rows\nprint(row)")
    assert [node["name"] for node in graph_nodes(flow) if node.get("mapped")] == ["score"]


DENIED = ("%%task load\nx = 1", "%%task use --not-after load\ny = x", "%%task odd\nexec(input())")


def test_an_edge_that_was_denied_is_shown_and_is_none():
    """It is data of its own kind for the front end, crossed out in the still picture, and nobody waits."""
    flow = notebook_flow(*DENIED)
    denied = [edge for edge in graph_edges(flow) if edge["kind"] == "denied"]
    assert [("load", "use", ["x"])] == [(edge["from"], edge["to"], edge["names"]) for edge in denied]
    assert denied[0]["reason"] == "denied by --not-after: cell 2 reads `x`, assigned in cell 1, line 2"
    assert ("load", "use") not in [
        (edge.upstream_task.name, edge.downstream_task.name) for edge in flow.edges
    ]
    still = ET.fromstring(bundle_of(flow)["image/svg+xml"])
    groups = [group for group in still.iter(f"{SVG}g") if "--not-after" in group[0].text]
    drawn = next(group for group in groups if "denied" in group[0].text)
    assert "Z" not in "".join(path.get("d") for path in drawn.iter(f"{SVG}path"))  # no arrow's head


def test_a_barrier_is_marked():
    flow = notebook_flow(*DENIED)
    assert ["odd"] == [node["name"] for node in graph_nodes(flow) if node.get("barrier")]
    still = ET.fromstring(bundle_of(flow)["image/svg+xml"])
    rects = {group[-1].text: len(list(group.iter(f"{SVG}rect"))) for group in still.iter(f"{SVG}g")}
    assert (rects["load"], rects["odd"]) == (1, 3)


def test_a_pickled_graph_keeps_what_was_denied():
    import cloudpickle

    flow = cloudpickle.loads(cloudpickle.dumps(notebook_flow(*DENIED)))
    assert ["denied"] == [
        edge["kind"] for edge in graph_edges(flow) if (edge["from"], edge["to"]) == ("load", "use")
    ]
