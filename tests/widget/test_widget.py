"""The graph as an ipywidget: what its twin in the front end needs, and what is kept without one."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

import jupyter_flows.widget
from jupyter_flows.widget.dag import DAG_TYPE

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from jupyter_flows.widget.widget import FlowDag, npm_range

PACKAGE = json.loads((Path(__file__).parents[2] / "labextension" / "package.json").read_text("utf-8"))


def test_its_module_is_the_labextension_in_a_fitting_version(flow):
    """The front end finds a widget's module by name and version range."""
    dag = FlowDag(flow)
    names = {dag._model_module, dag._view_module}
    ranges = {dag._model_module_version, dag._view_module_version}
    assert {PACKAGE["name"]} == names
    assert {f"^{PACKAGE['version']}"} == ranges
    assert ("FlowDagModel", "FlowDagView") == (dag._model_name, dag._view_name)


@pytest.mark.parametrize(
    ("version", "fitting"),
    [
        ("0.1.0", "^0.1.0"),
        ("1.12.3", "^1.12.3"),
        ("0.2.0rc1", "^0.2.0-rc.1"),
        ("0.2.0a3", "^0.2.0-alpha.3"),
        ("0.1.0.dev4", "^0.1.0"),
        ("0+checkout", "*"),
    ],
)
def test_versions_of_python_are_ranges_of_npm(version, fitting):
    assert fitting == npm_range(version)


def test_what_is_synchronised_is_what_the_picture_needs(flow):
    dag = FlowDag(flow)
    state = dag.get_state()
    assert {"nodes", "edges", "states", "title", "selected", "run"} <= set(state)
    json.dumps({key: state[key] for key in ("nodes", "edges", "states", "title", "selected", "run")})
    assert ["load", "clean", "save"] == [node["name"] for node in dag.nodes]
    assert "etl" == dag.title


def test_a_finished_run_gives_the_colours(flow):
    dag = FlowDag(flow, flow.run())
    assert {"Success"} == {state["state"] for state in dag.states.values()}


def test_its_reporter_colours_it(flow):
    dag = FlowDag(flow)
    sent = []
    dag.send = lambda content, buffers=None: sent.append(content)
    flow.run(reporter=dag.reporter())
    assert {"Success"} == {state["state"] for state in dag.states.values()}
    assert "Success" == dag.run["state"]
    assert "states" == sent[0]["kind"]
    assert {"Running", "Success"} <= {s["state"] for message in sent for s in message["states"].values()}


def test_a_notebook_without_the_extension_shows_picture_and_sentence(flow):
    """Saved notebooks are opened where no widget is: there is a picture for them."""
    made = FlowDag(flow)._repr_mimebundle_()
    data = made[0] if isinstance(made, tuple) else made
    assert data["image/svg+xml"].startswith("<svg")
    assert "Flow etl: 3 tasks" == data["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in data
    assert DAG_TYPE not in data


def test_observing_the_selected_task(flow):
    dag = FlowDag(flow)
    seen = []
    dag.observe(lambda change: seen.append(change["new"]), names="selected")
    dag.selected = "load-1"
    assert ["load-1"] == seen


def test_the_package_offers_it_by_name_only():
    assert FlowDag is jupyter_flows.widget.FlowDag
    with pytest.raises(AttributeError, match="nonsense"):
        jupyter_flows.widget.nonsense
