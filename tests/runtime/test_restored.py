"""The variables of a failed run in a living kernel, as they were before the cell that failed."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest

from jupyter_flows.cli import run_command
from jupyter_flows.magics.debugging import DEBUG_TYPE
from tests.magics.conftest import start_kernel
from tests.runtime.conftest import write_notebook

CELLS = (
    "import random\ndef twice(x):\n    return 2 * x",
    "# what to load\ncount = 3",
    "%%task load\nrandom.seed(7)\nrows = [random.random() for _ in range(count)]\nlines = (line for line in 'ab')",
    "%%task other\nsize = len(rows)",
    "%%task broken\nwrong = twice(rows) + random.random() + next(lines)",
    "%%task report\nprint(wrong, size)",
)


@pytest.fixture
def failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An executed notebook whose fifth cell failed, run with ``count=2``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUPYTER_FLOWS_HOME", str(tmp_path / "home"))
    write_notebook(tmp_path / "flow.ipynb", *CELLS, tags={1: ["parameters"]})
    assert 1 == run_command(["execute", "flow.ipynb", "-p", "count=2"])
    return tmp_path / "flow.executed.ipynb"


def test_a_kernel_has_what_stood_before_the_failed_cell(failed: Path, tmp_path: Path) -> None:
    """Values, functions and the random state are as they were; what cannot be restored is named."""
    kernel = start_kernel(tmp_path, tmp_path / "home")
    try:
        kernel.run("%load_ext jupyter_flows", "a")
        said = kernel.run(f"%flow debug {failed}", "b")
        assert "ok" == said.status, said.errors
        assert "as before cell 5 (broken)" in said.stdout
        assert "not here: `lines`: it cannot be pickled (TypeError); load makes it" in said.stdout
        shown = kernel.run(
            "print(count, [round(x, 3) for x in rows], size, twice(4), round(random.random(), 3))", "c"
        )
        assert "2 [0.324, 0.151] 2 8 0.651\n" == shown.stdout
    finally:
        kernel.close()


def test_the_command_writes_a_notebook_that_begins_with_the_variables(
    failed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 0 == run_command(["debug", str(failed)])
    made = failed.with_name("flow.executed.debug.ipynb")
    assert str(made) in capsys.readouterr().out
    assert "%flow debug" in made.read_text()


@pytest.fixture
def debugged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Type ``jupyter flows debug`` in the test's directory, where no server runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUPYTER_FLOWS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("JUPYTER_FLOWS_API_URL", raising=False)

    def run(*arguments: str) -> tuple[int, str]:
        code = run_command(["debug", *arguments])
        said = capsys.readouterr()
        return code, (said.err or said.out).replace(f"{tmp_path}/", "").strip()

    return run


def test_no_variables_are_promised_that_nobody_kept(failed: Path, debugged) -> None:
    """Each with its own sentence, and no notebook is written."""
    good = write_notebook(failed.with_name("good.ipynb"), "%%task a\nx = 1")
    run_command(["execute", str(good)])
    debugged("none.ipynb")  # what the run has printed is not looked at
    for word, sentence in {
        "good.executed.ipynb": "good.executed.ipynb: that run succeeded, so nothing of it was kept; "
        "its variables cannot be restored",
        "good.ipynb": "good.ipynb: not an executed notebook of jupyter flows, "
        "so no variables of it were kept; name the one that a run has written",
        ".": ".: cannot be read: Is a directory",
    }.items():
        assert (2, f"Error: {sentence}") == debugged(word)
    code, said = debugged("nosuchrun")
    assert 2 == code
    assert said.startswith(
        "Error: 'nosuchrun' is no file here, and what runs there are only a server can tell"
    )
    assert (2, "Error: no task is called 'laod'; did you mean load?") == debugged(str(failed), "laod")
    assert [] == list(failed.parent.glob("*.debug*"))


def test_a_notebook_somebody_worked_in_is_left_alone(failed: Path, debugged) -> None:
    """The same again is the same notebook; what was changed is not written over."""
    assert 0 == debugged(str(failed))[0]
    made = failed.with_name("flow.executed.debug.ipynb")
    assert "flow.executed.debug.ipynb: " in debugged(str(failed))[1]
    made.write_text(made.read_text().replace("%flow debug", "my work\\n%flow debug"))
    assert "flow.executed.debug-2.ipynb: " in debugged(str(failed))[1]
    assert "my work" in made.read_text()
    assert "was written by this command" in debugged(made.name)[1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["flow.ipynb"], "flow.ipynb: not an executed notebook of jupyter flows"),
        (["none.ipynb"], "none.ipynb: there is no such file"),
    ],
)
def test_nonsense_is_answered_in_a_sentence(failed: Path, tmp_path: Path, arguments, sentence) -> None:
    kernel = start_kernel(tmp_path, tmp_path / "home")
    try:
        kernel.run("%load_ext jupyter_flows", "a")
        said = kernel.run(f"%flow debug {arguments[0]}", "b")
        assert sentence in said.stderr
        assert "Traceback" not in said.stderr
    finally:
        kernel.close()


def asked(kernel, function: str, *arguments: str):
    """Call what a front end calls; return what it is told, and the refusal."""
    given = ", ".join(map(repr, arguments))
    ran = kernel.run(f"import jupyter_flows.magics.debugging as d; d.{function}({given})", "front-end")
    answers = [data[DEBUG_TYPE] for data in ran.shown if DEBUG_TYPE in data]
    return (answers[0] if answers else None), ran.stderr


def test_a_front_end_is_told_the_cell_and_what_is_there(failed: Path, tmp_path: Path) -> None:
    """In a directory of its own, without the extension; the failed cell then runs as it did in the run."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    kernel = start_kernel(elsewhere, tmp_path / "home")
    try:
        told, refusal = asked(kernel, "debug_from_front_end", str(failed))
        assert "" == refusal
        cells = nbformat.read(failed, 4).cells
        broken = next(place for place, cell in enumerate(cells) if "%%task broken" in cell.source)
        assert ("broken", broken, cells[broken].id) == (told["task"], told["place"], told["cell_id"])
        assert {"rows", "size", "count"} <= {*told["names"], "count"}
        assert ["lines"] == list(told["missing"])
        assert str(tmp_path) == kernel.value("__import__('os').getcwd()")
        again = kernel.run("%%task other\nsize = len(rows)", cells[broken - 1].id)
        assert ("ok", "", "") == (again.status, again.stdout, again.stderr)
    finally:
        kernel.close()


def test_what_cannot_be_debugged_is_refused_in_a_sentence(failed: Path, tmp_path: Path) -> None:
    kernel = start_kernel(tmp_path, tmp_path / "home")
    try:
        told, refusal = asked(kernel, "debug_from_front_end", "flow.ipynb")
        assert (None, True) == (told, "not an executed notebook of jupyter flows" in refusal)
        shutil.rmtree(failed.with_name(".flow.executed.ipynb.checkpoint"))
        told, refusal = asked(kernel, "debug_from_front_end", str(failed))
        assert told is None
        assert "the checkpoint of that run is not there" in refusal
        assert refusal.strip().endswith("its variables cannot be restored")
        assert 1 == len(refusal.strip().splitlines())
    finally:
        kernel.close()


def test_a_setup_cell_that_fails_now_is_named(failed: Path, tmp_path: Path) -> None:
    """A module that was removed since, for one."""
    text = failed.read_text().replace("import random\\ndef twice", "import random, gone_since\\ndef twice")
    failed.write_text(text)
    kernel = start_kernel(tmp_path, tmp_path / "home")
    try:
        told, _ = asked(kernel, "debug_from_front_end", str(failed))
        assert "ModuleNotFoundError when setup cell cell-1 was run again" == told["missing"]["twice"]
    finally:
        kernel.close()
