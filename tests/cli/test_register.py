"""``jupyter flows register``: every kind of target, and what is wrong in one sentence."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from jupyter_flows.cli import run_command
from tests.registering.conftest import notebook

SCRIPT = "from jupyter_flows import Flow, task\n@task\ndef one():\n    return 1\nwith Flow('etl') as flow:\n    one()\n"


@pytest.fixture
def type_in(server, capsys, tmp_path, monkeypatch):
    """Type ``jupyter flows register …``; return the code, what was printed, and what was complained."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = run_command(["register", *arguments])
        said = capsys.readouterr()
        return code or 0, said.out, said.err

    return run


def refused(answer: tuple[int, str, str]) -> str:
    code, out, complaint = answer
    assert (2, "") == (code, out)
    (line,) = complaint.strip().splitlines()
    return line


def test_a_notebook_is_registered_as_itself(type_in, tmp_path):
    notebook(tmp_path / "a.ipynb", "%%task one\nx = 1")
    code, out, complaint = type_in("a.ipynb", "-l", "gpu", "--schedule", "every 1 hour", "--project", "lab")
    assert (0, "") == (code, complaint)
    for words in ("a  (version 1)", "notebook storage", "gpu", "every hour", "sha256"):
        assert words in out


def test_a_script_is_registered_as_itself_and_chosen_by_name(type_in, tmp_path):
    (tmp_path / "etl.py").write_text(SCRIPT + "with Flow('other') as second:\n    one()\n")
    assert "choose one with --name" in refused(type_in("etl.py"))
    code, out, _ = type_in("etl.py", "--name", "other", "--json")
    spec = json.loads(out)["spec"]
    assert (0, "other", True) == (code, spec["name"], spec["storage"]["options"]["stored_as_script"])


def test_a_schedule_can_wait(type_in, tmp_path):
    notebook(tmp_path / "a.ipynb", "%%task one\nx = 1")
    _, out, _ = type_in("a.ipynb", "--schedule", "every 1 hour", "--no-schedule")
    assert "paused: jupyter flows resume a" in out


@pytest.fixture
def flows_here(tmp_path):
    """A module in the working directory, not installed."""
    path = tmp_path / "flows_here.py"
    path.write_text(SCRIPT)
    yield path
    sys.modules.pop("flows_here", None)


def test_a_flow_of_a_module_travels_by_value(type_in, flows_here):
    """Functions that became tasks are not what their module calls by their name, so they go along."""
    code, out, _ = type_in("flows_here:flow")
    assert 0 == code
    assert "local (pickle) storage" in out


def test_a_module_that_is_not_installed_runs_in_its_directory_and_is_warned_of(type_in, flows_here):
    """A plain function of it is looked up by name where the flow runs."""
    flows_here.write_text(SCRIPT.replace("return 1", "return helper()") + "def helper():\n    return 1\n")
    code, out, _ = type_in("flows_here:flow")
    assert 0 == code
    assert f"runs in      {flows_here.parent}, where the agent has it" in out
    assert "module flows_here exists only here" in " ".join(out.split())


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("gone.ipynb", "gone.ipynb"),
        ("gone.py", "gone.py"),
        ("gone", "'gone' is no .ipynb or .py file, nor dotted.module:flow"),
        ("gone.module:flow", "there is no module 'gone' here (asked for by 'gone.module:flow')"),
        ("../x:flow", "is no .ipynb or .py file"),
        ("json:flow", "module json has no flow 'flow'; it has none"),
        ("json:", "module json has no flow ''; it has none"),
        (".", "Is a directory"),
        ("raises_here:flow", "module raises_here raised ValueError when it was imported"),
    ],
)
def test_a_target_that_is_none_is_one_sentence(type_in, tmp_path, target, sentence):
    (tmp_path / "raises_here.py").write_text("raise ValueError('secret')")
    before = list(sys.path)
    said = refused(type_in(target))
    assert sentence in said
    assert "secret" not in said
    assert before == sys.path


def test_a_typing_error_names_the_flows_that_there_are(type_in, tmp_path):
    (tmp_path / "two_flows.py").write_text(SCRIPT)
    try:
        assert "module two_flows has no flow 'flw'; it has flow" in refused(type_in("two_flows:flw"))
    finally:
        sys.modules.pop("two_flows", None)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--storage", "s3"], "no storage is called 's3'; there are notebook, pickle"),
        (["--storage", "script"], "came from no script"),
        (["--label", "a b"], "label 'a b' has a space"),
        (["--label", ""], "a label is empty"),
        (["--schedule", "0 0 30 2 *"], "0 0 30 2 *"),
    ],
)
def test_a_wrong_option_is_one_sentence_and_nothing_is_stored(type_in, server, tmp_path, options, words):
    notebook(tmp_path / "a.ipynb", "%%task one\nx = 1")
    assert words in refused(type_in("a.ipynb", *options))
    assert not any(path.is_file() for path in Path(server.settings.storage_path).rglob("*"))
