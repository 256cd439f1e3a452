"""``jupyter flows execute`` as it is typed: ends, sentences, deaths, and going on. Real kernels."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import psutil
import pytest

from .conftest import Executed, write_notebook

Typed = Callable[..., "subprocess.CompletedProcess[str]"]
CHAIN = (
    "%%task one\nx = 1\nprint('one ran')",
    "%%task two\nimport os\nif os.environ.get('BROKEN'):\n    raise ValueError('no')\ny = x + 1\nprint('two ran')",
    "%%task three\nz = y * 10\nprint('three gives', z)",
)


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    """The environment of a user whose temporary directory is this test's."""
    (tmp_path / "t").mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER_FLOWS_")}
    return {**kept, "JUPYTER_FLOWS_HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "t"), **more}


@pytest.fixture
def typed(tmp_path: Path):
    """Type a command in the test's directory; afterwards no process and no temporary file of it is left."""

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "jupyter_flows", "execute", *arguments],
            cwd=tmp_path,
            env=environment(tmp_path, **more),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    yield run
    assert [] == processes_of(tmp_path)
    temporary = tmp_path / "t"
    assert [] == (sorted(temporary.iterdir()) if temporary.exists() else [])


def processes_of(tmp_path: Path) -> list[str]:
    """Processes whose temporary directory is this test's."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TMPDIR") == str(tmp_path / "t") and process.status() != "zombie":
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def executed(tmp_path: Path, name: str = "in.executed.ipynb") -> Executed:
    """Return the executed notebook."""
    return Executed(tmp_path / name, None)


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one sentence of a refused command."""
    assert 2 == done.returncode, (done.stdout, done.stderr)
    assert "Traceback" not in done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert 1 == len(lines), done.stderr
    return lines[0].removeprefix("Error: ")


def checkpoint(tmp_path: Path, name: str = "in.executed.ipynb") -> Path:
    """Return where the checkpoint of an executed notebook lies."""
    return tmp_path / f".{name}.checkpoint"


# -- ends ----------------------------------------------------------------------------------------------------


def test_success_is_zero_and_leaves_the_executed_notebook_alone(typed: Typed, tmp_path: Path) -> None:
    """No checkpoint is kept of a run that has succeeded."""
    write_notebook(tmp_path / "in.ipynb", *CHAIN)
    done = typed("in.ipynb")
    assert (0, "") == (done.returncode, done.stderr)
    assert ["Success"] * 3 == executed(tmp_path).states
    assert "three gives 20\n" == executed(tmp_path).text(2)
    assert {"in.ipynb", "in.executed.ipynb", "t"} == {path.name for path in tmp_path.iterdir()} - {"home"}


def test_each_kernel_ends_as_a_program_does(typed: Typed, tmp_path: Path) -> None:
    """What a cell wrote into a file and did not flush is there, whichever of several processes had it."""
    cell = """%%task {0}
print(os.getpid())
time.sleep(2)  # the other has a kernel of its own meanwhile
left_{0} = open('left-{0}', 'w')
_ = left_{0}.write('{0}')
"""
    write_notebook(tmp_path / "in.ipynb", "import os, time", cell.format("a"), cell.format("b"))
    done = typed("in.ipynb", "--parallel", "processes")
    assert (0, "") == (done.returncode, done.stderr)
    found = executed(tmp_path)
    assert found.text(1) != found.text(2)
    assert ["a", "b"] == [(tmp_path / f"left-{name}").read_text() for name in ("a", "b")]


def test_failure_is_one_and_says_how_to_go_on(typed: Typed, tmp_path: Path) -> None:
    """With the command to type, and the checkpoint beside the executed notebook."""
    write_notebook(tmp_path / "in.ipynb", *CHAIN)
    done = typed("in.ipynb", BROKEN="1")
    assert 1 == done.returncode
    command = "jupyter flows execute in.ipynb in.executed.ipynb --resume in.executed.ipynb"
    assert f"go on from there:  {command}" in done.stdout.splitlines()
    assert ["Success", "Failed", "TriggerFailed"] == executed(tmp_path).states
    assert checkpoint(tmp_path).is_dir()


def test_the_line_of_a_failed_task_says_what_its_exception_said(typed: Typed, tmp_path: Path) -> None:
    """The first line of it, not all of a long one, and no secret; its traceback shows the cell as it stands."""
    write_notebook(
        tmp_path / "in.ipynb",
        "api_key = 'none'",
        "%%task ask --timeout 1m\nraise ValueError(f'{api_key} was refused\\nby the server')",
        "%%task long\nraise ValueError('a' * 1000)",
        tags={0: ["parameters"]},
    )
    done = typed("in.ipynb", "-p", "api_key=gx7-hidden-4Q")
    assert "ValueError: *** was refused (cell ask, line 2)" in done.stdout
    assert f"ValueError: {'a' * 199}… (cell long, line 2)" in done.stdout
    assert "gx7-hidden-4Q" not in done.stdout + done.stderr
    outputs = [cell.outputs[-1] for cell in executed(tmp_path).code if "%%task ask" in cell.source]
    assert "1 # %%task ask --timeout 1m" in re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(outputs[0].traceback))


def test_the_way_on_has_the_options_of_the_run(typed: Typed, tmp_path: Path) -> None:
    """Without them other cells would be tasks, and what succeeded would run again."""
    write_notebook(tmp_path / "my book.ipynb", "x = 1", "1 / 0")
    done = typed("my book.ipynb", "out.ipynb", "--all-cells", "--parallel", "processes")
    assert 1 == done.returncode
    [line] = [line for line in done.stdout.splitlines() if line.startswith("go on from there:")]
    command = "'my book.ipynb' out.ipynb --resume out.ipynb --parallel processes --all-cells"
    assert line == f"go on from there:  jupyter flows execute {command}"


def test_without_a_checkpoint_nothing_is_kept(typed: Typed, tmp_path: Path) -> None:
    """And nothing is said about going on."""
    write_notebook(tmp_path / "in.ipynb", *CHAIN)
    done = typed("in.ipynb", "--no-checkpoint", BROKEN="1")
    assert 1 == done.returncode
    assert "go on from there" not in done.stdout
    assert not checkpoint(tmp_path).exists()


# -- bad input: one sentence, nothing ran, nothing written ---------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["in.ipynb", "in.ipynb"],
            "in.ipynb: this is the notebook itself, which is never changed; name another file to write",
        ),
        (["."], ".: cannot be read: Is a directory"),
        (["in.ipynb", "no/out.ipynb"], "no/out.ipynb: there is no directory no to write it to"),
        (
            ["in.ipynb", "--force"],
            "--force goes with --resume: it takes results of cells that have changed since",
        ),
        (["in.ipynb", "--only", "tow"], "no task is called 'tow'; did you mean two?"),
        (["in.ipynb", "--from", "42"], "no task is called '42'; there are one, two, three"),
        (["in.ipynb", "--memory-limit", "much"], "'much' is no size; write it as 512M or 4G"),
        (["in.ipynb", "--memory-limit", "0"], "'0' is no size; write it as 512M or 4G"),
        (
            ["in.ipynb", "--resume", "in.ipynb"],
            "in.ipynb: not an executed notebook of jupyter flows, so there is nothing to go on from",
        ),
    ],
)
def test_bad_input_is_one_sentence(typed: Typed, tmp_path: Path, arguments: list[str], expected: str) -> None:
    """What, which one, what now; and no notebook is written."""
    write_notebook(tmp_path / "in.ipynb", *CHAIN)
    said = sentence(typed(*arguments)).replace(f"{tmp_path}/", "")
    assert expected == said
    assert ["in.ipynb"] == [path.name for path in tmp_path.glob("**/*.ipynb")]
    assert not checkpoint(tmp_path).exists()


@pytest.mark.parametrize("option", ["--timeout", "--cell-timeout"])
def test_a_time_that_is_none_is_one_sentence(typed: Typed, tmp_path: Path, option: str) -> None:
    """It names what was typed."""
    write_notebook(tmp_path / "in.ipynb", *CHAIN)
    assert "soon" in sentence(typed("in.ipynb", option, "soon"))


@pytest.mark.parametrize("arguments", [["none.ipynb"], ["in.ipynb", "--resume", "none.ipynb"]])
def test_a_notebook_that_is_not_there_is_named(typed: Typed, tmp_path: Path, arguments: list[str]) -> None:
    """Whether it is to be run or to be gone on from."""
    write_notebook(tmp_path / "in.ipynb", *CHAIN)
    assert "none.ipynb" in sentence(typed(*arguments))


def test_a_run_that_succeeded_is_not_gone_on_from(typed: Typed, tmp_path: Path) -> None:
    """Nothing of it was kept, as it says."""
    write_notebook(tmp_path / "in.ipynb", *CHAIN)
    typed("in.ipynb")
    said = sentence(typed("in.ipynb", "again.ipynb", "--resume", "in.executed.ipynb"))
    assert said.endswith(
        "in.executed.ipynb: that run succeeded, so nothing of it was kept; run without --resume"
    )
    assert not (tmp_path / "again.ipynb").exists()


def test_changed_cells_are_refused_named_or_forced(typed: Typed, tmp_path: Path) -> None:
    """The failed run stays as it was until one has decided."""
    write_notebook(tmp_path / "in.ipynb", *CHAIN)
    typed("in.ipynb", BROKEN="1")
    before = (tmp_path / "in.executed.ipynb").read_bytes()
    write_notebook(tmp_path / "in.ipynb", CHAIN[0].replace("x = 1", "x = 2"), *CHAIN[1:])
    again = ("in.ipynb", "in.executed.ipynb", "--resume", "in.executed.ipynb")
    assert sentence(typed(*again)) == (
        "one has changed since the run that is to go on; run without --resume, "
        "or take its result as it is with --force"
    )
    assert before == (tmp_path / "in.executed.ipynb").read_bytes()
    assert 0 == typed(*again, "--force").returncode
    assert "three gives 20\n" == executed(tmp_path).text(2)


# -- going on ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["off", "processes"])
def test_what_succeeded_does_not_run_again(typed: Typed, tmp_path: Path, mode: str) -> None:
    """Also tasks that give nothing to others; their outputs are those of the run before."""
    sources = ("%%task mail\nopen('sent', 'a').write('.')", *CHAIN)
    write_notebook(tmp_path / "in.ipynb", *sources)
    assert 1 == typed("in.ipynb", "--parallel", mode, BROKEN="1").returncode
    done = typed("in.ipynb", "--parallel", mode, "--resume", "in.executed.ipynb")
    assert 0 == done.returncode, done.stdout
    assert "resumed: 2 tasks stand, 2 run" in done.stdout.splitlines()
    assert "." == (tmp_path / "sent").read_text()
    found = executed(tmp_path)
    assert ["one ran\n", "two ran\n", "three gives 20\n"] == [found.text(place) for place in (1, 2, 3)]
    told = [cell.metadata["jupyter_flows"] for cell in found.code]
    assert [True, True, None, None] == [cell.get("restored") for cell in told]
    assert ["the run before"] * 2 + [None] * 2 == [cell.get("restored_from") for cell in told]


def test_what_was_taken_over_is_there_for_the_run_after_the_next(typed: Typed, tmp_path: Path) -> None:
    """Also if each run writes a notebook of its own."""
    write_notebook(tmp_path / "in.ipynb", *CHAIN)
    assert 1 == typed("in.ipynb", "a.ipynb", BROKEN="1").returncode
    assert 1 == typed("in.ipynb", "b.ipynb", "--resume", "a.ipynb", BROKEN="1").returncode
    done = typed("in.ipynb", "c.ipynb", "--resume", "b.ipynb")
    assert "resumed: 1 tasks stand, 2 run" in done.stdout.splitlines()
    entry = nbformat.read(tmp_path / "c.ipynb", 4).cells[0].metadata["jupyter_flows"]
    assert (True, "a.ipynb") == (entry["restored"], entry["restored_from"])


def test_what_was_set_in_a_module_is_set_again(typed: Typed, tmp_path: Path) -> None:
    """A module is not kept: the task that changed it runs again, and says why."""
    write_notebook(
        tmp_path / "in.ipynb",
        "import decimal",
        "%%task one\ndecimal.getcontext().prec = 3",
        "%%task two\nimport os\nassert not os.environ.get('BROKEN')\nprint(decimal.Decimal(1) / 3)",
    )
    typed("in.ipynb", BROKEN="1")
    done = typed("in.ipynb", "--resume", "in.executed.ipynb")
    why = "one runs again: `decimal` was not kept: what was set in a module cannot be pickled"
    assert why in done.stdout.splitlines()
    assert "0.333\n" == executed(tmp_path).text(2)


def test_parameters_are_those_of_the_run_before(typed: Typed, tmp_path: Path) -> None:
    """Unless others are given; then what stood on them has changed."""
    write_notebook(tmp_path / "in.ipynb", "n = 1", *CHAIN[1:2], tags={0: ["parameters"]})
    write_notebook(
        tmp_path / "in.ipynb",
        "n = 1",
        "%%task one\nx = n * 2",
        *CHAIN[1:],
        tags={0: ["parameters"]},
    )
    assert 1 == typed("in.ipynb", "-p", "n=4", BROKEN="1").returncode
    assert 0 == typed("in.ipynb", "out.ipynb", "--resume", "in.executed.ipynb").returncode
    assert "three gives 90\n" == executed(tmp_path, "out.ipynb").text(-1)


@pytest.mark.parametrize("mode", ["off", "processes"])
def test_parameters_reach_every_kernel(typed: Typed, tmp_path: Path, mode: str) -> None:
    """Typed as their defaults are."""
    write_notebook(
        tmp_path / "in.ipynb",
        "n = 1\nname = 'a'",
        "%%task one\nprint(n + 1)",
        "%%task two\nprint(name * 2)",
        tags={0: ["parameters"]},
    )
    assert 0 == typed("in.ipynb", "-p", "n=4", "-p", "name=12", "--parallel", mode).returncode
    assert ["5\n", "1212\n"] == [executed(tmp_path).text(place) for place in (-2, -1)]


# -- deaths --------------------------------------------------------------------------------------------------

DIES_ONCE = "import os\nif not os.path.exists('mark'):\n    open('mark', 'w').close(); {death}\n"


@pytest.mark.parametrize("mode", ["off", "processes"])
@pytest.mark.parametrize("death", ["os._exit(1)", "os.kill(os.getpid(), 9)"])
def test_a_dead_kernel_is_replaced_and_its_inputs_restored(
    typed: Typed, tmp_path: Path, mode: str, death: str
) -> None:
    """The task is tried again in a fresh kernel; nothing above it runs again."""
    write_notebook(
        tmp_path / "in.ipynb",
        "def double(v):\n    return [2 * n for n in v]",
        "%%task one\nopen('ran', 'a').write('.')\nvalues = [1, 2]",
        f"%%task two --retries 1\n{DIES_ONCE.format(death=death)}print(double(values))",
    )
    done = typed("in.ipynb", "--parallel", mode)
    assert 0 == done.returncode, done.stdout
    assert "the kernel died" in done.stdout
    assert "[2, 4]\n" == executed(tmp_path).text(2)
    assert "." == (tmp_path / "ran").read_text()


@pytest.mark.parametrize("mode", ["off", "threads", "processes"])
def test_the_next_attempt_goes_on_from_what_the_last_left(typed: Typed, tmp_path: Path, mode: str) -> None:
    """As by hand; also while other tasks run between two attempts."""
    write_notebook(
        tmp_path / "in.ipynb",
        "%%task begin\ntries = []",
        (
            "%%task flaky --retries 2 --retry-delay 300ms\ntries.append(len(tries))\n"
            "left = globals().get('left', 0) + 1 if tries[-1] else 1\n"
            "if left < 3:\n    raise ValueError('not yet')\nprint(tries, left)"
        ),
        *(f"%%task other_{n}\nx{n} = sum(range({n} + 100000))" for n in range(3)),
        "%%task end\nprint(tries, left, x0 > 0)",
    )
    done = typed("in.ipynb", "--parallel", mode)
    assert 0 == done.returncode, done.stdout
    assert "[0, 1, 2] 3\n" == executed(tmp_path).text(1)
    assert "[0, 1, 2] 3 True\n" == executed(tmp_path).text(5)


@pytest.mark.parametrize("mode", ["off", "processes"])
def test_objects_that_share_memory_come_back_together(typed: Typed, tmp_path: Path, mode: str) -> None:
    """In the fresh kernel two names are still one list, with all that was done to it."""
    write_notebook(
        tmp_path / "in.ipynb",
        "%%task one\nrows = []\nother = rows",
        "%%task two\nrows.append(1)",
        f"%%task three --retries 1\n{DIES_ONCE.format(death='os._exit(1)')}other.append(2)\nprint(rows, rows is other)",
    )
    assert 0 == typed("in.ipynb", "--parallel", mode).returncode
    assert "[1, 2] True\n" == executed(tmp_path).text(2)


@pytest.mark.parametrize("mode", ["off", "processes"])
def test_a_killed_run_is_gone_on_from(typed: Typed, tmp_path: Path, mode: str) -> None:
    """SIGKILL in the middle: the kernels go too, what had ended stands, the rest runs.

    The cell under way is in a call of C, where the kernel itself does not see that its parent is gone. The
    temporary directory of the killed run is removed by the next one.
    """
    write_notebook(
        tmp_path / "in.ipynb",
        "%%task one\nopen('ran', 'a').write('.')\nx = list(range(3))",
        "%%task two\nimport os, re\nif os.environ.get('BROKEN'):\n    open('there', 'w').close()\n"
        "    re.match(r'(a|a)*$', 'a' * 60 + 'b')\n"
        "print(x)",
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyter_flows", "execute", "in.ipynb", "--parallel", mode],
        cwd=tmp_path,
        env=environment(tmp_path, BROKEN="1"),
        stdout=subprocess.DEVNULL,
    )
    try:
        until((tmp_path / "there").exists)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    until(lambda: not processes_of(tmp_path))
    assert any((tmp_path / "t").iterdir())
    done = typed("in.ipynb", "--parallel", mode, "--resume", "in.executed.ipynb")
    assert 0 == done.returncode, done.stdout + done.stderr
    assert "resumed: 1 tasks stand, 1 run" in done.stdout.splitlines()
    assert "[0, 1, 2]\n" == executed(tmp_path).text(1)
    assert "." == (tmp_path / "ran").read_text()


def test_outputs_of_an_older_run_are_not_taken_for_those_of_a_killed_one(
    typed: Typed, tmp_path: Path
) -> None:
    """Where the executed notebook of an older run lay, the killed run's own is found."""
    cells = (
        "%%task one\nprint('{}')\nx = 1",
        "%%task two\nimport os\nif os.environ.get('BROKEN'):\n    open('there', 'w').close(); import time; time.sleep(60)\nprint(x)",
    )
    write_notebook(tmp_path / "in.ipynb", cells[0].format("older"), cells[1])
    assert 0 == typed("in.ipynb").returncode
    write_notebook(tmp_path / "in.ipynb", cells[0].format("newer"), cells[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyter_flows", "execute", "in.ipynb"],
        cwd=tmp_path,
        env=environment(tmp_path, BROKEN="1"),
        stdout=subprocess.DEVNULL,
    )
    try:
        until((tmp_path / "there").exists)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    until(lambda: not processes_of(tmp_path))
    assert "older" not in (tmp_path / "in.executed.ipynb").read_text()
    done = typed("in.ipynb", "--resume", "in.executed.ipynb")
    assert 0 == done.returncode, done.stdout + done.stderr
    assert "older" not in executed(tmp_path).text(0)
    assert "1\n" == executed(tmp_path).text(1)


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds; the test's own time limit ends it otherwise."""
    import threading

    tick = threading.Event()
    while not holds():
        tick.wait(0.05)


def test_the_executed_notebook_of_a_failed_run_is_valid(typed: Typed, tmp_path: Path) -> None:
    """It opens as any other; the state of each cell is in its metadata."""
    write_notebook(tmp_path / "in.ipynb", *CHAIN)
    typed("in.ipynb", BROKEN="1")
    nb = nbformat.read(tmp_path / "in.executed.ipynb", as_version=4)
    nbformat.validate(nb)
    facts = nb.metadata["jupyter_flows"]
    assert ("in", "Failed") == (facts["flow"], facts["state"])
    assert str(checkpoint(tmp_path)) == facts["checkpoint"]
