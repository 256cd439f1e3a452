"""Flows as their users register them: notebook, pickle and script, with parameters, logs and retries."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jupyter_flows.registering import register_notebook
from jupyter_flows.registering.register import register_script
from jupyter_flows.schema.runs import CreateRun
from tests.agent.conftest import World

SCRIPT = """
from jupyter_flows import Flow, Parameter, task
from jupyter_flows.context import context

@task
def double(n):
    context.logger.info("doubling")
    return 2 * n

@task(max_retries=1, retry_delay=0.1)
def flaky(n):
    from pathlib import Path
    seen = Path({seen!r})
    if not seen.exists():
        seen.touch()
        raise ValueError("canary")
    Path({out!r}).write_text(str(n))

with Flow("scripted") as flow:
    flaky(double(Parameter("n", default=4)))
"""


@pytest.fixture
def registered(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose home is also that of the registering process."""
    for name, value in world.environ.items():
        if name.startswith("JUPYTER_FLOWS_"):
            monkeypatch.setenv(name, value)
    return world


def notebook(world: World, *sources: str, parameters: str | None = None) -> Path:
    """Write a notebook; its second cell holds parameters if there are any."""
    cells = [
        {
            "cell_type": "code",
            "id": f"cell-{n}",
            "metadata": {"tags": ["parameters"]} if source == parameters else {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for n, source in enumerate(
            ["%load_ext jupyter_flows", *([parameters] if parameters else []), *sources]
        )
    ]
    path = world.directory / "book.ipynb"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.write_text(
        json.dumps({"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5})
    )
    return path


@pytest.mark.parametrize("storage", ["notebook", "pickle"])
def test_a_notebook_with_parameters(registered: World, storage: str) -> None:
    """Both storages give the same states, under the slugs that were registered, and the same values."""
    world = registered
    out = world.directory / "out.txt"
    path = notebook(
        world,
        "import math",
        "%%task root\nr = math.sqrt(n)",
        f"%%task write\nopen({str(out)!r}, 'w').write(str(r))",
        parameters="n = 4",
    )
    flow = register_notebook(path, storage=storage, api=world.api).flow_name
    world.start_agent()
    run = world.wait(world.api.create_run(flow, CreateRun(parameters={"n": 16})))
    assert "Success" == run.state.type, run.state.message
    assert "4.0" == out.read_text()
    slugs = {task.slug for task in world.api.get_run_spec(run.id).tasks}
    assert {slug: "Success" for slug in slugs} == world.task_states(run)
    assert run.done_tasks == run.total_tasks > 0
    world.none_left(run)


def test_a_script_with_a_retry_and_a_log(registered: World) -> None:
    """A failed attempt is told and tried again; the flow's log arrives; no word of the exception does."""
    world = registered
    out = world.directory / "out.txt"
    script = world.directory / "scripted.py"
    script.write_text(SCRIPT.format(seen=str(world.directory / "seen"), out=str(out)))
    register_script(script, api=world.api)
    world.start_agent("--show-logs")
    run = world.wait(world.api.create_run("scripted", CreateRun(parameters={"n": 5})))
    assert "Success" == run.state.type, run.state.message
    assert "10" == out.read_text()
    [flaky] = [task for task in world.api.list_task_runs(run.id) if task.name == "flaky"]
    assert 2 == flaky.attempt
    lines = [line.message for line in world.api.list_logs(run.id).logs]
    assert "doubling" in lines
    assert not any("canary" in line for line in lines)
    assert "canary" in (world.home / "runs" / run.id / "traceback.txt").read_text()
    assert "doubling" in world.agent_log()
    world.none_left(run)


def test_a_pickle_that_changed_is_not_opened(registered: World) -> None:
    """Not one byte of another pickle is unpickled (S1)."""
    import pickle

    world = registered
    fired = world.directory / "fired"

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str, str]]:
            return open, (str(fired), "w")

    flow = register_notebook(notebook(world, "%%task one\nx = 1"), storage="pickle", api=world.api).flow_name
    stored = Path(world.api.get_flow(flow).version.spec.storage.location)
    stored.chmod(0o600)
    stored.write_bytes(pickle.dumps(Bomb()))
    world.start_agent()
    run = world.wait(world.api.create_run(flow))
    assert "Failed" == run.state.type
    assert "register again or restore it" in run.state.message
    assert not fired.exists()


def test_a_retried_run_keeps_what_the_first_attempt_left(registered: World) -> None:
    """A person's retry is a second attempt of the same run; the first one's notebook stays beside it."""
    world = registered
    go = world.directory / "go"
    flow = register_notebook(
        notebook(world, f"%%task one\nopen({str(go)!r}).close()"), api=world.api
    ).flow_name
    world.start_agent()
    run = world.wait(world.api.create_run(flow))
    assert "Failed" == run.state.type
    go.touch()
    world.api.retry_run(run.id)
    again = world.wait(run)
    assert "Success" == again.state.type, again.state.message
    assert 2 == again.attempt
    names = {path.name for path in (world.home / "runs" / run.id).iterdir()}
    assert {"executed.ipynb", "executed.attempt-1.ipynb", "traceback.attempt-1.txt"} <= names


CHATTY = """
from jupyter_flows import Flow, task
from jupyter_flows.context import context

@task
def chatters():
    logger = context.logger
    for n in range({count}):
        logger.info("record %d of a task that says much more than anybody reads", n)
    logger.error("the last word")

@task
def follows():
    open({seen!r}, "w").write("x")

with Flow("chatty") as flow:
    follows(upstream_tasks=[chatters()])
"""


def test_a_flood_of_log_records_hides_no_state_and_no_error(registered: World) -> None:
    """A20: what is over the limit is dropped and counted, an error still has room, states are all told."""
    world = registered
    count = 30_000
    script = world.directory / "chatty.py"
    script.write_text(CHATTY.format(count=count, seen=str(world.directory / "seen")))
    register_script(script, api=world.api)
    world.start_agent(JUPYTER_FLOWS_SPOOL_LIMIT_MB="1")
    run = world.wait(world.api.create_run("chatty"))
    assert "Success" == run.state.type, run.state.message
    assert {"Success"} == set(world.task_states(run).values())
    lines: list[str] = []
    page = world.api.list_logs(run.id, limit=1000)
    while page.logs:
        lines += [line.message for line in page.logs]
        page = world.api.list_logs(run.id, after=page.next, limit=1000)
    kept = [line for line in lines if line.startswith("record ")]
    assert [f"record {n} of a task that says much more than anybody reads" for n in range(len(kept))] == kept
    assert "the last word" in lines
    [told] = [line for line in lines if line.endswith("it is over 1 MB (setting spool_limit_mb)")]
    # The engine's own lines count as well.
    assert 0 <= int(told.split(" lines of this log were dropped: ")[0]) - (count - len(kept)) < 20
    assert 1000 < len(kept) < count
    world.none_left(run)
