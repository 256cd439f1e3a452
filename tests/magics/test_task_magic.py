"""A %%task cell is an ordinary cell: what it shows, returns, raises and binds is the same without the line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest


def bare(traceback: list[str]) -> list[str]:
    """A traceback without colours, counts and line offsets of the cell."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(traceback))
    return re.sub(r"In\s?\[\d+\]", "In[n]", text).splitlines()


@pytest.mark.parametrize(
    "body",
    [
        "x = 1\nx + 1",
        "print('hello')",
        "x = 5;",
        "import asyncio\nawait asyncio.sleep(0)\n'awaited'",
        "async def f():\n    return 3\nawait f()",
        "display({'a': 1})\n42",
        "files = !echo one\nfiles[0]",
        "%matplotlib --list",
        "class A:\n    y = [i for i in range(3)]\nA.y",
        "'a' if True else 'b'",
    ],
)
def test_shows_what_the_plain_cell_shows(kernel, body):
    plain = kernel.run(body, "a")
    as_task = kernel.run(f"%%task first\n{body}", "b")
    assert (plain.status, plain.stdout, plain.result) == (as_task.status, as_task.stdout, as_task.result)
    assert [sorted(bundle) for bundle in plain.shown] == [sorted(bundle) for bundle in as_task.shown]


def test_error_is_that_of_the_plain_cell(kernel):
    """Class, value and the lines that are quoted; the line number counts the magic's line."""
    body = "def f():\n    return 1 / 0\n\nf()"
    plain = kernel.run("# %%task broken\n" + body, "a")
    as_task = kernel.run("%%task broken\n" + body, "b")
    assert plain.status == as_task.status == "error"
    assert as_task.errors[0]["ename"] == "ZeroDivisionError"
    assert bare(plain.errors[0]["traceback"]) == bare(as_task.errors[0]["traceback"])


def test_syntax_error_names_the_line_of_the_cell(kernel):
    ran = kernel.run("%%task broken\nx = 1\ny = = 2", "a")
    assert ran.errors[0]["ename"] == "SyntaxError"
    assert "line 3" in "\n".join(bare(ran.errors[0]["traceback"]))


def test_names_are_bound_in_the_notebook(kernel):
    kernel.run("%%task first\nx = 20", "a")
    assert kernel.run("x + 1").result == "21"


def test_history_holds_the_cell_as_typed(kernel):
    kernel.run("%%task first\nx = 20", "a")
    assert kernel.value("get_ipython().history_manager.input_hist_raw[-1]") == "%%task first\nx = 20"


def test_another_cell_magic_below_runs(kernel):
    ran = kernel.run("%%task first\n%%capture out\nprint('quiet')", "a")
    assert (ran.status, ran.stdout) == ("ok", "")
    assert kernel.value("out.stdout") == "quiet\n"


def test_cell_may_be_empty(kernel):
    assert kernel.run("%%task", "a").status == "ok"
    assert kernel.run("%%task later\n", "a").status == "ok"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("%%task clean --retires 2", ["--retires", "did you mean --retries?"]),
        ("%%task clean --retries many", ["--retries", "many"]),
        ("%%task clean --timeout soon", ["--timeout", "soon"]),
        ("%%task clean --trigger nosuch", ["nosuch"]),
        ('%%task "unclosed', ["quot"]),
    ],
)
def test_mistake_in_the_line_is_one_sentence(kernel, line, words):
    """No traceback, nothing ran, and Run All stops (the reply is an error)."""
    kernel.run("ran = False")
    ran = kernel.run(f"{line}\nran = True", "a")
    assert ran.status == "error"
    assert ran.errors == [] or ran.errors[0]["traceback"] == []
    assert len(ran.stderr.strip().splitlines()) == 1, ran.stderr
    for word in words:
        assert word in ran.stderr
    assert kernel.value("ran") is False


def test_help_and_completion_know_the_magics(kernel):
    magics = kernel.value("list(get_ipython().magics_manager.magics['cell'])")
    assert {"task", "parameters", "skip"} <= set(magics)
    assert kernel.run("%%task?").status == "ok"


def test_parameters_cell_runs(kernel):
    kernel.run("%%parameters\ncity = 'Oslo'", "a")
    assert kernel.value("city") == "Oslo"


def test_unloading_leaves_nothing(kernel):
    kernel.run("%unload_ext jupyter_flows")
    assert kernel.value("get_ipython().magics_manager.magics['line'].get('flow') is None") is True
    assert kernel.run("%%task first\nx = 1").status == "error"


def test_help_tells_the_options(kernel):
    text = "".join(str(page) for page in kernel.run("%%task?").reply["payload"])
    assert "--retries" in text
    assert "--timeout" in text


HEAVY = ["nbformat", "ipywidgets", "sqlalchemy", "urllib3", "jsonschema", "papermill", "cloudpickle", "rich"]
LOAD = r"""
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
before = set(sys.modules)
shell.run_line_magic("load_ext", "jupyter_flows")
shell.run_cell("%%task a --retries 1\nx = 1")
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_loading_and_running_a_task_import_nothing_heavy(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LOAD],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "IPYTHONDIR": str(tmp_path)},
    )
    assert set(json.loads(done.stdout.splitlines()[-1])) & set(HEAVY) == set()


# -- --when -------------------------------------------------------------------------------------------------


def test_a_cell_whose_condition_is_false_is_left_out(kernel):
    """It says so, binds nothing, and does not keep the cells below from running."""
    kernel.run("rows = []", "a")
    ran = kernel.run("%%task mean --when 'len(rows) > 0'\nmean = sum(rows) / len(rows)\nmean", "b")
    assert (ran.status, ran.stdout, ran.result) == ("ok", "(skipped: len(rows) > 0 is false)\n", None)
    assert kernel.run("'mean' in globals()").result == "False"
    shown = kernel.run("get_ipython().jupyter_flows_recorder.cells['b'].state")
    assert shown.result == "'Skipped'"


def test_a_cell_whose_condition_is_true_is_the_ordinary_cell(kernel):
    ran = kernel.run("%%task --when '1 < 2'\nprint('here')\n41 + 1", "a")
    assert (ran.status, ran.stdout, ran.result) == ("ok", "here\n", "42")
    assert kernel.run("43").result == "43"


def test_a_condition_that_raises_is_the_cells_error(kernel):
    ran = kernel.run("%%task --when 'nothing'\nprint('here')", "a")
    assert ran.errors[0]["ename"] == "NameError"
    assert "here" not in ran.stdout


@pytest.mark.parametrize("magic", ["%%capture out", "%%time", "%%time\n%%capture"])
def test_a_cell_with_another_magic_is_kept_as_well(kernel, magic):
    """The other magic has its body run, or transformed, as a cell of its own."""
    source = f"%%task kept --cache-for 1d\n{magic}\nmade = [1, 2]"
    assert "from cache" not in kernel.run(source, "kept").stdout
    assert "from cache" in kernel.run(source, "kept").stdout


def test_a_cell_that_fails_within_another_magic_is_not_kept(kernel):
    """The cell with ``%%capture`` ends well even if its body does not."""
    source = "%%task failing --cache-for 1d\n%%capture\nmade = [3]\nraise ValueError"
    for _ in range(2):
        assert ["ValueError"] == [error["ename"] for error in kernel.run(source, "failing").errors]
