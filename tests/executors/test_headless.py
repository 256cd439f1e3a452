"""A registered flow's executor comes along: an agent's run uses it, and leaves nothing behind."""

from __future__ import annotations

import os

import pytest

from jupyter_flows import Flow, task
from jupyter_flows.executors import DaskExecutor, LocalDaskExecutor, ProcessExecutor, ThreadExecutor
from jupyter_flows.registering.register import register, register_script
from tests.agent.conftest import World, world

__all__ = ["world"]

EXECUTORS = [
    ThreadExecutor(2),
    ProcessExecutor(2),
    LocalDaskExecutor("processes", 2),
    DaskExecutor(cluster_kwargs={"n_workers": 1, "threads_per_worker": 1}),
]


@pytest.fixture
def here(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose home is also that of the registering process."""
    for name, value in world.environ.items():
        if name.startswith("JUPYTER_FLOWS_"):
            monkeypatch.setenv(name, value)
    return world


@pytest.mark.parametrize("executor", EXECUTORS, ids=[executor.kind for executor in EXECUTORS])
def test_a_pickled_flow_runs_with_its_executor(here: World, executor) -> None:
    folder = here.directory / "pids"
    folder.mkdir()

    @task
    def note(x):
        (folder / str(os.getpid())).touch()
        from jupyter_flows import context

        context.logger.info("squaring %s", x)
        return x * x

    @task
    def check(squares):
        assert squares == [0, 1, 4]
        (folder.parent / "main").write_text("checked")

    with Flow("executed", executor=executor) as flow:
        check(note.map([0, 1, 2]))
    register(flow, api=here.api)
    here.start_agent()
    run = here.wait(here.api.create_run("executed"))
    assert run.state.type == "Success", run.state.message
    assert (here.directory / "main").exists()
    lines = [line.message for line in here.api.list_logs(run.id).logs]
    assert {"squaring 0", "squaring 1", "squaring 2"} <= set(lines)
    here.none_left(run)


@pytest.mark.parametrize("executor", EXECUTORS[1:2] + EXECUTORS[3:], ids=["processes", "dask"])
def test_a_cancelled_run_leaves_no_worker(here: World, executor) -> None:
    folder = here.directory

    @task
    def compute():
        import hashlib

        (folder / "begun").touch()
        hashlib.pbkdf2_hmac("sha256", b"x", b"y", 2_000_000_000)

    with Flow("cancelled", executor=executor) as flow:
        compute()
    register(flow, api=here.api)
    here.start_agent()
    run = here.api.create_run("cancelled")
    here.touched("begun")
    here.api.cancel_run(run.id)
    assert here.wait(run).state.type == "Cancelled"
    here.none_left(run)


SCRIPT = """
from jupyter_flows import Flow, task
from jupyter_flows.executors import {executor}

class Row:
    def __init__(self, x):
        self.x = x

def square(x):
    return Row(x * x)

@task
def make(x):
    return square(x)

@task
def check(rows):
    assert [type(row) for row in rows] == [Row] * 3, rows
    assert [row.x for row in rows] == [0, 1, 4]

with Flow("scripted", executor={executor}({options})) as flow:
    check(make.map([0, 1, 2]))
"""


@pytest.mark.parametrize(
    ("executor", "options"),
    [("ProcessExecutor", "2"), ("DaskExecutor", "cluster_kwargs={'n_workers': 1, 'threads_per_worker': 1}")],
)
def test_functions_and_classes_of_a_script_reach_the_workers(
    here: World, executor: str, options: str
) -> None:
    script = here.directory / "scripted.py"
    script.write_text(SCRIPT.format(executor=executor, options=options))
    register_script(script, api=here.api)
    here.start_agent()
    run = here.wait(here.api.create_run("scripted"))
    assert run.state.type == "Success", (
        run.state.message + (here.home / "runs" / run.id / "traceback.txt").read_text()
    )
