"""A flow that starts another one and waits for it, by the tasks that Prefect 1 has for that."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jupyter_flows import Flow, Parameter, task
from jupyter_flows.registering import register_notebook
from jupyter_flows.schema.runs import CreateRun
from jupyter_flows.tasks.prefect import CancelFlowRun, StartFlowRun, create_flow_run, wait_for_flow_run

from .conftest import write_notebook


@pytest.fixture
def child(server, tmp_path, start_agent, monkeypatch):
    """A registered notebook that fails if it is told to, and an agent."""
    monkeypatch.setenv("JUPYTER_FLOWS_HOME", str(server.settings.home))
    book = write_notebook(
        tmp_path / "child.ipynb", "%%task work\nassert not fails\ndone = 1", parameters="fails = False"
    )
    register_notebook(book, api=server.api)
    start_agent()
    return "child"


def test_a_child_is_started_once_and_waited_for(server, child):
    tries = []

    @task(max_retries=1, retry_delay=0)
    def shaky(name):
        """As a task that failed after it had started the child, and is tried again."""
        made = create_flow_run.run(flow_name=name)
        tries.append(made)
        if len(tries) == 1:
            raise ConnectionError
        return made

    with Flow("parent") as flow:
        run = shaky(child)
        waited = wait_for_flow_run(run, stream_logs=True)
    state = flow.run()
    assert state.is_successful(), state.result
    view = state.result[waited].result
    assert ("child", "Success") == (view.flow_name, type(view.state).__name__)
    assert tries[0] == tries[1]
    assert 1 == len(server.api.list_runs(flow="child").runs)


def test_a_childs_failure_is_the_parents_if_asked_for(child):
    with Flow("parent") as flow:
        run = create_flow_run(flow_name=child, parameters={"fails": True})
        looked = wait_for_flow_run(run)
        strict = wait_for_flow_run(run, raise_final_state=True)
        started = StartFlowRun(flow_name=child, wait=True, parameters={"fails": True})()
    state = flow.run()
    found = [type(state.result[one]).__name__ for one in (looked, strict, started)]
    assert ["Success", "Failed", "Failed"] == found
    assert "AssertionError in cell work" in state.result[strict].message


def test_a_run_that_is_not_wanted_any_more_is_cancelled(server, child):
    """By its id; one that had not begun is Cancelled at once."""
    with Flow("parent") as flow:
        run = create_flow_run(flow_name=child, scheduled_start_time=timedelta(hours=1))
        cancelled = CancelFlowRun()(run)
        waited = wait_for_flow_run(run, upstream_tasks=[cancelled])
    state = flow.run()
    assert state.result[cancelled].result is True
    assert "Cancelled" == type(state.result[waited].result.state).__name__


def test_a_parent_runs_headless_and_starts_its_child(server, child, tmp_path, cli):
    """The parent's own agent runs the child beside it."""
    script = tmp_path / "parent.py"
    script.write_text(
        "from jupyter_flows import Flow\n"
        "from jupyter_flows.tasks.prefect import create_flow_run, wait_for_flow_run\n"
        "with Flow('parent') as flow:\n"
        "    wait_for_flow_run(create_flow_run(flow_name='child'), raise_final_state=True)\n"
    )
    registered = cli("register", str(script))
    assert 0 == registered.returncode, registered.stderr
    run = server.api.create_run("parent", CreateRun())
    for event in server.api.events(run=run.id, after=0):
        state = getattr(getattr(event.body, "run", None), "state", None)
        if state is not None and state.type in {"Success", "Failed", "Cancelled"}:
            assert ("Success", state.message) == (state.type, state.message)
            break
    (made,) = server.api.list_runs(flow="child").runs
    assert "Success" == made.state.type


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "either flow_id or flow_name"),
        ({"flow_name": "a", "flow_id": "b"}, "either flow_id or flow_name"),
        ({"flow_name": "child", "context": {"a": 1}}, "a run's context is that of its flow"),
        ({"flow_name": "nobody"}, "no flow"),
    ],
)
def test_a_mistake_is_one_sentence(child, options, words):
    with Flow("parent") as flow:
        made = create_flow_run(**options)
    assert words in str(flow.run().result[made].result)


def test_a_parameter_of_the_parent_is_handed_on(server, child):
    with Flow("parent") as flow:
        parameters = task(lambda fails: {"fails": fails}, name="choose")(Parameter("fails", default=False))
        run = create_flow_run(flow_name=child, parameters=parameters)
        wait_for_flow_run(run)
    flow.run(fails=True)
    (made,) = server.api.list_runs(flow="child").runs
    assert {"fails": True} == made.parameters
