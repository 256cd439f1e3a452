"""How far a running task is gets to the server while it runs, and nothing else that a bar says."""

from __future__ import annotations

import pytest

from jupyter_flows.schema.runs import TaskProgress
from tests.agent.conftest import World

OWN = "import jupyter_flows\nbar = jupyter_flows.progress(range(4), description='load api_key=hunter22')"
TQDM = "from tqdm import tqdm\nbar = tqdm(range(4), desc='canary-anna', mininterval=0)"


@pytest.mark.parametrize(
    ("source", "text"), [(OWN, "load api_key=*** 2/4"), (TQDM, "2/4")], ids=["own", "tqdm"]
)
def test_a_running_task_has_progress_on_the_server(world: World, source: str, text: str) -> None:
    go = world.directory / "go"
    world.register(
        f"%%task load\nimport time, pathlib\n{source}\n"
        f"for n in bar:\n    time.sleep(0.6)\n    while n == 2 and not pathlib.Path({str(go)!r}).exists():\n"
        "        time.sleep(0.05)",
    )
    world.start_agent()
    run = world.run()
    expected = TaskProgress(fraction=0.5, text=text)
    world.until(
        lambda: any(
            task.progress == expected and task.state.type == "Running"
            for task in world.api.list_task_runs(run.id)
        ),
        "progress of the task",
    )
    go.touch()
    ended = world.wait(run)
    assert "Success" == ended.state.type, ended.state.message
    assert [None] == [task.progress for task in world.api.list_task_runs(run.id)]
