"""A script's flow is found by executing the script once, quietly; what is wrong is one sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from jupyter_flows.errors import FlowNotFoundInFile, InvalidFlow
from jupyter_flows.storage import flows_of_script, load_script

ONE = "from jupyter_flows import Flow, task\n\n@task\ndef load():\n    return 1\n\nwith Flow('etl') as flow:\n    load()\n"


@pytest.fixture
def script(tmp_path):
    def write(text: str, name: str = "etl.py") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_the_only_flow_is_the_flow(script):
    assert "etl" == load_script(script(ONE)).name


def test_one_of_several_is_chosen_by_name(script):
    path = script(ONE + "with Flow('other') as second:\n    load()\n")
    assert "other" == load_script(path, "other").name
    with pytest.raises(
        FlowNotFoundInFile, match=r"etl\.py has several flows \(etl, other\); choose one with --name"
    ):
        load_script(path)
    with pytest.raises(FlowNotFoundInFile, match="no flow called 'othr'; it has etl, other"):
        load_script(path, "othr")


def test_two_names_of_one_flow_are_one_flow(script):
    assert ["etl"] == [flow.name for flow in flows_of_script(script(ONE + "same = flow\n"))]


def test_a_script_without_a_flow_says_how_to_write_one(script):
    path = script("x = 1\n")
    with pytest.raises(
        FlowNotFoundInFile, match=r"etl\.py has no flow; write 'with Flow\(\.\.\.\) as flow:'"
    ):
        load_script(path)
    with pytest.raises(FlowNotFoundInFile, match="no flow called 'a'; it has no flow at all"):
        load_script(path, "a")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = 1\n\nraise ValueError('secret')\n", "raised ValueError in line 3; run it to see why"),
        ("def f():\n    1 / 0\n\n\nf()\n", "raised ZeroDivisionError in line 2"),
        ("def f(:\n", "raised SyntaxError in line 1"),
        ("import no_such_module_here\n", "raised ModuleNotFoundError in line 1"),
        ("import sys\nsys.exit(3)\n", "raised SystemExit in line 2"),
        ("x = '\0'\n", "raised SyntaxError"),
    ],
    ids=["raises", "in a function", "syntax", "import", "exit", "NUL"],
)
def test_what_a_script_raises_is_told_by_class_and_line(script, text, sentence):
    with pytest.raises(FlowNotFoundInFile) as caught:
        load_script(script(text))
    assert sentence in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_script_that_is_gone_or_a_directory_is_named(tmp_path):
    with pytest.raises(FlowNotFoundInFile, match=r"gone\.py cannot be read: No such file"):
        load_script(tmp_path / "gone.py")
    with pytest.raises(FlowNotFoundInFile, match="cannot be read: Is a directory"):
        load_script(tmp_path)


def test_our_own_errors_pass_as_they_are(script):
    """A flow that cannot be built tells why itself."""
    with pytest.raises(InvalidFlow, match="a flow needs a name"):
        load_script(script("from jupyter_flows import Flow\nFlow('')\n"))


def test_the_part_for_running_as_a_program_is_not_executed(script, tmp_path):
    ran = tmp_path / "ran"
    load_script(script(ONE + f"if __name__ == '__main__':\n    open({str(ran)!r}, 'w')\n"))
    assert not ran.exists()


def test_a_script_that_runs_its_flow_at_the_top_is_only_loaded(script, tmp_path):
    """Prefect 1's rule: while a script is read for its flow, run and register do nothing and say so."""
    ran = tmp_path / "ran"
    text = ONE.replace("return 1", f"open({str(ran)!r}, 'w').close()") + "flow.run()\nflow.register()\n"
    with pytest.warns(UserWarning, match="does nothing while the script is loaded"):
        assert "etl" == load_script(script(text)).name
    assert not ran.exists()


def test_modules_beside_the_script_are_found_and_the_path_is_restored(script):
    script("FOUND = 41\n", "beside_the_script.py")
    before = list(sys.path)
    try:
        flow = load_script(
            script("from beside_the_script import FOUND\n" + ONE.replace("return 1", "return FOUND"))
        )
        assert [41] == [state.result for state in flow.run().result.values()]
    finally:
        sys.modules.pop("beside_the_script", None)
    assert before == sys.path


def test_the_directory_of_the_script_is_taken_from_the_path_once(script, tmp_path, monkeypatch):
    """A directory that was on the path already stays where it stood."""
    monkeypatch.setattr(sys, "path", ["/first", str(tmp_path), "/last"])
    flows_of_script(script("x = 1\n"))
    assert ["/first", str(tmp_path), "/last"] == sys.path


def test_a_script_that_changes_the_path_keeps_its_change(script, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    flows_of_script(script("import sys\nsys.path.insert(0, '/added')\n"))
    assert "/added" == sys.path[0]


def test_encodings_and_annotations_are_those_of_the_script(script, tmp_path):
    """Neither a coding line nor our own __future__ imports leak between the script and us."""
    path = tmp_path / "latin.py"
    path.write_bytes("# -*- coding: latin-1 -*-\nNAME = 'é'\n".encode("latin-1") + ONE.encode())
    assert "etl" == load_script(path).name
    flows_of_script(script("def f(x: int): ...\nassert f.__annotations__['x'] is int\n"))
