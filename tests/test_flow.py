"""The facade: a graph with verbs."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings

import cloudpickle
import pytest

from jupyter_flows import Flow, Parameter, context, task
from jupyter_flows.engine import state
from jupyter_flows.errors import InvalidFlow
from jupyter_flows.tasks.secrets import PrefectSecret


@task
def double(x):
    return 2 * x


def flow_of(name="doubles"):
    with Flow(name) as flow:
        double(double(Parameter("x", default=1)))
    return flow


def test_a_flow_comes_back_from_a_pickle_and_runs():
    """Also in a process that never saw the code that built it."""
    data = cloudpickle.dumps(flow_of())
    program = (
        "import sys, pickle; print(list(pickle.load(sys.stdin.buffer).run(x=3).result.values())[-1].result)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=data, capture_output=True, check=True, timeout=60
    )
    assert done.stdout.strip() == b"12"


def test_the_same_flow_pickles_to_the_same_bytes():
    flow = flow_of()
    assert cloudpickle.dumps(flow) == cloudpickle.dumps(flow)


def test_the_picture_is_svg_and_coloured_by_a_run(tmp_path):
    data = cloudpickle.dumps(flow_of())
    program = (
        "import sys, pickle; flow = pickle.load(sys.stdin.buffer);"
        f"print(flow.visualize(flow.run(), filename={str(tmp_path / 'flow')!r}), end='')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=data, capture_output=True, check=True, timeout=60
    )
    assert done.stdout.startswith(b"<svg")
    assert b"double: Success" in done.stdout
    assert (tmp_path / "flow.svg").read_bytes() == done.stdout


def test_serialize_is_plain_data_without_code():
    found = flow_of().serialize()
    assert sorted(own["name"] for own in found["tasks"]) == ["double", "double", "x"]
    assert found["parameters"] == [{"name": "x", "required": False, "default": 1, "slug": "x"}]


def test_run_on_schedule_without_a_schedule_is_refused():
    with pytest.raises(InvalidFlow, match="flow 'doubles' has no schedule to run on"):
        flow_of().run(run_on_schedule=True)


def test_while_its_script_is_loaded_a_flow_does_not_run():
    """A script that ends in ``flow.run()`` can be registered and fetched without running."""
    with context(loading_flow=True), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert flow_of().run() is None
        assert flow_of().register() is None
    assert "does nothing while the script is loaded" in str(caught[0].message)
    assert len(caught) == 2


def test_register_inside_the_with_block_is_refused():
    with Flow("half") as flow, pytest.raises(InvalidFlow, match=r"call register\(\) after the 'with' block"):
        flow.register()


def test_a_flow_may_run_another():
    inner = flow_of("inner")

    @task
    def run_inner(x):
        done = inner.run(x=x)
        return next(reversed(done.result.values())).result, context.flow_name

    with Flow("outer") as outer:
        made = run_inner(5)
    assert outer.run().result[made].result == (20, "outer")


def test_the_context_is_the_same_however_it_is_imported():
    import jupyter_flows
    from jupyter_flows.context import context as by_module

    with by_module(answer=42):
        assert jupyter_flows.context.answer == context["answer"] == by_module.get("answer") == 42
        assert "answer" in context
    assert context.get("answer") is None
    with pytest.raises(AttributeError, match="context has no 'answer'"):
        context.answer


def test_public_triggers_are_a_module():
    import jupyter_flows

    assert jupyter_flows.triggers.all_failed.__name__ == "all_failed"
    assert state.Success("x").is_successful()


def test_parameters_may_be_called_as_the_arguments_of_run():
    """A parameter of the flow wins over an argument of its name, which is then not there."""
    with Flow("names") as flow:
        found = {name: Parameter(name)() for name in ("context", "clock", "task_states", "executor", "state")}
    given = dict.fromkeys(found, "a value") | {"state": "WA"}
    state = flow.run(**given)
    assert given == {name: state.result[task].result for name, task in found.items()}


def test_a_run_has_the_name_and_id_that_it_is_given():
    """Templates of results name runs by them."""
    with Flow("named") as flow:
        told = task(lambda: (context.flow_run_id, context.flow_run_name), name="tell")()
    assert ("7", "mine") == flow.run(flow_run_id="7", flow_run_name="mine").result[told].result


def test_diagnostics_name_secrets_only_if_asked():
    """Their names, never their values."""
    with Flow("secret") as flow:
        PrefectSecret("TOKEN")()
    assert "TOKEN" not in flow.diagnostics()
    assert ["TOKEN"] == json.loads(flow.diagnostics(include_secret_names=True))["secrets"]
