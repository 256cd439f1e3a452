"""A retry goes on where the run stopped; how cells run is what the notebook declares."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.agent.conftest import World


def _texts(run: Any) -> list[str]:
    """What each code cell of a run's executed notebook printed."""
    cells = json.loads(Path(run.result.location).read_text())["cells"]
    return [
        "".join("".join(output.get("text", "")) for output in cell["outputs"])
        for cell in cells
        if cell["cell_type"] == "code"
    ]


@pytest.mark.parametrize("parallel", ["off", "processes", "threads"])
def test_a_retry_runs_only_what_did_not_succeed(world: World, parallel: str) -> None:
    """Values and outputs of what stands come from the attempt before; the checkpoint goes with success."""
    count, ready = world.directory / "count", world.directory / "ready"
    world.register(
        f"%load_ext jupyter_flows\n%flow book --parallel {parallel}",
        "import os, random",
        f"%%task load\nopen({str(count)!r}, 'a').write('x')\n"
        "random.seed(7)\nrows = [random.random() for _ in range(3)]\nprint('loaded', len(rows))",
        f"%%task guard\nassert os.path.exists({str(ready)!r})\nmore = rows + [random.random()]",
        "%%task report\nprint([round(x, 3) for x in more])",
    )
    world.start_agent()
    run = world.wait(world.run())
    assert "Failed" == run.state.type, run.state.message
    checkpoint = world.home / "runs" / run.id / "checkpoint"
    assert (checkpoint / "book.jsonl").stat().st_mode & 0o077 == 0
    ready.touch()
    world.api.retry_run(run.id)
    again = world.wait(run, lambda record: record.attempt == 2 and record.state.type in {"Success", "Failed"})
    assert "Success" == again.state.type, again.state.message
    assert "x" == count.read_text()
    assert "resumed: 1 tasks stand" in world.log_of(again)
    assert not checkpoint.exists()
    texts = _texts(again)
    assert "loaded 3\n" == texts[2]
    assert "[0.324, 0.151, 0.651, 0.072]\n" == texts[4]
    world.none_left(again)


def test_a_run_whose_processes_were_all_killed_goes_on(world: World) -> None:
    """A3: what had finished when the machine died is not run again."""
    count, go = world.directory / "count", world.directory / "go"
    world.register(
        f"%%task load\nopen({str(count)!r}, 'a').write('x')\nrows = [1, 2]",
        "%%task wait\nimport time, pathlib\n"
        f"pathlib.Path({str(world.directory / 'seen')!r}).touch()\n"
        f"while not pathlib.Path({str(go)!r}).exists():\n    time.sleep(0.02)\ntotal = sum(rows)",
        "%%task report\nprint(total)",
    )
    agent = world.start_agent()
    run = world.run()
    world.touched("seen")
    processes = world.processes_of(run)
    agent.kill()
    agent.wait()
    world.keeper_of(run).kill()
    for process in processes:
        process.kill()
    world.start_agent()
    failed = world.wait(run)
    assert "Failed" == failed.state.type
    go.touch()
    world.api.retry_run(run.id)
    again = world.wait(run, lambda record: record.state.type == "Success")
    assert "x" == count.read_text()
    assert "3\n" == _texts(again)[2]
