"""``%flow`` in a kernel: declare, look, run here, register, act; what goes wrong is one sentence."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from jupyter_flows.schema.runs import CreateRun

DAG = "application/vnd.jupyter-flows.dag+json"
CELLS = (
    ("numbers", "%%task numbers --retries 1\nnumbers = [1, 2, 3]"),
    ("total", "%%task total\ntotal = sum(numbers)"),
    ("most", "%%task most\nmost = max(numbers)"),
    ("report", "%%task report\nreport = (total, most)"),
)


def run_all(kernel, cells=CELLS) -> None:
    for own, source in cells:
        assert kernel.run(source, own).status == "ok"


def picture(ran) -> dict:
    """What a cell shows, or the last update of a picture."""
    bundle = (ran.updates or ran.shown)[-1]
    assert {DAG, "image/svg+xml", "text/plain"} == set(bundle)
    return bundle[DAG]


def display_ids(ran, kind: str = "update_display_data") -> list[str]:
    """Ids of what a cell displayed, or brought up to date."""
    return [
        message["content"]["transient"]["display_id"]
        for message in ran.messages
        if message["msg_type"] == kind
    ]


def states(dag: dict) -> dict[str, str]:
    return {key: state["state"] for key, state in dag["states"].items()}


def refusal(ran) -> str:
    """The one red line of a cell that was refused."""
    assert ran.status == "error"
    assert ran.errors == [] or ran.errors[0]["traceback"] == []
    lines = ran.stderr.strip().splitlines()
    assert len(lines) == 1, ran.stderr
    return lines[0]


def save(path: Path, cells=CELLS) -> Path:
    content = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "cells": [
            {
                "cell_type": "code",
                "id": own,
                "source": source,
                "metadata": {},
                "outputs": [],
                "execution_count": None,
            }
            for own, source in cells
        ],
    }
    path.write_text(json.dumps(content))
    return path


# -- the picture ------------------------------------------------------------------------------------------


def test_shows_the_graph_of_the_cells(kernel):
    run_all(kernel)
    shown = kernel.run("%flow sums", "flow")
    dag = picture(shown)
    assert "sums" == dag["title"]
    assert ["numbers", "total", "most", "report"] == [
        node["id"] for node in dag["nodes"] if node["role"] == "task"
    ]
    assert {("numbers", "total"), ("numbers", "most"), ("total", "report"), ("most", "report")} == {
        (edge["from"], edge["to"]) for edge in dag["edges"]
    }
    assert {"numbers": "Success", "total": "Success", "most": "Success", "report": "Success"} == states(dag)
    assert "Flow sums: 4 tasks, 4 Success" == shown.shown[0]["text/plain"]
    assert shown.shown[0]["image/svg+xml"].lstrip().startswith("<svg")


def test_node_tells_its_cell_and_rules(kernel):
    run_all(kernel)
    node = next(node for node in picture(kernel.run("%flow", "flow"))["nodes"] if node["id"] == "numbers")
    assert ("numbers", 1, ["numbers"]) == (node["cell_id"], node["retries"], node["writes"])


def test_colours_follow_the_cells(kernel):
    """Running, then its end, in the output where the picture stands."""
    run_all(kernel)
    shown = kernel.run("%flow", "flow")
    ran = kernel.run(CELLS[1][1], "total")
    seen = [states(update[DAG])["total"] for update in ran.updates]
    assert "Success" == seen[-1]
    assert {display_ids(shown, "display_data")[0]} == set(display_ids(ran))
    failed = kernel.run("%%task total\ntotal = sum(numbers) / 0", "total")
    assert "Failed" == states(picture(failed))["total"]
    assert "ZeroDivisionError in this cell" == picture(failed)["states"]["total"]["message"]


def test_an_edited_cell_changes_the_graph(kernel):
    run_all(kernel)
    kernel.run("%flow", "flow")
    dag = picture(kernel.run("%%task most --after total\nmost = 7", "most"))
    assert {("numbers", "total"), ("total", "most"), ("total", "report"), ("most", "report")} == {
        (edge["from"], edge["to"]) for edge in dag["edges"]
    }


def test_an_edit_that_makes_no_flow_leaves_the_picture(kernel):
    """Two tasks of one name: the cell runs, the picture stays, %flow says what is wrong."""
    run_all(kernel)
    kernel.run("%flow", "flow")
    dag = picture(kernel.run("%%task numbers\ntotal = 8", "total"))
    assert 4 == len([node for node in dag["nodes"] if node["role"] == "task"])
    sentence = refusal(kernel.run("%flow", "flow"))
    assert "numbers" in sentence
    assert "1" in sentence
    assert "2" in sentence


def test_only_the_newest_picture_follows(kernel):
    run_all(kernel)
    kernel.run("%flow", "first")
    second = kernel.run("%flow", "second")
    ran = kernel.run(CELLS[0][1], "numbers")
    assert {display_ids(second, "display_data")[0]} == set(display_ids(ran))


def test_no_task_yet(kernel):
    kernel.run("x = 1", "a")
    assert "begin a cell with %%task" in refusal(kernel.run("%flow", "flow"))


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("%flow sums --lable a", "did you mean --label?"),
        ("%flow sums --label 'a b'", "'a b'"),
        ("%flow sums --schedule 'every now and then'", "every now and then"),
        ("%flow sums --schedule", "needs a value"),
        ("%flow sums --label 'a", "quotation"),
        ("%flow run -p numbers", "NAME=VALUE"),
        ("%flow run -p nosuch=1", "nosuch"),
        ("%flow register nowhere.ipynb", "nowhere.ipynb"),
        ("%flow register", "save it and name it"),
    ],
)
def test_mistakes_are_one_sentence(kernel, line, word):
    run_all(kernel)
    assert word in refusal(kernel.run(line, "flow"))


# -- running here -----------------------------------------------------------------------------------------


def test_runs_here_in_a_namespace_of_its_own(kernel):
    run_all(kernel)
    kernel.value("get_ipython().user_ns.update(total='mine')")
    ran = kernel.run("%flow run", "run")
    assert ran.status == "ok"
    assert "Success" in ran.stdout
    assert {"Success"} == set(states(picture(ran)).values())
    assert "mine" == kernel.value("total")


def test_run_with_parameters(kernel):
    kernel.run("%%parameters\nfactor = 2\ncity = 'Oslo'", "parameters")
    kernel.run("%%task one\nprint(f'{factor * 10} {city}')", "one")
    assert "20 Oslo" in kernel.run("%flow run", "run").stdout
    assert "50 7" in kernel.run("%flow run -p factor=5 -p city=7", "run").stdout


def test_a_failed_run_says_which_task(kernel):
    kernel.run("%%task good\nx = 1", "good")
    kernel.run("%%task bad\nx / 0", "bad")
    kernel.run("%%task after\ny = x", "after")
    ran = kernel.run("%flow run", "run")
    assert "bad: Failed. ZeroDivisionError in cell bad, line 2" in ran.stdout
    assert {"good": "Success", "bad": "Failed", "after": "Success"} == {
        key: state for key, state in states(picture(ran)).items() if key in {"good", "bad", "after"}
    }


def test_flow_lines_in_task_cells_do_nothing_in_a_run(kernel):
    """A cell that ends in %flow run does not run the flow within the flow."""
    kernel.run("%%task one\nx = 1", "one")
    kernel.run("y = x\n%flow run", "two")
    ran = kernel.run("%flow run", "run")
    assert 1 == ran.stdout.count("Flow ")


# -- with a server ------------------------------------------------------------------------------------------


@pytest.fixture
def connected(kernel, server):
    """The kernel talks to this test's server."""
    token = (server.settings.home / "tokens" / "admin.token").read_text("ascii").strip()
    environ = {
        "JUPYTER_FLOWS_API_URL": server.url,
        "JUPYTER_FLOWS_API_TOKEN": token,
        "JUPYTER_FLOWS_STORAGE_DIR": str(server.settings.storage_path),
    }
    kernel.value(f"__import__('os').environ.update({environ!r})")
    yield kernel
    kernel.value("[__import__('os').environ.pop(name, None) for name in " + repr(list(environ)) + "]")


def test_without_a_server_register_says_how_to_start_one(kernel, tmp_path):
    run_all(kernel)
    sentence = refusal(kernel.run(f"%flow register {save(tmp_path / 'sums.ipynb')}", "flow"))
    assert "jupyter flows up" in sentence


def test_registers_the_saved_notebook_and_shows_the_receipt(connected, server, tmp_path):
    run_all(connected)
    ran = connected.run(f"%flow register {save(tmp_path / 'sums.ipynb')} --label gpu", "flow")
    assert ran.status == "ok", ran.stderr
    receipt = ran.shown[-1]
    assert "sums  (version 1)" in receipt["text/plain"]
    assert "<table" in receipt["text/html"]
    spec = server.api.get_flow("sums").version.spec
    assert "notebook" == spec.storage.kind
    assert "gpu" in spec.labels
    again = connected.run("%flow register --label gpu", "flow")
    assert "unchanged" in again.shown[-1]["text/plain"]


def test_refuses_what_is_not_saved(connected, server, tmp_path):
    path = save(tmp_path / "sums.ipynb")
    run_all(connected)
    connected.run("%%task total\ntotal = 12", "total")
    sentence = refusal(connected.run(f"%flow register {path}", "flow"))
    assert (
        "cell 2 differs from the saved sums.ipynb; save the notebook (Ctrl+S) and register again" in sentence
    )
    assert () == server.api.list_flows().flows


def test_the_button_registers_too(connected, server, tmp_path):
    run_all(connected)
    path = save(tmp_path / "sums.ipynb")
    call = (
        '__import__("jupyter_flows.magics", fromlist=["register_from_front_end"])'
        f".register_from_front_end({str(path)!r})"
    )
    ran = connected.run(call)
    assert "sums  (version 1)" in ran.shown[-1]["text/plain"]
    connected.run("%%task total\ntotal = 12", "total")
    again = connected.run(call)
    assert "cell 2 differs from the saved sums.ipynb" in again.stderr
    assert "Traceback" not in again.stderr


def test_acts_on_the_registered_flow(connected, server, tmp_path):
    run_all(connected)
    connected.run(f"%flow register {save(tmp_path / 'sums.ipynb')} --schedule 'every 1 hour'", "flow")
    assert "sums is paused" in connected.run("%flow pause sums").stdout
    assert "sums is active; next run" in connected.run("%flow resume sums").stdout
    run = server.api.create_run("sums", CreateRun())
    assert run.name in connected.run("%flow runs sums").stdout
    assert run.name in connected.run(f"%flow logs {run.name}").stdout
    explained = connected.run("%flow explain sums").stdout
    assert "notebook" in explained
    assert re.search(rf"{run.name}|no agent", explained)
    assert f"{run.name} is Cancelled" in connected.run(f"%flow cancel {run.name}").stdout
    assert "nosuch" in refusal(connected.run("%flow logs nosuch"))


def test_doctor_without_a_server(kernel):
    """Each part answers for itself."""
    run_all(kernel)
    ran = kernel.run("%flow doctor")
    assert "ok" == ran.status
    lines = ran.stdout.splitlines()
    assert any(line.startswith("ok  flow") and "4 tasks" in line for line in lines)
    assert any(line.startswith("!!  notebook") and "does not know" in line for line in lines)
    assert any(line.startswith("!!  server") and "jupyter flows up" in line for line in lines)


def test_doctor_with_a_registered_flow(connected, tmp_path):
    run_all(connected)
    connected.run(f"%flow register {save(tmp_path / 'sums.ipynb')}", "flow")
    text = connected.run("%flow doctor").stdout
    for words in (
        "ok  notebook",
        "ok  storage",
        "ok  server",
        "!!  agents",
        "ok  registered",
        "ok  environment",
    ):
        assert words in text


def test_in_a_headless_run_flow_does_nothing(tmp_path):
    from .conftest import start_kernel

    running = start_kernel(tmp_path, tmp_path / "home", JUPYTER_FLOWS_RUN_ID="0" * 32)
    try:
        running.run("%load_ext jupyter_flows", "load")
        assert running.run("%%task one\nx = 1\nx", "one").result == "1"
        ran = running.run("%flow register", "flow")
        assert (ran.status, ran.stdout.strip()) == ("ok", "(%flow register: nothing to do in a headless run)")
    finally:
        running.close()


# -- what is stale ----------------------------------------------------------------------------------------


def edit_numbers(kernel) -> None:
    """Run all, then only the edited first cell."""
    run_all(kernel)
    return kernel.run("%%task numbers --retries 1\nnumbers = [10, 20]", "numbers")


def test_what_an_edit_made_stale_is_marked(kernel):
    edit_numbers(kernel)
    dag = picture(kernel.run("%flow", "flow"))
    stale = {key: state.get("stale") for key, state in dag["states"].items()}
    assert None is stale["numbers"]
    assert "numbers ran after total last ran" == stale["total"]
    assert stale["report"] in {"numbers ran after total last ran", "numbers ran after most last ran"}


def test_running_a_cell_on_old_values_says_so_in_one_line(kernel):
    edit_numbers(kernel)
    said = kernel.run(dict(CELLS)["report"], "report")
    assert (
        "(flow: numbers ran after total last ran; total's values here are old: %flow run --stale)\n"
        == said.stderr
    )
    assert "" == kernel.run(dict(CELLS)["total"], "total").stderr


def test_run_stale_runs_exactly_what_is_stale_among_the_users_names(kernel):
    edit_numbers(kernel)
    ran = kernel.run("%flow run --stale", "again")
    assert "ok" == ran.status
    assert ["numbers" in line for line in ran.stdout.splitlines() if line.startswith("▶")] == [
        True,
        True,
        True,
    ]
    assert "ran 3 of 4 cells; nothing is stale" in ran.stdout
    assert 30 == kernel.value("total")
    assert (
        "nothing is stale: all 4 cells ran as they are now\n"
        == kernel.run("%flow run --stale", "again").stdout
    )


def test_a_stale_cell_sees_the_builtins_that_a_cell_below_covers(kernel):
    """`sum = 0` at the end of a notebook is nothing that a cell above it would have met."""
    edit_numbers(kernel)
    kernel.run("sum = 0", "careless")
    ran = kernel.run("%flow run --stale", "again")
    assert "ran 3 of 5 cells; nothing is stale" in ran.stdout
    assert 30 == kernel.value("total")
    assert 0 == kernel.value("sum")


def test_a_stale_cell_that_fails_stops_what_needs_it_and_nothing_else(kernel):
    run_all(kernel)
    kernel.run("%%task numbers\nnumbers = 'ab'", "numbers")
    ran = kernel.run("%flow run --stale", "again")
    assert "error" == ran.status
    assert "total failed; 1 cell that needs it not run" in str(ran.reply)
    assert "TypeError" in str(ran.errors)
    assert "b" == kernel.value("most")


def test_an_interrupt_of_a_stale_cell_stops_all_after_it(kernel):
    run_all(kernel)
    kernel.run("%%task numbers\nnumbers = [1]", "numbers")
    kernel.run("%%task total\nraise KeyboardInterrupt", "total")
    assert "total was interrupted; the cells after it were not run" in str(
        kernel.run("%flow run --stale", "again").reply
    )
    assert 3 == kernel.value("most")


def test_a_stale_cell_that_awaits_is_left_to_its_author(kernel):
    run_all(kernel)
    kernel.run("%%task most\nimport asyncio\nawait asyncio.sleep(0)\nmost = max(numbers)", "most")
    kernel.run("%%task numbers\nnumbers = [1]", "numbers")
    assert "most awaits, so it must be run by hand" in refusal(kernel.run("%flow run --stale", "again"))
    assert 1 == kernel.value("total")


@pytest.mark.parametrize("line", ["%flow run --stale -p a=1", "%flow register --stale"])
def test_stale_is_an_option_of_run_alone(kernel, line):
    assert "--stale" in refusal(kernel.run(line, "flow"))


def test_a_slip_in_a_line_that_acts_does_not_stop_other_lines(kernel):
    run_all(kernel)
    assert "did you mean --stale?" in refusal(kernel.run("%flow run --stal", "slip"))
    assert "numbers → total" in kernel.run("%flow why numbers total", "why").stdout
    assert "nothing is stale" in kernel.run("%flow run --stale", "stale").stdout
    assert states(picture(kernel.run("%flow", "show"))) == dict.fromkeys(
        ("numbers", "total", "most", "report"), "Success"
    )


def test_a_slip_in_a_declaration_is_told_by_the_flow_and_stops_no_reading(kernel):
    run_all(kernel)
    assert "did you mean --schedule?" in refusal(kernel.run("%flow etl --schedul hourly", "slip"))
    assert "did you mean --schedule?" in refusal(kernel.run("%flow", "show"))
    assert "numbers → total" in kernel.run("%flow why numbers total", "why").stdout
    assert "nothing is stale" in kernel.run("%flow run --stale", "stale").stdout
