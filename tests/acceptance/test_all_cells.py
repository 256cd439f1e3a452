"""A notebook without one edit: registered as it is, run by an agent with the graph that was registered."""

from __future__ import annotations

import json

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
    wait(server, run)
    states = {row.name: row.state.type for row in server.api.list_task_runs(run.id)}
    assert {
        "numbers": "Success",
        "total": "Success",
        "broken": "Failed",
        "most": "Success",
        "cell-7": "Success",
    } == {name: states[name] for name in tasks}
    assert "24 6" == (tmp_path / "told.txt").read_text()


def test_the_cells_under_a_heading_run_as_one_task(tmp_path, server, start_agent, cli):
    """One state for the group, outputs and errors in the cells; the one that raised is marked."""
    headings = ("# Load", "# Report", "# Broken")
    path = notebook(
        tmp_path / "headed.ipynb",
        *(
            headings[0],
            "numbers = [n * factor for n in range(4)]\nprint('first')",
            "total = sum(numbers)\nprint('second')",
        ),
        *(headings[1], "most = max(numbers)", "open('told.txt', 'w').write(f'{total} {most}')"),
        *(headings[2], "fine = total + 1", "bad = fine / 0", "never = bad"),
        parameters="factor = 2",
    )
    content = json.loads(path.read_text())
    for cell in content["cells"]:
        if cell["source"] in headings:
            cell["cell_type"] = "markdown"
    path.write_text(json.dumps(content))
    done = cli("register", str(path), "--by-heading")
    assert (0, "") == (done.returncode, done.stderr)
    start_agent()
    run = server.api.create_run("headed", CreateRun(parameters={"factor": 3}))
    wait(server, run)
    states = {row.name: row.state.type for row in server.api.list_task_runs(run.id)}
    assert {"load": "Success", "report": "Success", "broken": "Failed"} == {
        name: state for name, state in states.items() if name != "cell-1"
    }
    assert "18 9" == (tmp_path / "told.txt").read_text()
    executed = json.loads((server.settings.home / "runs" / run.id / "executed.ipynb").read_text())
    code = [cell for cell in executed["cells"] if cell["cell_type"] == "code"]
    marks = [cell["metadata"].get("jupyter_flows", {}).get("task") for cell in code]
    assert ["load", "load", "report", "report", "broken", "broken", "broken"] == marks[-7:]
    assert ["first\n", "second\n"] == [cell["outputs"][0]["text"] for cell in code[-7:-5]]
    assert [None, True, None] == [
        cell["metadata"]["papermill"].get("exception") or None for cell in code[-3:]
    ]


def wait(server, run) -> None:
    for event in server.api.events(run=run.id, after=0):
        state = getattr(getattr(event.body, "run", None), "state", None)
        if state is not None and state.type in {"Success", "Failed", "Cancelled"}:
            return
