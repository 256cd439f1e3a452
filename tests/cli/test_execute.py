"""What ``jupyter flows execute`` refuses before anything runs, each in one sentence, and what it says beside."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from jupyter_flows.cli import run_command
from tests.runtime.conftest import write_notebook

CHAIN = ("%%task load\nrows = [1, 2]", "%%task total\ntotal = sum(rows)", "%%task show\nprint(total / 0)")
MANY = tuple(f"%%task t{number}\nv{number} = 1" for number in range(12))


@pytest.fixture
def typed(tmp_path, monkeypatch, capfd):
    """Type a command in the test's directory; what it printed, and where."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = run_command(["execute", *arguments])
        said = capfd.readouterr()
        return code, said.out, said.err

    return run


@pytest.mark.parametrize(
    ("cells", "arguments", "expected"),
    [
        (
            ("city = 'Oslo'", *CHAIN),
            ["-p", "ctiy=Rome"],
            "in.ipynb has no parameter 'ctiy'; did you mean city?",
        ),
        (("city = 'Oslo'", *CHAIN), ["-p", "year=2"], "in.ipynb has no parameter 'year'; there are city"),
        (("pass", *CHAIN), ["-p", "year=2"], "in.ipynb has no parameter 'year'; there are none"),
        (
            ("x = 1", "%%task clean --retrys 2\ny = x"),
            [],
            "Cell 2 (%%task clean): unknown option --retrys; did you mean --retries?",
        ),
        (
            ("x = 1", "%%task clean --retries many\ny = x"),
            [],
            (
                "Cell 2 (%%task clean): --retries many: expected a whole number from 0 to 1000, "
                "such as --retries 3"
            ),
        ),
        (
            ("%%task a\nx = 1", "%%task a\ny = x"),
            [],
            "Cells 1 and 2 are both the task 'a'; give one of them another name",
        ),
        (
            ("x = 1", "y = x"),
            [],
            (
                "in.ipynb has no task: begin at least one cell with %%task, "
                "or let every cell be one with --all-cells"
            ),
        ),
        ((), ["--all-cells"], "in.ipynb has no task: it has no cell with code"),
        (
            ("import math",),
            ["--all-cells"],
            "in.ipynb has no cell that could be a task: imports, definitions and constants are none",
        ),
        (
            MANY,
            ["--only", "zzz"],
            "no task is called 'zzz'; there are t0, t1, t2, t3, t4, t5, t6, t7, t8, t9 and 2 more",
        ),
        (MANY, ["--only", "cell-5"], "no task is called 'cell-5'; did you mean t4, which is cell 5?"),
        (CHAIN, ["--only", "cell-9"], "no task is called 'cell-9'; there are load, total, show"),
        (
            CHAIN,
            ["--kernel", "nokernel"],
            "no kernel is called 'nokernel'; installed are python3 (jupyter kernelspec list)",
        ),
    ],
)
def test_a_mistake_is_told_before_anything_runs(typed, tmp_path, cells, arguments, expected):
    """One sentence, status 2, and no notebook is written."""
    write_notebook(tmp_path / "in.ipynb", *cells, tags={0: ["parameters"]} if len(cells) == 4 else None)
    assert (2, "", f"Error: {expected}\n") == typed("in.ipynb", *arguments)
    assert ["in.ipynb"] == [path.name for path in tmp_path.iterdir()]


def test_the_kernel_that_a_notebook_asks_for_is_named_with_the_way_on(typed, tmp_path):
    path = write_notebook(tmp_path / "in.ipynb", *CHAIN)
    path.write_text(path.read_text().replace('"python3"', '"ir"'))
    assert typed("in.ipynb")[2] == (
        "Error: in.ipynb asks for kernel 'ir', which is not here; install it or run it in another one with "
        "--kernel NAME; installed are python3 (jupyter kernelspec list)\n"
    )


@pytest.mark.parametrize(
    "names", ["city, year = 'Oslo', 2", "if True:\n    city: str = 'Oslo'", "from x import *"]
)
def test_a_parameter_may_be_bound_in_any_way(typed, tmp_path, names):
    """``--only`` with a wrong name ends the command after the parameters were looked at."""
    write_notebook(tmp_path / "in.ipynb", names, *CHAIN, tags={0: ["parameters"]})
    assert "no task is called 'x'" in typed("in.ipynb", "-p", "city=Rome", "--only", "x")[2]


def test_parameters_without_a_cell_for_them_are_set_on_top_and_that_is_said(typed, tmp_path):
    """On stderr, so that the JSON on stdout stays JSON; papermill's own words are not there twice."""
    write_notebook(tmp_path / "in.ipynb", "city = 'Oslo'", "%%task a\nprint(city, year)")
    code, out, err = typed("in.ipynb", "-p", "year=2", "-p", "city=Rome", "--json")
    assert (0, "Success") == (code, json.loads(out)["state"])
    assert err == (
        "in.ipynb: no cell is tagged `parameters`, so year, city are set above the first cell; "
        "but cell 1 sets city again: tag the cell that sets them `parameters`\n"
    )
    assert "Oslo 2\\n" in Path("in.executed.ipynb").read_text()


def test_a_cell_marked_as_parameters_needs_no_tag(typed, tmp_path):
    """What was given is set below it, as below a tagged one."""
    write_notebook(tmp_path / "in.ipynb", "%%parameters\ncity = 'Oslo'", "%%task a\nprint('in', city)")
    code, _, err = typed("in.ipynb", "-p", "city=Rome")
    assert (0, "") == (code, err)
    cells = json.loads(Path("in.executed.ipynb").read_text())["cells"]
    assert [[], ["injected-parameters"], []] == [cell["metadata"]["tags"] for cell in cells]
    assert "in Rome\n" == cells[2]["outputs"][0]["text"]


def test_a_failed_run_is_gone_on_from_by_its_own_notebook(typed, tmp_path):
    """The way on repeats what was chosen; another notebook is named as another; a renamed one is not."""
    write_notebook(tmp_path / "in.ipynb", *CHAIN)
    code, out, _ = typed("in.ipynb", "--only", "show", "--from", "total")
    assert 1 == code
    again = "in.ipynb in.executed.ipynb --resume in.executed.ipynb --only show --from total"
    assert f"go on from there:  jupyter flows execute {again}" == out.splitlines()[-1]

    write_notebook(tmp_path / "other.ipynb", "%%task k\nx = 1")
    assert typed("other.ipynb", "--resume", "in.executed.ipynb")[::2] == (
        2,
        (
            f"Error: {tmp_path}/in.executed.ipynb: executed from in.ipynb, not from other.ipynb: none of its tasks "
            "(load, total, show) is in this one; name a run of this notebook, or run without --resume\n"
        ),
    )
    write_notebook(tmp_path / "alike.ipynb", "%%task load\nrows = []", "%%task total\ntotal = len(rows)")
    assert (
        "not from alike.ipynb: no task of it has the code"
        in typed("alike.ipynb", "--resume", "in.executed.ipynb")[2]
    )
    write_notebook(tmp_path / "renamed.ipynb", *CHAIN[:2], "%%task show\nprint(total)")
    code, out, _ = typed("renamed.ipynb", "--resume", "in.executed.ipynb")
    assert (0, True) == (code, "resumed: 2 tasks stand, 1 run" in out)


def test_no_notebook_is_lost_and_a_place_that_will_not_do_is_known_at_once(typed, tmp_path):
    """A link to the notebook is the notebook; one that no run has written is somebody's work."""
    before = write_notebook(tmp_path / "in.ipynb", "%%task a\nx = 1").read_bytes()
    (tmp_path / "link.ipynb").symlink_to("in.ipynb")
    (tmp_path / "hard.ipynb").hardlink_to(tmp_path / "in.ipynb")
    (tmp_path / "place").mkdir()
    write_notebook(tmp_path / "work.ipynb", "y = 2")
    for target, why in {
        "link.ipynb": "this is the notebook itself, which is never changed; name another file to write",
        "hard.ipynb": "this is the notebook itself, which is never changed; name another file to write",
        "work.ipynb": "a notebook that no run has written would be lost; name another file to write",
        "place": "this is a directory; name a file to write in it",
        "x" * 250: "cannot be written: File name too long",
        "x" * 300: "cannot be written: File name too long",
    }.items():
        assert (2, "", f"Error: {target}: {why}\n") == typed("in.ipynb", target)
    assert before == (tmp_path / "in.ipynb").read_bytes()
    # What a run has written may be written again.
    assert [0, 0] == [typed("in.ipynb", "out.ipynb")[0] for _ in range(2)]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["foo://x/out.ipynb"],
            "foo://x/out.ipynb: papermill writes to no foo://; it knows s3, gs, abs, adl, hdfs, https, and files",
        ),
        (["--memory-limit", "5"], "'5' is 5 bytes, in which no kernel can start; write it as 512M or 4G"),
        (
            ["--timeout", "0"],
            "--timeout 0 leaves no time for anything; give more than zero, such as --timeout 10m",
        ),
    ],
)
def test_what_cannot_work_is_refused(typed, tmp_path, arguments, expected):
    write_notebook(tmp_path / "in.ipynb", *CHAIN)
    assert f"Error: {expected}\n" == typed("in.ipynb", *arguments)[2]


def test_an_address_needs_a_package_and_the_notebook_is_a_file(typed, tmp_path):
    """papermill would say so with a traceback, when the cells have run."""
    write_notebook(tmp_path / "in.ipynb", *CHAIN)
    if importlib.util.find_spec("boto3") is None:
        said = typed("in.ipynb", "s3://bucket/out.ipynb")[2]
        assert said == (
            "Error: s3://bucket/out.ipynb: boto3 is not installed; 'pip install papermill[s3]' adds it\n"
        )
    assert typed("https://example.org/in.ipynb")[2].startswith(
        "Error: https://example.org/in.ipynb: not a file of this machine; fetch it first"
    )


def test_a_cell_without_outputs_in_the_file_runs(typed, tmp_path):
    """As programs write them; ``register`` takes them, too."""
    cell = {"cell_type": "code", "metadata": {}, "source": "%%task a\nx = 1"}
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    (tmp_path / "in.ipynb").write_text(json.dumps(content))
    code, _, err = typed("in.ipynb")
    assert (0, "") == (code, err)
