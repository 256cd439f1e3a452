"""Tasks in worker processes: what dies, what is left, what is sent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from datetime import timedelta

import psutil
import pytest

from jupyter_flows import Flow, Task, task, unmapped
from jupyter_flows.engine import state
from jupyter_flows.engine.flow_runner import FlowRunner
from jupyter_flows.errors import InvalidFlow
from jupyter_flows.executors import ProcessExecutor


def wait_until(true, limit_s=30):
    until = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def is_gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize(
    ("die", "how"),
    [
        (lambda: os._exit(3), "exit code 3"),
        (
            lambda: os.kill(os.getpid(), signal.SIGKILL),
            "killed by signal 9, perhaps by the system for want of memory",
        ),
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), "segmentation fault (signal 11)"),
    ],
    ids=["exit", "kill", "crash"],
)
def test_a_worker_that_dies_fails_its_task_only(die, how):
    with Flow("dies", executor=ProcessExecutor(1)) as flow:
        dies = task(die, name="die")()
        others = [task(lambda: 1, name="one")() for _ in range(3)]
    done = flow.run()
    assert type(done.result[dies]) is state.Failed
    assert done.result[dies].message == f"task die failed: the process it ran in ended ({how})"
    assert [done.result[other].result for other in others] == [1, 1, 1]


def test_a_task_whose_worker_died_is_tried_again_if_it_has_retries(tmp_path):
    def die_once():
        if not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)

    with Flow("again", executor=ProcessExecutor(1)) as flow:
        made = task(die_once, max_retries=1, retry_delay=timedelta(0))()
    assert type(flow.run().result[made]) is state.Success


def test_a_worker_that_dies_while_idle_costs_nothing():
    with Flow("idle", executor=ProcessExecutor(1)) as flow:
        pid = task(os.getpid, name="pid")()

        def kill(which):
            os.kill(which, signal.SIGKILL)
            wait_until(lambda: is_gone(which))

        # A state handler runs here, between two tasks: the worker is then idle.
        last = task(lambda before: os.getpid(), name="last")(pid)
    pid.state_handlers.append(lambda made, old, new: kill(new.result) if new.is_finished() else None)
    done = flow.run()
    assert done.is_successful()
    assert done.result[last].result != done.result[pid].result


def test_a_program_that_a_dead_body_forked_does_not_hold_the_run():
    def fork_and_die():
        if os.fork() == 0:
            time.sleep(1000)
        os._exit(4)

    with Flow("forked", executor=ProcessExecutor(1)) as flow:
        made = task(fork_and_die)()
    assert flow.run().result[made].message.endswith("(exit code 4)")


def test_workers_start_once_and_serve_the_whole_run():
    with Flow("pids", executor=ProcessExecutor(2)) as flow:
        pids = [task(os.getpid, name="pid")() for _ in range(30)]
    done = flow.run()
    assert 1 <= len({done.result[pid].result for pid in pids}) <= 2


class Counted(Task):
    """Counts how often it is pickled."""

    pickled = 0

    def run(self, x):
        return x + 1

    def __getstate__(self):
        type(self).pickled += 1
        return super().__getstate__()


def test_a_mapped_task_is_pickled_once():
    with Flow("map", executor=ProcessExecutor(2)) as flow:
        made = Counted(name="count").map(list(range(50)))
    Counted.pickled = 0
    assert flow.run().result[made].result == list(range(1, 51))
    assert Counted.pickled == 1


class Heavy:
    """Counts how often it is pickled."""

    pickled = 0

    def __reduce__(self):
        type(self).pickled += 1
        return Heavy, ()


def test_an_unmapped_input_is_not_pickled_for_each_child():
    heavy = Heavy()

    def look(x, y, whole):
        return x, y, type(whole).__name__

    with Flow("unmapped", executor=ProcessExecutor(2)) as flow:
        given = task(lambda: 1, name="given", state_handlers=[give(heavy)])()
        made = task(look).map(list(range(50)), y=unmapped("y"), whole=unmapped(given))
    Heavy.pickled = 0
    assert flow.run().result[made].result == [(x, "y", "Heavy") for x in range(50)]
    assert Heavy.pickled == 2  # with the first call, and for all others


def give(value):
    def handler(made, old, new):
        return state.Success(result=value) if new.is_finished() else None

    return handler


def test_more_tasks_than_a_worker_keeps_are_run_each_by_its_own_code():
    def give(number):
        return lambda before: (number, before)

    with Flow("many", executor=ProcessExecutor(2)) as flow:
        made = [task(give(number), name="give").map([0, 1]) for number in range(100)]
    done = flow.run()
    assert [done.result[one].result for one in made] == [[(n, 0), (n, 1)] for n in range(100)]


def test_large_inputs_and_results_pass():
    size = 30_000_000
    with Flow("large", executor=ProcessExecutor(2)) as flow:
        large = task(lambda: b"x" * size, name="large")()
        also = task(lambda data: data + b"y", name="also")(large)
    assert len(flow.run().result[also].result) == size + 1


def test_what_bodies_start_ends_with_the_run(tmp_path):
    def leave():
        return subprocess.Popen(["sleep", "1000"]).pid

    with Flow("leave", executor=ProcessExecutor(1)) as flow:
        made = task(leave)()
    pid = flow.run().result[made].result
    wait_until(lambda: is_gone(pid))


def test_an_interrupt_reaches_bodies_and_kills_those_that_go_on(tmp_path):
    def stubborn(path):
        path.write_text(str(subprocess.Popen(["sleep", "1000"], start_new_session=True).pid))
        while True:
            try:
                while True:
                    pass
            except KeyboardInterrupt:
                (tmp_path / "heard").touch()

    def interrupt():
        wait_until((tmp_path / "pid").exists)
        wait_until((tmp_path / "pid").read_text)
        raise KeyboardInterrupt

    with Flow("stubborn", executor=ProcessExecutor(2)) as flow:
        made = task(stubborn)(tmp_path / "pid")
        task(interrupt)()
    done = FlowRunner(flow).run()
    assert type(done.result[made]) is state.Cancelled
    assert (tmp_path / "heard").exists()
    wait_until(lambda: is_gone(int((tmp_path / "pid").read_text())))


def test_a_body_that_lets_no_alarm_in_is_killed():
    def compute():
        import hashlib

        hashlib.pbkdf2_hmac("sha256", b"x", b"y", 2_000_000_000)

    with Flow("busy", executor=ProcessExecutor(1)) as flow:
        made = task(compute, timeout=0.2)()
        other = task(lambda: 1, name="one")()
    done = flow.run()
    assert type(done.result[made]) is state.TimedOut
    assert done.result[made].message == "task compute took longer than 0.2 s; its process was killed"
    assert done.result[other].result == 1


def test_programs_that_a_body_started_end_with_its_timeout(tmp_path):
    def start():
        (tmp_path / "pid").write_text(str(subprocess.Popen(["sleep", "1000"]).pid))
        while True:
            pass

    gone = []

    def look(made, old, new):
        if new.is_finished():
            wait_until(lambda: is_gone(int((tmp_path / "pid").read_text())))
            gone.append(True)

    with Flow("programs", executor=ProcessExecutor(1)) as flow:
        task(start, timeout=0.5, state_handlers=[look])()
    flow.run()
    assert gone == [True]


def test_workers_do_not_outlive_a_run_that_is_killed(tmp_path):
    """Not even one that is in a C function which never returns."""
    script = tmp_path / "flow.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import os, pathlib
            from jupyter_flows import Flow, task
            from jupyter_flows.executors import ProcessExecutor

            @task
            def compute():
                import ctypes
                pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(os.getpid()))
                ctypes.PyDLL(None).pause()  # holds Python's lock

            with Flow("killed", executor=ProcessExecutor(1)) as flow:
                compute()
            flow.run()  # without a guard: workers do not run the script again
            """
        )
    )
    path = tmp_path / "pid"
    run = subprocess.Popen([sys.executable, str(script)])
    try:
        wait_until(lambda: path.exists() and path.read_text())
    finally:
        run.kill()
        run.wait()
    wait_until(lambda: is_gone(int(path.read_text())))


def test_code_that_a_worker_cannot_import_says_so(tmp_path, monkeypatch):
    """A module that exists only here, as one made by hand does."""
    import types

    module = types.ModuleType("only_here")
    exec("def one():\n    return 1", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    with Flow("import", executor=ProcessExecutor(1)) as flow:
        made = task(lambda function: function(), name="call")(module.one)
    assert flow.run().result[made].message == (
        "task call cannot be loaded in a worker process: ModuleNotFoundError (only_here); what it uses must be "
        "importable there, or defined in the notebook or script"
    )


def test_a_worker_that_does_not_start_says_so(monkeypatch):
    with Flow("start", executor=ProcessExecutor(1)) as flow:
        made = task(lambda: 1, name="one")()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert flow.run().result[made].message == (
        "task one was not run: its worker process ended as it started (exit code 1); "
        "what it wrote to standard error says why"
    )
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert flow.run().result[made].message == (
        "task one was not run: no worker process could be started: No such file or directory"
    )


def test_workers_import_what_this_process_can(tmp_path, monkeypatch):
    (tmp_path / "beside.py").write_text("def one():\n    return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import beside

    with Flow("beside", executor=ProcessExecutor(1)) as flow:
        made = task(beside.one)()
    assert flow.run().result[made].result == 1


def test_runs_in_threads_of_one_process_do_not_meet():
    with Flow("one", executor=ProcessExecutor(1)) as flow:
        made = task(lambda: 1, name="one")()
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(flow.run().result[made].result)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1, 1, 1]


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (0, "ProcessExecutor: max_workers is 0; it takes at least 1"),
        ("2", "ProcessExecutor: max_workers is '2'; it takes a whole number"),
    ],
)
def test_a_number_of_workers_that_makes_no_sense_is_refused(number, sentence):
    with pytest.raises(InvalidFlow, match=sentence):
        ProcessExecutor(number)
