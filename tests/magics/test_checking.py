"""``%flow check`` in a kernel: the saved notebook is proved beside it; what goes wrong is one sentence."""

from __future__ import annotations

from jupyter_flows.widget.dag import DAG_TYPE
from tests.check.test_check import THROUGH_A_MODULE
from tests.magics.test_flow_magic import refusal, save


def cells(*sources: str) -> list[tuple[str, str]]:
    return [(f"c{n}", source) for n, source in enumerate(sources)]


def test_check_prints_the_report_and_the_users_names_stay(kernel, tmp_path):
    kernel.run("got = 'mine'", "mine")
    ran = kernel.run(
        f"%flow check {save(tmp_path / 'hidden.ipynb', cells(*THROUGH_A_MODULE))} --runs 1", "check"
    )
    first, last = ran.stdout.strip().replace("\n    ", " ").splitlines()
    assert max(map(len, ran.stdout.splitlines())) <= 96
    assert first.startswith(
        "Cell 4 (get) gives another `got` and its output when cell 2 (put) is not run before it"
    )
    assert last.startswith("The graph is not proved: 1 difference (")
    assert ("ok", "mine") == (ran.status, kernel.value("got"))


def test_a_notebook_that_is_not_saved_is_not_checked(kernel, tmp_path):
    path = save(tmp_path / "hidden.ipynb", cells("%%task a\nx = 1"))
    kernel.run("%%task a\nx = 2", "c0")
    assert "save the notebook (Ctrl+S) and check again" in refusal(kernel.run(f"%flow check {path}", "check"))


def test_infer_shows_the_saved_notebook_as_a_flow(kernel, tmp_path):
    path = save(tmp_path / "plain.ipynb", cells("x = len('ab')", "y = x + 1", "z = x + 2"))
    ran = kernel.run(f"%flow infer {path}", "infer")
    assert "ok" == ran.status
    assert "At once: up to 2 (y, z)." in ran.stdout
    assert f"register {path} --all-cells" in " ".join(ran.stdout.split())
    (graph,) = [data[DAG_TYPE] for data in ran.shown if DAG_TYPE in data]
    assert {("x", "y"), ("x", "z")} == {(edge["from"], edge["to"]) for edge in graph["edges"]}
    kernel.run(
        f"get_ipython().jupyter_flows_recorder.path = __import__('pathlib').Path({str(path)!r})", "path"
    )
    path.write_text(path.read_text())  # saved after that ran
    here = kernel.run("%flow infer", "here").stdout.splitlines()[-1]
    assert (
        "To keep it: a cell with %flow plain --all-cells, then %flow register. To prove it: %flow check."
        == here
    )


def test_what_cannot_be_checked_is_the_commands_own_sentence(kernel, tmp_path):
    path = save(tmp_path / "bad.ipynb", cells("%%task a\nx = 1", "%%task a\ny = 1"))
    said = refusal(kernel.run(f"%flow check {path}", "check"))
    assert "Cells 1 and 2 are both the task 'a'" in said
    said = refusal(kernel.run(f"%flow check {path} --runs many", "check"))
    assert "'many' is not a valid integer" in said
