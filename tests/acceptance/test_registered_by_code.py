"""Prefect 1's way: a script that ends in flow.register(), and what an agent then makes of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jupyter_flows.schema.runs import CreateRun

from .conftest import environment

PROGRAM = """
import sys
from pathlib import Path
import beside_me
from jupyter_flows import Flow, Parameter, Task, task

FACTORS = {"a", "b", "c"}

class Save(Task):
    def run(self, value):
        Path("saved.txt").write_text(str(value))
        return value

@task(max_retries=1, retry_delay=0)
def scale(n):
    return beside_me.scale(n) * len(FACTORS)

with Flow("by-code") as flow:
    Save()(scale(Parameter("n", default=2)))

if __name__ == "__main__":
    flow.register(storage=sys.argv[1])
"""


@pytest.mark.parametrize("storage", ["pickle", "script"])
def test_a_script_registers_itself_and_runs_beside_its_modules(server, start_agent, tmp_path, storage):
    """Where the script lies the run begins: its modules are found and its files land there."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "beside_me.py").write_text("def scale(n):\n    return n * 10\n")
    (project / "etl.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, str(project / "etl.py"), storage],
        env=environment(server.settings.home), cwd="/", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    start_agent()
    run = server.api.create_run("by-code", CreateRun(parameters={"n": 3}))
    for event in server.api.events(run=run.id, after=0):
        state = getattr(getattr(event.body, "run", None), "state", None)
        if state is not None and state.type in {"Success", "Failed", "Cancelled"}:
            assert ("Success", state.message) == (state.type, state.message)
            break
    assert "90" == (project / "saved.txt").read_text()
