"""What every executor gives, whatever it is made of: the same states, results, context, log, and no leftovers."""

from __future__ import annotations

import logging
import os
import threading
import time
from datetime import timedelta
from pathlib import Path

import cloudpickle
import psutil
import pytest

from jupyter_flows import Flow, Parameter, context, task, unmapped
from jupyter_flows.engine import signals, state
from jupyter_flows.engine.flow_runner import FlowRunner
from jupyter_flows.errors import InvalidFlow
from jupyter_flows.notebook.cell_task import CellTask
from jupyter_flows.plugins import load_kind
from jupyter_flows.triggers import all_finished
from tests.executors.contract import KINDS


@pytest.fixture(params=KINDS, ids=[kind.name for kind in KINDS])
def kind(request):
    return request.param


@pytest.fixture
def executor(kind):
    return kind.make()


@pytest.fixture(autouse=True)
def nothing_is_left():
    """Neither processes nor threads outlive a run."""
    threads = set(threading.enumerate())
    processes = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    for thread in set(threading.enumerate()) - threads:
        if thread.name.startswith(("flow task", "task with a timeout")):
            thread.join(30)
            assert not thread.is_alive(), thread
    assert not [child for child in psutil.Process().children(recursive=True) if is_left(child, processes)]


def is_left(child, before):
    """Whether a process is a run's. Python's own tracker, which Dask starts, ends with this process."""
    try:
        return child.pid not in before and "resource_tracker" not in " ".join(child.cmdline())
    except psutil.NoSuchProcess:
        return False


def states_of(flow, done):
    return {made.name: type(done.result[made]).__name__ for made in flow.tasks}


def test_states_and_results_are_the_same(executor):
    @task
    def one():
        return 1

    @task
    def add(x, y=0):
        return x + y

    @task
    def fail(x):
        raise ValueError(x)

    @task
    def skip():
        raise signals.SKIP("no new data")

    @task(trigger=all_finished, skip_on_upstream_skip=False)
    def last(good, bad):
        return good, type(bad).__name__

    with Flow("states", executor=executor) as flow:
        first = one()
        second = add(first, Parameter("more", default=2))
        failed = fail(second)
        never = add(failed)
        skipped = skip()
        end = last(second, failed, upstream_tasks=[never, skipped])
    done = flow.run(more=4)
    assert type(done) is state.Success
    assert done.result[second].result == 5
    assert type(done.result[failed]) is state.Failed
    assert "ValueError in task fail, line 3" in done.result[failed].message
    assert type(done.result[failed].result) is ValueError
    assert done.result[failed].result.args == (5,)
    assert type(done.result[never]) is state.TriggerFailed
    assert type(done.result[skipped]) is state.Skipped
    assert done.result[skipped].message == "no new data"
    assert done.result[end].result == (5, "ValueError")


def test_a_map_gives_its_results_in_order(executor):
    @task
    def numbers():
        return list(range(20))

    @task
    def times(x, y):
        return x * y

    @task
    def total(of):
        return sum(of)

    with Flow("map", executor=executor) as flow:
        twice = times.map(numbers(), unmapped(2))
        thrice = times.map(twice, unmapped(3))
        end = total(thrice)
    done = flow.run()
    assert type(done.result[twice]) is state.Mapped
    assert done.result[thrice].result == [6 * n for n in range(20)]
    assert done.result[end].result == 6 * 190


def test_signals_loops_and_retries_travel(executor):
    @task(max_retries=2, retry_delay=timedelta(0))
    def second_time():
        if context.task_run_count < 2:
            raise ValueError
        return context.task_run_count

    @task
    def count():
        reached = context.get("task_loop_result") or 0
        if reached < 3:
            raise signals.LOOP(result=reached + 1)
        return reached

    @task
    def failed():
        raise signals.FAIL("said so", result=7)

    @task
    def succeeded():
        raise signals.SUCCESS("enough", result=8)

    with Flow("signals", executor=executor) as flow:
        again, looped, fails, succeeds = second_time(), count(), failed(), succeeded()
    done = flow.run()
    assert done.result[again].result == 2
    assert done.result[looped].result == 3
    assert (type(done.result[fails]), done.result[fails].message) == (state.Failed, "said so")
    assert done.result[fails].result == 7
    assert (done.result[succeeds].message, done.result[succeeds].result) == ("enough", 8)


def test_the_body_sees_its_context(executor):
    @task
    def look(x):
        return (
            context.flow_name,
            context.task_full_name,
            context.map_index,
            context.parameters["city"],
            context.get("who"),
        )

    with Flow("contexts", executor=executor) as flow:
        looked = look.map([1, 2])
        flow.add_task(Parameter("city", default="Oslo"))
    found = flow.run(context={"who": "Ada"}).result[looked].result
    assert found == [("contexts", f"look[{index}]", index, "Oslo", "Ada") for index in range(2)]


def test_what_the_body_logs_and_prints_is_heard(executor, caplog):
    @task
    def say():
        context.logger.warning("%s is low", "disk")

    @task(log_stdout=True)
    def write():
        print("written")

    with Flow("logs", executor=executor) as flow:
        say()
        write()
    with caplog.at_level(logging.INFO, "jupyter_flows.flow"):
        assert flow.run().is_successful()
    lines = [(level, message) for name, level, message in caplog.record_tuples if name.endswith(".logs")]
    assert sorted(lines) == [(logging.INFO, "written"), (logging.WARNING, "disk is low")]


class Holding(Exception):
    """Cannot be pickled."""

    def __init__(self):
        super().__init__("text")
        self.lock = threading.Lock()


def test_an_exception_that_cannot_be_pickled_fails_its_task_only(kind, executor):
    @task
    def odd():
        raise Holding

    @task
    def fine():
        return 1

    with Flow("odd", executor=executor) as flow:
        fails, works = odd(), fine()
    done = flow.run()
    assert type(done.result[fails]) is state.Failed
    assert done.result[fails].message.startswith("Holding in task odd, line 3")
    assert type(done.result[fails].result).__name__ == ("Holding" if kind.here else "LostException")
    assert done.result[works].result == 1


def test_a_failures_traceback_is_kept(kind, executor):
    @task
    def fail():
        raise ValueError

    with Flow("traceback", executor=executor) as flow:
        failed = fail()
    error = flow.run().result[failed].result
    text = "" if kind.here else str(error.__cause__)
    assert "raise ValueError" in text or error.__traceback__ is not None


def test_a_result_that_cannot_be_pickled_says_so(kind, executor):
    @task
    def lazily():
        return {"rows": (n for n in range(3))}

    with Flow("lazy", executor=executor) as flow:
        made = lazily()
    found = flow.run().result[made]
    if kind.here:
        assert type(found) is state.Success
    else:
        assert type(found) is state.Failed
        assert found.message == (
            "task lazily returned a dict that holds a generator, which cannot be brought back from the process "
            "it ran in; return plain data, or use a LocalExecutor or ThreadExecutor"
        )


def test_a_task_that_cannot_be_pickled_says_so(kind, executor):
    lock = threading.Lock()

    @task
    def guarded():
        with lock:
            return 1

    with Flow("lock", executor=executor) as flow:
        made = guarded()
    found = flow.run().result[made]
    if kind.here:
        assert found.result == 1
    else:
        assert found.message == (
            "task guarded cannot be sent to another process: 'lock', which it uses, is of type _thread.lock, "
            "which cannot be pickled; make it inside the task, or use a LocalExecutor or ThreadExecutor"
        )


def test_an_input_that_cannot_be_pickled_says_so(kind, executor):
    @task
    def first(rows):
        return rows[0]

    with Flow("input", executor=executor) as flow:
        made = first([threading.Lock()])
    found = flow.run().result[made]
    if kind.here:
        assert type(found) is state.Success
    else:
        assert "task first cannot be sent to another process: its argument 'rows' is of type" in found.message


def test_state_handlers_stay_here(executor):
    lock, seen = threading.Lock(), []

    def note(made, old, new):
        with lock:
            seen.append(type(new).__name__)

    with Flow("handlers", executor=executor) as flow:
        task(lambda: 1, name="one", state_handlers=[note])()
    flow.run()
    assert seen == ["Running", "Success"]


def test_independent_tasks_run_once_each_and_in_order_where_one_runs_at_a_time(kind, executor, tmp_path):
    def begin(number):
        with (tmp_path / "began").open("a") as file:
            file.write(f"{number}\n")
        return number

    with Flow("order", executor=executor) as flow:
        for number in range(12):
            task(begin)(number)
    flow.run()
    began = [int(line) for line in (tmp_path / "began").read_text().split()]
    assert sorted(began) == list(range(12))
    assert kind.at_once > 1 or began == list(range(12))


def test_no_task_runs_before_its_upstream_ended_and_none_twice(executor, tmp_path):
    def step(before, number):
        assert number == 0 or (tmp_path / str(number - 1)).exists()
        with (tmp_path / str(number)).open("x"):
            pass
        return number

    with Flow("chain", executor=executor) as flow:
        made = None
        for number in range(10):
            made = task(step)(made, number)
    assert flow.run().is_successful()


def test_as_many_tasks_run_at_once_as_it_says(kind, executor, tmp_path):
    def meet(name, other):
        (tmp_path / name).touch()
        until = time.monotonic() + 60
        while not (tmp_path / other).exists():
            assert time.monotonic() < until
            os.sched_yield()

    with Flow("together", executor=executor) as flow:
        task(meet)("a", "b" if kind.at_once > 1 else "a")
        task(meet)("b", "a" if kind.at_once > 1 else "b")
    assert flow.run().is_successful()


def test_an_interrupt_cancels_what_runs_and_what_waits(executor, tmp_path):
    @task
    def interrupt():
        raise KeyboardInterrupt

    @task
    def after(before):
        (tmp_path / "after").touch()

    with Flow("interrupted", executor=executor) as flow:
        made = after(interrupt())
    done = FlowRunner(flow, executor=executor).run()
    assert type(done) is state.Cancelled
    assert type(done.result[made]) is state.Cancelled
    assert not (tmp_path / "after").exists()


def test_a_persons_interrupt_is_raised_again(executor):
    @task
    def interrupt():
        raise KeyboardInterrupt

    with Flow("interrupted", executor=executor) as flow:
        interrupt()
    with pytest.raises(KeyboardInterrupt):
        flow.run()


def test_a_timeout_ends_the_body(executor, tmp_path):
    def forever(path):
        Path(path, "begun").touch()
        try:
            while True:
                pass
        finally:
            Path(path, "ended").touch()

    with Flow("slow", executor=executor) as flow:
        made = task(forever, timeout=0.5)(str(tmp_path))
    found = flow.run().result[made]
    assert type(found) is state.TimedOut
    assert found.message == "task forever took longer than 0.5 s"
    assert (tmp_path / "ended").exists()


def test_one_executor_serves_many_runs_and_can_be_pickled(executor):
    with Flow("again", executor=executor) as flow:
        made = task(lambda: 1, name="one")()
    copied = cloudpickle.loads(cloudpickle.dumps(flow))
    assert repr(copied.executor) == repr(executor)
    assert [flow.run().result[made].result for _ in range(2)] == [1, 1]
    assert copied.run().is_successful()


def test_cells_are_refused_where_memory_is_not_shared(kind, executor):
    flow = Flow("cells", executor=executor)
    flow.add_task(CellTask("load", source="rows = [1]", cell_id="c", index=1, writes=["rows"]))
    if kind.here:
        assert flow.run().is_successful()
    else:
        with pytest.raises(InvalidFlow, match="cell 'load' shares its variables with other cells"):
            flow.run()


def test_its_kind_is_found_by_name(executor):
    assert load_kind("executors", executor.kind) is type(executor)
