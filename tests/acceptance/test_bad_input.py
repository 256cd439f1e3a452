"""Bad input gets one clear sentence, and nothing is left half-done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jupyter_flows.schema.runs import CreateRun

from .conftest import write_notebook

TASK = "%%task one\nx = 1"


def wrong(completed) -> str:
    """The one sentence of a refused command."""
    assert completed.returncode == 2, (completed.returncode, completed.stdout, completed.stderr)
    assert "Traceback" not in completed.stderr + completed.stdout
    lines = [line for line in completed.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, completed.stderr
    return lines[0]


@pytest.fixture
def untouched(server):
    """After the test: no flow registered, nothing stored."""
    yield
    assert server.api.list_flows().flows == ()
    storage = server.settings.storage_path
    assert not storage.exists() or [p for p in storage.rglob("*") if p.is_file()] == []


def test_server_not_running_says_how_to_start_one(cli, tmp_path):
    sentence = wrong(cli("ls", env={"JUPYTER_FLOWS_HOME": str(tmp_path / "empty")}))
    assert "jupyter flows up" in sentence


def test_server_not_running_stores_nothing(cli, tmp_path):
    notebook = write_notebook(tmp_path / "a.ipynb", TASK)
    home = tmp_path / "empty"
    sentence = wrong(cli("register", str(notebook), env={"JUPYTER_FLOWS_HOME": str(home)}))
    assert "jupyter flows up" in sentence
    assert list(home.rglob("*.ipynb")) == []


def test_wrong_token_is_named_with_the_way_out(cli, server, tmp_path, untouched):
    notebook = write_notebook(tmp_path / "a.ipynb", TASK)
    env = {"JUPYTER_FLOWS_API_URL": server.url, "JUPYTER_FLOWS_API_TOKEN": "jf_admin_nonsense"}
    sentence = wrong(cli("register", str(notebook), env=env))
    assert "token" in sentence
    assert "nonsense" not in sentence


def test_notebook_that_does_not_exist(cli, tmp_path, untouched):
    assert "missing.ipynb" in wrong(cli("register", str(tmp_path / "missing.ipynb")))


def test_file_that_is_no_notebook(cli, tmp_path, untouched):
    path = tmp_path / "a.ipynb"
    path.write_text("print(1)")
    assert "a.ipynb" in wrong(cli("register", str(path)))


def test_notebook_without_tasks(cli, tmp_path, untouched):
    notebook = write_notebook(tmp_path / "a.ipynb", "x = 1")
    sentence = wrong(cli("register", str(notebook)))
    assert "%%task" in sentence
    assert "a.ipynb" in sentence


def test_two_tasks_of_one_name(cli, tmp_path, untouched):
    notebook = write_notebook(tmp_path / "a.ipynb", TASK, "%%task one\ny = 2")
    sentence = wrong(cli("register", str(notebook)))
    assert "one" in sentence
    assert "2" in sentence
    assert "3" in sentence


def test_cycle_by_after(cli, tmp_path, untouched):
    notebook = write_notebook(tmp_path / "a.ipynb", "%%task one --after two\nx = 1", "%%task two\ny = x")
    sentence = wrong(cli("register", str(notebook)))
    assert "one" in sentence
    assert "two" in sentence


def test_unknown_option_names_the_nearest(cli, tmp_path, untouched):
    notebook = write_notebook(tmp_path / "a.ipynb", "%%task clean --retires 2\nx = 1")
    sentence = wrong(cli("register", str(notebook)))
    assert "--retires" in sentence
    assert "--retries" in sentence


def test_unpicklable_global_is_named_with_its_task(cli, tmp_path, untouched):
    script = tmp_path / "etl.py"
    script.write_text(
        "import threading\n"
        "from jupyter_flows import Flow, task\n"
        "guard = threading.Lock()\n"
        "@task\n"
        "def load():\n"
        "    with guard:\n"
        "        return 1\n"
        "with Flow('etl') as flow:\n"
        "    load()\n"
    )
    sentence = wrong(cli("register", str(script), "--storage", "pickle"))
    assert "load" in sentence
    assert "guard" in sentence
    assert "lock" in sentence


def test_schedule_that_does_not_parse(cli, tmp_path, untouched):
    notebook = write_notebook(tmp_path / "a.ipynb", TASK)
    sentence = wrong(cli("register", str(notebook), "--schedule", "every fortnight-ish"))
    assert "every fortnight-ish" in sentence


def test_schedule_that_never_fires(cli, tmp_path, untouched):
    notebook = write_notebook(tmp_path / "a.ipynb", TASK)
    assert "0 0 30 2 *" in wrong(cli("register", str(notebook), "--schedule", "0 0 30 2 *"))


def test_label_with_spaces(cli, tmp_path, untouched):
    notebook = write_notebook(tmp_path / "a.ipynb", TASK)
    assert "my label" in wrong(cli("register", str(notebook), "--label", "my label"))


def test_storage_directory_not_writable(cli, server, tmp_path):
    notebook = write_notebook(tmp_path / "a.ipynb", TASK)
    blocked = tmp_path / "file"
    blocked.write_text("")  # a file where the directory should be: not writable for root either
    sentence = wrong(
        cli("register", str(notebook), env={"JUPYTER_FLOWS_STORAGE_DIR": str(blocked / "storage")})
    )
    assert str(blocked) in sentence
    assert server.api.list_flows().flows == ()


def test_unknown_flow_and_run(cli):
    assert "nosuch" in wrong(cli("show", "nosuch"))
    assert "nosuch" in wrong(cli("run", "nosuch"))
    assert "nosuch" in wrong(cli("cancel", "nosuch"))


def test_unknown_and_missing_parameters(cli, tmp_path):
    notebook = write_notebook(tmp_path / "a.ipynb", TASK, parameters="city = 'Seattle'")
    assert cli("register", str(notebook)).returncode == 0
    assert "town" in wrong(cli("run", "a", "-p", "town=Oslo"))


def _run_to_end(server, flow: str):
    run = server.api.create_run(flow, CreateRun())
    for event in server.api.events(run=run.id, after=0):
        state = getattr(getattr(event.body, "run", None), "state", None)
        if state is not None and state.type in {"Success", "Failed", "Cancelled", "Skipped"}:
            return server.api.get_run(run.id)
    pytest.fail("the stream ended")


def test_kernel_not_installed_on_the_agent(cli, server, start_agent, tmp_path):
    notebook = write_notebook(tmp_path / "a.ipynb", TASK, kernel="julia-9.9")
    registered = cli("register", str(notebook))
    assert registered.returncode == 0, registered.stderr
    start_agent()
    run = _run_to_end(server, "a")
    assert run.state.type == "Failed"
    assert "julia-9.9" in run.state.message
    assert "python3" in run.state.message


@pytest.mark.parametrize("storage", ["notebook", "pickle"])
def test_code_changed_after_registering(cli, server, start_agent, tmp_path, storage):
    notebook = write_notebook(tmp_path / "a.ipynb", "%%task one\nopen('ran.txt', 'w').close()")
    registered = cli("register", str(notebook), "--storage", storage, "--json")
    assert registered.returncode == 0, registered.stderr
    ref = server.api.get_flow("a").version.spec.storage
    stored = Path(ref.location)
    stored.chmod(0o600)
    stored.write_bytes(stored.read_bytes() + b" ")
    start_agent()
    run = _run_to_end(server, "a")
    assert run.state.type == "Failed"
    assert ref.sha256[:4] in run.state.message
    assert "register again" in run.state.message
    assert not (tmp_path / "ran.txt").exists()


def test_receipt_as_json_is_json(cli, tmp_path):
    notebook = write_notebook(tmp_path / "a.ipynb", TASK)
    registered = cli("register", str(notebook), "--json")
    assert registered.returncode == 0, registered.stderr
    assert json.loads(registered.stdout)
