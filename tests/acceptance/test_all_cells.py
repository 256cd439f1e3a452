"""A notebook without one edit: registered as it is, run by an agent with the graph that was registered."""

from __future__ import annotations

from jupyter_flows.schema.runs import CreateRun
from tests.registering.conftest import notebook

CELLS = (
    "import math\n\ndef double(x):\n    return 2 * x",
    "numbers = [n * factor for n in range(4)]",
    "total = double(sum(numbers))",
    "broken = 1 / (factor - 2)",
    "most = max(numbers)",
    "open('told.txt', 'w').write(f'{total} {most}')",
)


def test_an_agent_runs_the_graph_that_was_registered(tmp_path, server, start_agent, cli):
    """One branch fails; the others go on, as in any flow; a second registering makes no version."""
    path = notebook(tmp_path / "plain.ipynb", *CELLS, parameters="factor = 2")
    refused = cli("register", str(path))
    assert (2, True) == (refused.returncode, "let every cell be one with --all-cells" in refused.stderr)
    for _ in range(2):
        done = cli("register", str(path), "--all-cells", "--schedule", "every 1 hour", "--no-schedule")
        assert (0, "") == (done.returncode, done.stderr)
    spec = server.api.get_flow("plain").version.spec
    assert (1, True) == (server.api.get_flow("plain").version.version, spec.storage.options["all_cells"])
    assert ["factor"] == [parameter.name for parameter in spec.parameters]
    tasks = [task.name for task in spec.tasks if task.role == "task"]
    assert ["numbers", "total", "broken", "most", "cell-7"] == tasks
    start_agent()
    run = server.api.create_run("plain", CreateRun())
    for event in server.api.events(run=run.id, after=0):
        state = getattr(getattr(event.body, "run", None), "state", None)
        if state is not None and state.type in {"Success", "Failed", "Cancelled"}:
            break
    states = {row.name: row.state.type for row in server.api.list_task_runs(run.id)}
    assert {
        "numbers": "Success",
        "total": "Success",
        "broken": "Failed",
        "most": "Success",
        "cell-7": "Success",
    } == {name: states[name] for name in tasks}
    assert "24 6" == (tmp_path / "told.txt").read_text()
