"""What can go wrong in a run's process and its kernel: the exact words, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from jupyter_flows.errors import KernelDied
from jupyter_flows.runtime import kernel_answers
from jupyter_flows.runtime.kernel_backend import (
    INTERRUPT_GRACE_S,
    CellRunner,
    CellStopped,
    CellTimedOut,
    RunTimeOver,
)
from jupyter_flows.runtime.kernel_memory import LimitedGroup, OomWatch
from jupyter_flows.runtime.kernels import Kernel
from jupyter_flows.runtime.notebook_outputs import NotebookOutputs
from jupyter_flows.runtime.notebook_states import TimedManager
from tests.runtime.test_several_kernels import notebook, texts

IS_ROOT = os.name == "posix" and os.geteuid() == 0
DIES_WITHIN_S = 3.0


def _ours() -> dict[int, str]:
    return {child.pid: " ".join(child.cmdline()) for child in psutil.Process().children(recursive=True)}


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., tuple[CellRunner, Any]]]:
    """Start a kernel for a notebook of sources; at the end no process and no file of it is left."""
    before = set(_ours())
    kernels: list[Kernel] = []

    def start(*sources: str, **options: Any) -> tuple[CellRunner, Any]:
        kernel = Kernel("python3", directory=tmp_path / "kernel", cwd=str(tmp_path), **options)
        kernels.append(kernel)
        kernel.start()
        nb = notebook(*sources)
        return CellRunner(NotebookOutputs(nb), kernel), nb

    yield start
    for kernel in kernels:
        kernel.stop(now=True)
    assert not (tmp_path / "kernel").exists()
    alive, _ = [], psutil.wait_procs([psutil.Process(pid) for pid in _ours() if pid not in before], timeout=5)
    left = {
        pid: line for pid, line in _ours().items() if pid not in before and "resource_tracker" not in line
    }
    assert {} == left, alive


DEATHS = {
    "exit": ("import os; os._exit(3)", "exit code 3"),
    "segfault": ("import ctypes; ctypes.string_at(0)", "segmentation fault (signal 11)"),
    "kill": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed by signal 9"),
    "abort": ("import os; os.abort()", "aborted (signal 6)"),
}


@pytest.mark.parametrize("name", DEATHS)
def test_a_kernels_death_is_told_by_its_cause(started, name: str) -> None:
    """A9: by exit code or signal; a later cell is not run and says why."""
    source, cause = DEATHS[name]
    runner, _ = started("print('before')\n" + source, "1")
    with pytest.raises(KernelDied) as died:
        runner.call(0, name="clean")
    assert f"the kernel died: {cause} (in cell clean)" == str(died.value)
    assert cause == died.value.cause
    with pytest.raises(KernelDied) as later:
        runner.call(1, name="train")
    assert f"cell train was not run: the kernel died in cell clean: {cause}" == str(later.value)


def test_a_kernel_killed_from_outside_is_noticed_in_time(started) -> None:
    """A9: the answer comes within three seconds of the kill."""
    runner, _ = started("import time; time.sleep(60)")
    killed_at = []

    def kill() -> None:
        killed_at.append(time.monotonic())
        runner._kernel._process.send_signal(signal.SIGKILL)

    timer = threading.Timer(0.5, kill)
    timer.start()
    with pytest.raises(KernelDied, match="killed by signal 9"):
        runner.call(0, name="clean")
    # A bound that is promised, not a speed that is measured.
    assert time.monotonic() - killed_at[0] < DIES_WITHIN_S


@pytest.mark.skipif(not IS_ROOT, reason="making a memory control group needs root")
def test_a_kill_by_the_system_for_memory_is_read_from_its_counter(started) -> None:
    """A10: limit and peak come from the control group."""
    runner, _ = started("x = bytearray(600 * 1024 * 1024)")
    group = LimitedGroup.around(runner._kernel._process.pid, 200 * 1024 * 1024)
    if group is None:
        pytest.skip("this machine lets root make no memory control group")
    runner._kernel._oom = OomWatch(runner._kernel._process.pid)
    with pytest.raises(KernelDied, match=r"killed by the system for memory \(limit 200 MB, peak 200 MB\)"):
        runner.call(0, name="big")
    runner._kernel.stop(now=True)
    group.remove()


def _memory_in_version_2() -> Path | None:
    """Where version 2 of control groups is mounted, if groups below can have memory as a controller."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2" and "memory" in Path(place, "cgroup.subtree_control").read_text().split():
            return Path(place)
    return None


@pytest.mark.skipif(not IS_ROOT, reason="making a control group needs root")
def test_a_kill_for_memory_is_read_from_version_2_of_control_groups(started) -> None:
    """A10: limit, peak and count of kills have other names there, and a group must hand memory on."""
    place = _memory_in_version_2()
    if place is None:
        pytest.skip("memory is not a controller of version 2 of control groups on this machine")
    runner, _ = started("x = bytearray(600 * 1024 * 1024)")
    group = place / f"jupyter-flows-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.max").write_text(str(200 * 1024 * 1024))
        (group / "cgroup.procs").write_text(str(runner._kernel._process.pid))
    except OSError as error:
        pytest.skip(f"no group with a memory limit can be made here: {error.strerror}")
    try:
        runner._kernel._oom = OomWatch(runner._kernel._process.pid)
        with pytest.raises(KernelDied, match=r"killed by the system for memory \(limit 200 MB"):
            runner.call(0, name="big")
    finally:
        runner._kernel.stop(now=True)
        group.rmdir()


@pytest.mark.parametrize("how", ["control group", "watcher"])
def test_a_memory_limit_kills_and_says_so(started, monkeypatch, how: str) -> None:
    """The limit holds whether the system can enforce it or only we look."""
    if how == "watcher":
        monkeypatch.setattr(LimitedGroup, "around", classmethod(lambda *_: None))
    runner, nb = started(
        "x = 1",
        "import time\nparts = []\nwhile True:\n    parts.append(bytearray(8_000_000))\n    time.sleep(0.02)",
        memory_limit_bytes=256 * 1024 * 1024,
    )
    runner.call(0, name="small")
    with pytest.raises(KernelDied) as died:
        runner.call(1, name="big")
    text = str(died.value)
    assert text.startswith("killed: memory limit of 256 MB exceeded (peak ")
    assert text.endswith(" MB) (in cell big)")
    peak = float(text.partition("peak ")[2].partition(" MB")[0])
    assert 256 <= peak < 400
    assert runner._shared.measured[1]["memory_peak_mb"] > 150


def test_a_cell_tells_its_peak_and_its_growth(started) -> None:
    """What was freed again counts for the peak, not for the growth; children count."""
    runner, _ = started(
        "x = bytearray(150_000_000); del x",
        "kept = bytearray(80_000_000)",
        "import subprocess, sys; code = 'import time; x = bytearray(200_000_000); time.sleep(2)'; "
        "_ = subprocess.run([sys.executable, '-c', code])",
    )
    for index in range(3):
        runner.call(index, name="a")
    measured = runner._shared.measured
    assert measured[0]["memory_peak_mb"] > 143 > measured[0]["memory_growth_mb"] + 100
    assert 70 < measured[1]["memory_growth_mb"] < 100
    assert measured[2]["memory_peak_mb"] > measured[1]["memory_peak_mb"] + 150


LOOPS = {
    "loop": "while True: pass",
    "swallows the interrupt": (
        "import time\nwhile True:\n    try:\n        time.sleep(60)\n    except KeyboardInterrupt:\n        pass"
    ),
    "holds the lock of the interpreter": "import re; re.match(r'(a|a)*$', 'a' * 60 + 'b')",
}


@pytest.mark.parametrize("name", LOOPS)
def test_a_time_limit_bounds_for_good(started, name: str) -> None:
    """A11: timeout plus grace, whatever the cell does."""
    runner, _ = started(LOOPS[name])
    began = time.monotonic()
    with pytest.raises(CellTimedOut, match="^cell slow took longer than 1 s$"):
        runner.call(0, name="slow", timeout_s=1)
    assert time.monotonic() - began < 1 + INTERRUPT_GRACE_S + DIES_WITHIN_S


SILENT = {
    "a part replaced": ("get_ipython().run_cell = lambda *_, **__: None", "1"),
    "shell closed": ("get_ipython().kernel.shell_stream.close()", None),
    "all sockets closed": (
        "import gc, zmq\nfor each in gc.get_objects():\n    if isinstance(each, zmq.Socket): each.close()",
        None,
    ),
}


@pytest.mark.parametrize("name", SILENT)
def test_a_kernel_that_cannot_answer_is_given_up(started, monkeypatch, name: str) -> None:
    """The process lives, but no reply will come: that is told by its signs, not by patience."""
    monkeypatch.setattr(kernel_answers, "GRACE_S", 0.3)
    sources = [source for source in SILENT[name] if source]
    runner, _ = started(*sources, "1")
    last = len(sources) - 1
    for index in range(last):
        runner.call(index, name="earlier")
    with pytest.raises(KernelDied) as died:
        runner.call(last, name="clean")
    assert f"{kernel_answers.NO_ANSWER} (in cell clean)" == str(died.value)
    with pytest.raises(KernelDied, match="^cell next was not run: the kernel died in cell clean: killed: "):
        runner.call(last + 1, name="next")


def test_what_is_asked_between_cells_is_answered_or_given_up(started, monkeypatch) -> None:
    """Passing values and conditions go the same way; so does a request past the end of the run's time."""
    monkeypatch.setattr(kernel_answers, "GRACE_S", 0.3)
    runner, _ = started("get_ipython().run_cell = lambda *_, **__: None")
    with pytest.raises(
        RunTimeOver, match="^what a cell needs was stopped: the time limit of the run was over$"
    ):
        runner.execute("while True: pass", what="what a cell needs", deadline_at=time.monotonic() + 0.3)
    assert runner.execute("", "6 * 7", what="it")["user_expressions"]["it"]["data"]["text/plain"] == "42"
    runner.call(0, name="a")
    with pytest.raises(KernelDied, match=f"^{kernel_answers.NO_ANSWER}$"):
        runner.execute("", "6 * 7", what="it")


def test_a_cell_that_takes_long_is_not_given_up(started, monkeypatch) -> None:
    """Neither one that holds the interpreter in a call of C, nor one whose threads print all the time."""
    monkeypatch.setattr(kernel_answers, "GRACE_S", 0.3)
    runner, _ = started(
        "import re; re.match(r'(a|a)*$', 'a' * 25 + 'b') and None",
        "import threading, time\ndef say():\n    for n in range(20): print(n); time.sleep(0.05)\n"
        "threading.Thread(target=say).start(); time.sleep(1); 'fine'",
    )
    runner.call(0, name="in_c")
    runner.call(1, name="prints")


def test_a_stopped_kernel_times_out(started) -> None:
    """A11: SIGSTOP, which no interrupt wakes."""
    runner, _ = started("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", "1")
    with pytest.raises(CellTimedOut, match="^cell slow took longer than 1 s$"):
        runner.call(0, name="slow", timeout_s=1)
    with pytest.raises(KernelDied, match="its kernel had to be killed when cell slow did not stop"):
        runner.call(1, name="next")


def test_the_time_limit_of_the_run_keeps_what_was_done(started) -> None:
    """The cell under way is stopped, with its outputs; the next one says why it was not run."""
    runner, nb = started("print('done')\nimport time\ntime.sleep(60)", "print('never')")
    deadline_at = time.monotonic() + 1.5
    with pytest.raises(RunTimeOver, match="^cell slow was stopped: the time limit of the run was over$"):
        runner.call(0, name="slow", deadline_at=deadline_at)
    with pytest.raises(RunTimeOver, match="^cell next was not run: the time limit of the run was over$"):
        runner.call(1, name="next", deadline_at=deadline_at)
    assert "done\n" == nb.cells[0].outputs[0].text
    assert [] == nb.cells[1].outputs
    assert not runner.dead


def test_a_cell_is_stopped_from_another_thread(started) -> None:
    """As the thread that hears the interrupt of the whole run must do."""
    runner, nb = started("print('done')\nwhile True: pass", "1")
    timer = threading.Timer(0.7, runner.stop)
    timer.start()
    with pytest.raises(CellStopped, match="^cell slow was stopped: interrupted$"):
        runner.call(0, name="slow")
    with pytest.raises(CellStopped, match="^cell next was not run: interrupted$"):
        runner.call(1, name="next")
    assert "done\n" == nb.cells[0].outputs[0].text


def test_a_condition_that_hangs_is_bounded(started) -> None:
    runner, _ = started("1")
    with pytest.raises(CellTimedOut, match="^a condition took longer than 1 s$"):
        runner.ask("[0 for _ in iter(int, 1)]", timeout_s=1)


def test_children_of_a_kernel_end_with_it(started, tmp_path: Path) -> None:
    """A14: a child, a child in a session of its own, a fork."""
    runner, nb = started(
        "import os, subprocess, sys\n"
        "sleep = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        "one = subprocess.Popen(sleep)\n"
        "two = subprocess.Popen(sleep, start_new_session=True)\n"
        "three = os.fork()\n"
        "if three == 0:\n    import time; time.sleep(600)\n"
        "print(one.pid, two.pid, three)"
    )
    runner.call(0, name="a")
    pids = [int(pid) for pid in "".join(texts(nb.cells[0])).split()]
    assert 3 == len(pids)
    runner._kernel.stop(now=True)
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=5)
    assert [] == [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


FLOODS = {
    "print": ("print('x' * 500_000_000)", 400),
    "image": (
        "display({'image/png': 'A' * 200_000_000, 'text/plain': 'a picture'}, raw=True)",
        190,
    ),
    "lines": ("for n in range(150_000): print(n, 'x' * 600)", 20),
    "displays": ("for n in range(30_000): display(n)", 0),
}

MOST_MB = 400
"""Of the run's process: 300, and what waits in its sockets while others keep the machine busy."""

_FLOOD = """
import re, sys
sys.modules.setdefault("rfc3987_syntax", None)
import papermill
from pathlib import Path
from jupyter_flows.runtime.kernel_backend import CellRunner
from jupyter_flows.runtime.kernels import Kernel
from jupyter_flows.runtime.notebook_states import TimedManager
from tests.runtime.test_several_kernels import notebook
here = Path(sys.argv[1])
manager = TimedManager(notebook(sys.argv[2], "'fine'"), output_path=str(here / "out.ipynb"), progress_bar=False)
manager.notebook_start()
kernel = Kernel("python3", directory=here / "kernel", cwd=str(here))
kernel.start()
try:
    runner = CellRunner(manager.outputs, kernel)
    runner.call(0, name="flood")
    runner.call(1, name="after")
finally:
    kernel.stop(now=True)
manager.save_now(final=True)
# Not ru_maxrss: that begins with what the process that started this one had.
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_ends_normally_and_costs_little(tmp_path: Path, name: str) -> None:
    """A19: the notebook stays within its limit and says what it lacks; the run's process stays small."""
    source, dropped_mb = FLOODS[name]
    done = subprocess.run(
        [sys.executable, "-c", _FLOOD, str(tmp_path), source], capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr[-3000:]
    assert int(done.stdout.split()[-1]) <= MOST_MB
    path = tmp_path / "out.ipynb"
    assert path.stat().st_size <= 65 * 1024 * 1024
    nb = nbformat.read(path, as_version=4)
    nbformat.validate(nb)
    last = texts(nb.cells[0])[-1]
    assert last.startswith("… ")
    assert last.endswith(" MB of output dropped: the executed notebook is over its limit\n")
    assert float(last.split()[1]) >= dropped_mb
    if name == "image":
        assert "a picture" == texts(nb.cells[0])[0]
    if name == "displays":
        # None of them was lost on the way, however slowly the run read them.
        assert [str(n) for n in range(19_990)] == texts(nb.cells[0])[:19_990]
    else:
        # These floods leave no room in the count of outputs either.
        assert ["'fine'"] == texts(nb.cells[1]) or name in {"print", "lines"}


@pytest.mark.skipif(not IS_ROOT, reason="mounting a small file system needs root")
def test_a_full_disk_ends_no_run_and_tears_no_file(started, tmp_path: Path) -> None:
    """A21: the run goes on, the file is what it was, the message names place and room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=True)
    try:
        runner, _ = started("print('small')", "print('x' * 3_000_000)", "'fine'")
        nb = runner._shared.nb
        path = disk / "out.ipynb"
        manager = TimedManager(nb, output_path=str(path), progress_bar=False)
        said: list[str] = []
        manager.say = said.append
        manager.notebook_start()
        runner = CellRunner(manager.outputs, runner._kernel)
        runner.call(0, name="a")
        manager.save_now()
        runner.call(1, name="b")
        manager.save_now()
        manager.save_now()
        nbformat.validate(nbformat.read(path, as_version=4))
        assert [path.name] == [each.name for each in disk.iterdir()]
        assert 1 == len(said)
        assert said[0].startswith(
            f"the executed notebook cannot be saved to {path}: no space left on device; "
        )
        assert said[0].endswith(" of 1 MB free")
        runner.call(2, name="c")
        assert ["'fine'"] == texts(nb.cells[2])
        manager.save_now(final=True)
        assert manager.unsaved
        left = nbformat.read(path, as_version=4)
        nbformat.validate(left)
        assert ["small\n"] == texts(left.cells[0])
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


_RUN = """
import signal, sys
sys.modules.setdefault("rfc3987_syntax", None)
import papermill
from papermill.engines import papermill_engines
from jupyter_flows.runtime.papermill_engine import FlowsEngine
def stop(*_): raise KeyboardInterrupt
signal.signal(signal.SIGTERM, stop)
papermill_engines.register("flows", FlowsEngine)
papermill.execute_notebook(sys.argv[1], sys.argv[2], engine_name="flows", progress_bar=False)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_of_the_runs_process_is_told_in_the_notebook(tmp_path: Path, number: int) -> None:
    """The cell under way is interrupted, its state is Cancelled, what it said is in the file; nothing stays."""
    source, target, mark = tmp_path / "in.ipynb", tmp_path / "out.ipynb", tmp_path / "running"
    nbformat.write(
        notebook(
            "print('first')",
            f"import os, time, pathlib\nprint('said', flush=True)\n"
            f"pathlib.Path({str(mark)!r}).write_text(str(os.getpid()))\ntime.sleep(600)",
        ),
        source,
    )
    nb = nbformat.read(source, as_version=4)
    nb.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nb, source)
    process = subprocess.Popen([sys.executable, "-c", _RUN, str(source), str(target)])
    try:
        deadline = time.monotonic() + 60
        while not (mark.exists() and mark.read_text()) and time.monotonic() < deadline:
            threading.Event().wait(0.05)
        kernel = int(mark.read_text())
        process.send_signal(number)
        assert 0 != process.wait(30)
    finally:
        process.kill()
        process.wait()
    done = nbformat.read(target, as_version=4)
    nbformat.validate(done)
    states = [cell.metadata["jupyter_flows"]["state"] for cell in done.cells if cell.cell_type == "code"]
    assert ["Success", "Cancelled"] == states
    assert "said\n" == done.cells[1].outputs[0].text
    assert not psutil.pid_exists(kernel)
    assert {"in.ipynb", "out.ipynb", "running"} == {path.name for path in tmp_path.iterdir()}
