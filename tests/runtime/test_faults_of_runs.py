"""What goes wrong in a headless run, as it is typed: the sentences, the states, and nothing left behind.

Each mode where it makes a difference: one kernel, several threads of one, several kernels.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from .conftest import write_notebook
from .test_execute import environment, executed, typed, until

__all__ = ["typed"]

IS_ROOT = os.geteuid() == 0
MODES = ("off", "threads", "processes")
GONE = "killed: the kernel gave no answer; a cell has closed its sockets or replaced a part of it"

# name: options, source, state, message
FAULTS = {
    "exits": ("", "import os; os._exit(1)", "Failed", "the kernel died: exit code 1 (in cell exits)"),
    "killed": ("", "import os; os.kill(os.getpid(), 9)", "Failed", "the kernel died: killed by signal 9 (in cell killed)"),
    "faulty": ("", "import ctypes; ctypes.string_at(0)", "Failed", "the kernel died: segmentation fault (signal 11) (in cell faulty)"),
    "closes": (
        "", "import gc, zmq\nfor each in gc.get_objects():\n    if isinstance(each, zmq.Socket): each.close()",
        "Failed", f"{GONE} (in cell closes)",
    ),
    "greedy": (
        "", "parts = []\nwhile True: parts.append(bytearray(8_000_000))", "Failed",
        r"killed: memory limit of 400 MB exceeded (peak \d+ MB) (in cell greedy)",
    ),
    "loops": ("--timeout 1s", "while True: pass", "TimedOut", "task loops took longer than 1 s"),
    "in_c": ("--timeout 1s", "import re; re.match(r'(a|a)*$', 'a' * 60 + 'b')", "TimedOut", "task in_c took longer than 1 s"),
    "asked": ("--timeout 1s --when '[0 for _ in iter(int, 1)]'", "x", "TimedOut", "task asked took longer than 1 s"),
    "leaves": ("", "import sys; sys.exit(2)", "Failed", "SystemExit: 2 in cell leaves"),
    "speaks": ("", "import sys; sys.exit('secret words')", "Failed", "SystemExit in cell speaks"),
    "ends": ("", "import sys; sys.exit(0)", "Success", ""),
    "quits": ("", "quit()", "Success", ""),
}  # fmt: skip
OF_MODE = {
    "off": tuple(FAULTS),
    # What ends a kernel's process ends it for all of its threads; an interrupt goes another way there.
    "threads": ("exits", "greedy", "loops", "leaves", "quits"),
    # A kernel takes the place of one that died, and gets there what the next cell needs.
    "processes": ("exits", "greedy", "loops", "closes", "leaves"),
}


@pytest.mark.parametrize("mode", MODES)
def test_each_fault_is_told_by_its_cause_and_the_rest_goes_on(typed, tmp_path: Path, mode: str) -> None:
    """A9, A11, A13: its task has the state and the sentence; what needs it is not run; all others are."""
    above, cells = "first", ["%%task first\nx = [1]"]
    for name in OF_MODE[mode]:
        options, source, _, _ = FAULTS[name]
        cells.append(f"%%task {name} --after {above} --trigger all_finished {options}\n{source}")
        above = name
    cells += [
        "%%task below --after exits\nprint('never')",
        f"%%task last --after {above} --trigger all_finished\nprint(x)",
    ]
    write_notebook(tmp_path / "in.ipynb", *cells)
    done = typed("in.ipynb", "--parallel", mode, "--memory-limit", "400M")
    assert 1 == done.returncode, done.stdout + done.stderr
    assert "Traceback" not in done.stdout
    found = executed(tmp_path)
    for place, name in enumerate(OF_MODE[mode], start=1):
        _, _, state, message = FAULTS[name]
        assert state == found.states[place], (name, done.stdout)
        assert re.fullmatch(re.escape(message).replace(r"\\d\+", r"\d+"), found.message(place)), (
            found.message(place)
        )
    assert ["TriggerFailed", "Success"] == found.states[-2:]
    assert "trigger all_successful: upstream task exits ended Failed" == found.message(-2)
    assert "[1]\n" == found.text(-1)
    assert "Failed" == found.nb.metadata["jupyter_flows"]["state"]
    failed = sum(1 for state in found.states if state != "Success") - 1
    assert (
        f"✗ Failed task exits failed: the kernel died: exit code 1 (in cell exits) ({failed} more failed or could not run)"
        in done.stdout
    )


@pytest.mark.parametrize(
    ("mode", "number"),
    # SIGTERM becomes SIGINT before it reaches what differs by mode: one kernel and several are enough.
    [*((mode, signal.SIGINT) for mode in MODES), ("off", signal.SIGTERM), ("processes", signal.SIGTERM)],
)
def test_an_interrupt_cancels_what_runs_and_what_waits(typed, tmp_path: Path, mode: str, number: int) -> None:
    """Each kernel is interrupted once; outputs, states and checkpoint stand."""
    lines = (
        "%%task first\nprint('first')",
        # In Python all the time, so that a thread hears of it too.
        "%%task long --after first\nprint('said', flush=True)\nopen('there', 'w').close()\nwhile True: pass",
        "%%task below --after long\nprint('never')",
    )
    write_notebook(tmp_path / "in.ipynb", *lines)
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyter_flows", "execute", "in.ipynb", "--parallel", mode],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until((tmp_path / "there").exists)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert 130 == process.returncode, out + err
    assert "Traceback" not in out + err
    found = executed(tmp_path)
    assert ["Success", "Cancelled", "Cancelled"] == found.states
    assert "the run was cancelled while it ran" == found.message(1)
    assert "the run was cancelled before it began" == found.message(2)
    outputs = found.code[1].outputs
    assert ["said\n", "KeyboardInterrupt"] == [each.get("text") or each.get("ename") for each in outputs]
    facts = found.nb.metadata["jupyter_flows"]
    assert ("Cancelled", "interrupted") == (facts["state"], facts["message"])
    assert Path(facts["checkpoint"]).is_dir()


def test_a_flood_in_one_thread_is_counted_for_its_own_cell(typed, tmp_path: Path) -> None:
    """A19: cells of other threads, and what is asked between cells, take nothing of the count away."""
    write_notebook(
        tmp_path / "in.ipynb",
        "%%task flood\nprint('x' * 200_000_000)",
        "%%task beside\nfor n in range(200): print(n)",
        "%%task more\nprint('y' * 10)",
    )
    done = typed("in.ipynb", "--parallel", "threads")
    assert 0 == done.returncode, done.stdout
    found = executed(tmp_path)
    dropped = found.code[0].outputs[-1]["text"]
    assert 126 < float(re.fullmatch(r"… ([\d.]+) MB of output dropped: .*\n", dropped)[1]) < 130
    assert (tmp_path / "in.executed.ipynb").stat().st_size < 65 * 1024 * 1024


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 1 MB."""
    if not IS_ROOT:
        pytest.skip("mounting a small file system needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


BIG = ("%%task first\nprint('first')", "%%task big --after first\nprint('x' * 3_000_000)")


def test_a_result_that_could_not_be_saved_is_no_success(typed, tmp_path: Path, small_disk: Path) -> None:
    """A21: the flow's state is its own; the sentence names place and room; the exit code is 1."""
    write_notebook(tmp_path / "in.ipynb", *BIG)
    done = typed("in.ipynb", "disk/out.ipynb")
    assert 1 == done.returncode, done.stdout
    assert "● Success All reference tasks succeeded." in done.stdout
    last = done.stdout.splitlines()[-1]
    assert re.fullmatch(
        rf"the executed notebook cannot be saved to {re.escape(str(small_disk))}/out\.ipynb: "
        r"no space left on device; [\d.]+ MB of 1 MB free",
        last,
    )
    assert ["out.ipynb"] == [path.name for path in small_disk.iterdir()]
    nbformat.validate(nbformat.read(small_disk / "out.ipynb", as_version=4))


_PAPERMILL = """
import resource, signal, sys
sys.modules.setdefault("rfc3987_syntax", None)
from papermill.__main__ import papermill
from papermill.engines import papermill_engines
from jupyter_flows.runtime.papermill_engine import FlowsEngine
papermill_engines.register("flows", FlowsEngine)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
papermill(["--engine", "flows", "--no-progress-bar", "in.ipynb", *sys.argv[1:]])
"""


@pytest.mark.parametrize("target", ["out.ipynb", "below/out.ipynb", "link.ipynb"])
def test_papermills_last_writing_tears_no_file(tmp_path: Path, target: str) -> None:
    """Papermill writes once more when the engine is done: the old file or the new stands, never half."""
    (tmp_path / "below").mkdir()
    (tmp_path / "link.ipynb").symlink_to(tmp_path / "below" / "linked.ipynb")
    write_notebook(tmp_path / "in.ipynb", *BIG)
    done = subprocess.run(
        [sys.executable, "-c", _PAPERMILL, target],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert 1 == done.returncode, done.stderr
    assert re.search(r"the executed notebook cannot be saved to \S+\.ipynb: file too large; ", done.stderr)
    left = nbformat.read(tmp_path / target, as_version=4)
    nbformat.validate(left)
    assert 2 == len(left.cells)
    assert [] == [path.name for path in tmp_path.rglob("*.tmp")]
    assert (tmp_path / "link.ipynb").is_symlink()


def test_papermill_writes_other_files_as_before(tmp_path: Path) -> None:
    """With room the file is papermill's own, and what is no file of its own is written through."""
    assert resource.RLIM_INFINITY == resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    write_notebook(tmp_path / "in.ipynb", "%%task one\nprint('fine')")
    done = subprocess.run(
        [sys.executable, "-c", _PAPERMILL, "out.ipynb"],
        cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    assert "fine\n" == executed(tmp_path, "out.ipynb").text(0)
    assert {"in.ipynb", "out.ipynb", "t"} == {path.name for path in tmp_path.iterdir()}
