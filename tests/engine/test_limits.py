"""Timeouts: what is stopped, by which means, and what is said of what cannot be."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import psutil
import pytest

from jupyter_flows import Flow, context, task
from jupyter_flows.engine import limits, signals, state
from jupyter_flows.engine.flow_runner import FlowRunner
from jupyter_flows.engine.limits import TaskTimedOut, alarm, call_within
from jupyter_flows.executors import LocalExecutor, ThreadExecutor


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


def run_in_thread(flow):
    """Run with a LocalExecutor, but not in the main thread: as a server or a widget does."""
    found = []
    thread = threading.Thread(target=lambda: found.append(FlowRunner(flow, executor=LocalExecutor()).run()))
    thread.start()
    thread.join()
    return found[0]


def spin():
    while True:
        pass


def test_in_the_main_thread_an_alarm_stops_the_body():
    with pytest.raises(TaskTimedOut, match=r"^took longer than 0.05 s$"):
        call_within(0.05, spin)


def test_a_body_that_catches_the_alarm_is_interrupted_again(monkeypatch):
    monkeypatch.setattr(limits, "RING_AGAIN_S", 0.05)
    rings = []

    def stubborn():
        while len(rings) < 3:
            try:
                spin()
            except BaseException as error:
                rings.append(type(error).__name__)

    with pytest.raises(TaskTimedOut):
        call_within(0.05, stubborn)
    assert len(rings) == 3


def test_a_body_that_no_alarm_reaches_is_waited_for_and_that_is_said():
    """As inside a call of C: the signal is held back until it returns."""

    def deaf():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        try:
            threading.Event().wait(limits.LATE_S + 0.5)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})

    with pytest.raises(
        TaskTimedOut, match=r"longer than 0.1 s; it could not be interrupted here and went on until"
    ):
        call_within(0.1, deaf)


def test_an_alarm_inside_another_leaves_it_set():
    with pytest.raises(TaskTimedOut, match="0.2 s"), alarm(0.2):
        with pytest.raises(TaskTimedOut, match="0.05 s"), alarm(0.05):
            spin()
        spin()


def test_in_a_thread_the_body_runs_in_a_process_that_is_killed(tmp_path):
    """With the programs it started; even from C code that hears no signal."""

    def compute():
        import hashlib

        (tmp_path / "pids").write_text(f"{os.getpid()} {subprocess.Popen(['sleep', '1000']).pid}")
        hashlib.pbkdf2_hmac("sha256", b"x", b"y", 2_000_000_000)

    with Flow("busy", executor=ThreadExecutor(2)) as flow:
        made = task(compute, timeout=0.3)()
    found = flow.run().result[made]
    assert type(found) is state.TimedOut
    assert found.message == "task compute took longer than 0.3 s; its process was killed"
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert pids[0] != os.getpid()
    wait_until(lambda: all(is_gone(pid) for pid in pids))


def test_in_a_thread_python_code_ends_by_its_own_finally(tmp_path):
    def forever():
        try:
            spin()
        finally:
            (tmp_path / "ended").touch()

    with Flow("slow") as flow:
        made = task(forever, timeout=0.3)()
    found = run_in_thread(flow).result[made]
    assert (type(found), found.message) == (state.TimedOut, "task forever took longer than 0.3 s")
    assert (tmp_path / "ended").exists()


def test_what_a_process_of_its_own_gives_is_what_a_thread_gives(caplog):
    @task(timeout=30)
    def value(x):
        context.logger.info("in %s", context.task_full_name)
        return x, context.parameters, os.getpid()

    @task(timeout=30, log_stdout=True)
    def fail():
        print("before")
        raise ValueError

    @task(timeout=30)
    def loop():
        if context.task_loop_count < 3:
            raise signals.LOOP
        return context.task_loop_count

    @task(timeout=30)
    def leave():
        os._exit(5)

    with Flow("apart", executor=ThreadExecutor(2)) as flow:
        mapped, fails, loops, leaves = value.map([1, 2]), fail(), loop(), leave()
    with caplog.at_level(logging.INFO, "jupyter_flows.flow"):
        done = flow.run()
    assert [found[:2] for found in done.result[mapped].result] == [(1, {}), (2, {})]
    assert all(pid != os.getpid() for _, _, pid in done.result[mapped].result)
    assert done.result[fails].message.startswith("ValueError in task fail, line 4 (test_limits.py:")
    assert type(done.result[fails].result) is ValueError
    assert done.result[loops].result == 3
    assert done.result[leaves].message == "task leave failed: the process it ran in ended (exit code 5)"
    assert {"in value[0]", "in value[1]", "before"} <= {record.message for record in caplog.records}
    pids = [pid for _, _, pid in done.result[mapped].result]
    assert all(is_gone(pid) for pid in pids)


def test_processes_serve_one_attempt_after_another():
    with Flow("pids") as flow:
        made = task(lambda x: os.getpid(), name="pid", timeout=30).map(list(range(5)))
    assert len(set(run_in_thread(flow).result[made].result)) == 1


def test_python_code_that_cannot_be_pickled_is_stopped_in_its_thread():
    ended, lock = threading.Event(), threading.Lock()

    def forever():
        try:
            with lock:
                spin()
        finally:
            ended.set()

    with Flow("lock", executor=ThreadExecutor(1)) as flow:
        made = task(forever, timeout=0.1)()
    found = flow.run().result[made]
    assert (type(found), found.message) == (state.TimedOut, "task forever took longer than 0.1 s")
    assert ended.is_set()


def test_what_cannot_be_stopped_may_go_on_and_that_is_said():
    release, ended = threading.Event(), threading.Event()

    def wait():
        release.wait(30)
        ended.set()

    with Flow("wait", executor=ThreadExecutor(1)) as flow:
        made = task(wait, timeout=0.1)()
    found = flow.run().result[made]
    assert found.message == (
        "task wait took longer than 0.1 s; it cannot be stopped in a thread and may still be running"
    )
    release.set()


def test_an_interrupt_of_the_run_ends_a_body_in_its_process(tmp_path):
    path = str(tmp_path / "pid")

    def forever():
        Path(path).write_text(str(os.getpid()))
        spin()

    def interrupt():
        wait_until(lambda: Path(path).exists() and Path(path).read_text())
        raise KeyboardInterrupt

    with Flow("interrupted", executor=ThreadExecutor(2)) as flow:
        made = task(forever, timeout=600)()
        task(interrupt)()
    done = FlowRunner(flow).run()
    assert type(done.result[made]) is state.Cancelled
    wait_until(lambda: is_gone(int(Path(path).read_text())))


def test_an_interrupt_before_the_thread_is_known_to_have_begun_ends_its_body(monkeypatch):
    """``Thread.start`` waits for the thread, whose body can be far by then."""
    begun, ended, start = threading.Event(), threading.Event(), threading.Thread.start

    def forever():
        try:
            begun.set()
            spin()
        finally:
            ended.set()

    def interrupted(thread):
        start(thread)
        if thread.name == "task with a timeout":
            begun.wait(30)
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        limits._in_thread(forever, 600)
    assert ended.wait(30)


def test_an_interrupt_of_the_run_ends_a_body_in_a_thread_of_its_own():
    begun, ended = threading.Event(), threading.Event()

    def forever():
        try:
            begun.set()
            spin()
        finally:
            ended.set()

    def interrupt():
        assert begun.wait(30)
        raise KeyboardInterrupt

    with Flow("interrupted", executor=ThreadExecutor(2)) as flow:
        made = task(forever, timeout=600)()
        task(interrupt)()
    done = FlowRunner(flow).run()
    assert type(done.result[made]) is state.Cancelled
    assert ended.wait(30)
