"""Tasks in threads: how many at once, what comes back, how they are stopped."""

from __future__ import annotations

import threading

import cloudpickle
import pytest

from jupyter_flows import Flow, context, task
from jupyter_flows.engine import state
from jupyter_flows.engine.flow_runner import FlowRunner
from jupyter_flows.errors import InvalidFlow
from jupyter_flows.executors import LocalExecutor, ThreadExecutor


def test_tasks_run_at_once():
    """Each waits for the other: one after the other they would never end."""
    barrier = threading.Barrier(3, timeout=30)
    with Flow("at once", executor=ThreadExecutor(3)) as flow:
        for _ in range(3):
            task(barrier.wait, name="meet")()
    assert flow.run().is_successful()


def test_no_more_than_max_workers_run_at_once():
    lock, busy, most = threading.Lock(), [0], [0]
    ready = threading.Event()

    @task
    def count():
        with lock:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
            if busy[0] == 2:
                ready.set()
        assert ready.wait(30)
        with lock:
            busy[0] -= 1

    with Flow("bounded") as flow:
        for _ in range(8):
            count()
    assert flow.run(executor=ThreadExecutor(2)).is_successful()
    assert most == [2]


def test_each_thread_has_the_context_of_its_task():
    barrier = threading.Barrier(2, timeout=30)

    @task
    def look():
        barrier.wait()
        return context.task_slug

    with Flow("contexts") as flow:
        made = [look(), look()]
    done = flow.run(executor=ThreadExecutor(2))
    assert [done.result[own].result for own in made] == ["look-1", "look-2"]


def test_an_interrupt_in_a_thread_ends_the_run():
    """A KeyboardInterrupt that reaches a worker is the run's interrupt, not a run that waits forever."""

    @task
    def interrupt():
        raise KeyboardInterrupt

    with Flow("interrupted") as flow:
        interrupt()
    done = FlowRunner(flow, executor=ThreadExecutor(2)).run()
    assert type(done) is state.Cancelled


def test_what_runs_in_other_threads_is_stopped_when_the_run_is_cancelled():
    begun, stopped = threading.Event(), threading.Event()

    @task
    def forever():
        begun.set()
        try:
            while True:
                pass
        finally:
            stopped.set()

    @task
    def interrupt():
        assert begun.wait(30)
        raise KeyboardInterrupt

    with Flow("stopped") as flow:
        made = forever()
        interrupt()
    done = FlowRunner(flow, executor=ThreadExecutor(2)).run()
    assert type(done.result[made]) is state.Cancelled
    assert stopped.wait(30)


def test_a_timeout_in_a_thread_says_that_it_goes_on():
    release = threading.Event()
    with Flow("slow") as flow:
        made = task(lambda: release.wait(30), name="slow", timeout=0.05)()
    found = flow.run(executor=ThreadExecutor(1)).result[made]
    release.set()
    assert type(found) is state.TimedOut
    assert "cannot be stopped in a thread" in found.message


def test_two_runs_with_one_executor_do_not_meet():
    executor = ThreadExecutor(2)
    with Flow("inner", executor=executor) as inner:
        one = task(lambda: 1)()
    with Flow("outer", executor=executor) as outer:
        made = [task(lambda: inner.run().result[one].result, name="run")() for _ in range(2)]
    done = outer.run()
    assert [done.result[own].result for own in made] == [1, 1]


def test_threads_end_with_the_run():
    seen = set()
    with Flow("threads", executor=ThreadExecutor(4)) as flow:
        for _ in range(8):
            task(lambda: seen.add(threading.current_thread()), name="note")()
    flow.run()
    for thread in seen:
        thread.join(30)
    assert not any(thread.is_alive() for thread in seen)


def test_executors_are_picklable_options():
    assert repr(cloudpickle.loads(cloudpickle.dumps(ThreadExecutor(3)))) == "ThreadExecutor(max_workers=3)"
    assert repr(LocalExecutor()) == "LocalExecutor()"


def test_no_worker_is_refused():
    with pytest.raises(InvalidFlow, match="max_workers is 0; it takes at least 1"):
        ThreadExecutor(0)
