"""Tasks on a Dask cluster: its workers' deaths, its resources, its arguments; and Dask's local schedulers."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import cloudpickle
import dask
import pytest

from jupyter_flows import Flow, task, unmapped
from jupyter_flows.engine import state
from jupyter_flows.engine.flow_runner import FlowRunner
from jupyter_flows.errors import ClusterUnavailable, InvalidFlow, PackageMissing
from jupyter_flows.executors import DaskExecutor, LocalDaskExecutor
from jupyter_flows.executors.workers import dask_calls
from jupyter_flows.triggers import all_finished

TWO = {"n_workers": 2, "threads_per_worker": 1}


def wait_until(true, limit_s=60):
    until = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture(scope="module")
def cluster():
    """A cluster that exists: two workers in processes, one of which offers a GPU."""
    from distributed import Nanny, Scheduler, SpecCluster

    options = {"nthreads": 1, "silence_logs": logging.CRITICAL}
    workers = {
        0: {"cls": Nanny, "options": options},
        1: {"cls": Nanny, "options": {**options, "resources": {"GPU": 1}}},
    }
    scheduler = {
        "cls": Scheduler,
        "options": {"host": "127.0.0.1", "port": 0, "dashboard": False, "dashboard_address": "127.0.0.1:0"},
    }
    with SpecCluster(scheduler=scheduler, workers=workers, silence_logs=logging.CRITICAL) as made:
        yield made


def test_a_map_over_two_thousand_items_survives_the_kill_of_a_worker(tmp_path):
    """In the middle: hundreds have ended, hundreds have not begun. Each result is there, once and right."""

    @task
    def note(x, folder):
        path = Path(folder, f"{os.getpid()}-{x}")
        path.touch()
        return x * x

    with Flow("survives", executor=DaskExecutor(cluster_kwargs=TWO)) as flow:
        squares = note.map(list(range(2000)), unmapped(str(tmp_path)))
        total = task(lambda of: sum(of, 0), name="total")(squares)

    killed = []

    def kill_in_the_middle():
        wait_until(lambda: len(os.listdir(tmp_path)) >= 500)
        victim = int(os.listdir(tmp_path)[0].split("-")[0])
        os.kill(victim, signal.SIGKILL)
        killed.append((victim, len(os.listdir(tmp_path))))

    killer = threading.Thread(target=kill_in_the_middle)
    killer.start()
    done = flow.run()
    killer.join()
    assert killed
    assert killed[0][1] < 2000
    assert type(done) is state.Success
    assert type(done.result[squares]) is state.Mapped
    assert done.result[squares].result == [x * x for x in range(2000)]
    assert done.result[total].result == sum(x * x for x in range(2000))
    ran = {path.split("-")[1] for path in os.listdir(tmp_path)}
    assert ran == {str(x) for x in range(2000)}
    workers = {path.split("-")[0] for path in os.listdir(tmp_path)}
    assert len(workers) == 3  # two, and the one that took the dead one's place


def test_a_body_that_kills_each_worker_fails_and_the_others_do_not(tmp_path):
    """Dask gives up the others too, which only waited on the workers that died.

    And it gives up a worker's nanny if none is there a while after one died: at once here, in 15 s as it comes.
    """

    def die():
        with (tmp_path / "tries").open("a") as file:
            file.write("x")
        os.kill(os.getpid(), signal.SIGKILL)

    with Flow(
        "killer", executor=DaskExecutor(cluster_kwargs={"n_workers": 1, "threads_per_worker": 1})
    ) as flow:
        made = task(die)()
        others = [task(lambda: 1, name="one")() for _ in range(3)]
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "1ms"}):
        done = flow.run()
        assert "1ms" == dask.config.get("distributed.deploy.lost-worker-timeout")
    assert type(done.result[made]) is state.Failed
    assert done.result[made].message == (
        "task die failed: the Dask workers that ran it died again and again (KilledWorker); it may be what kills them, for instance by the memory it takes"
    )
    assert len((tmp_path / "tries").read_text()) == 8  # Dask's four, and four alone
    assert [done.result[other].result for other in others] == [1, 1, 1]


def test_a_cluster_that_exists_is_used_and_stays(cluster):
    executor = DaskExecutor(cluster.scheduler_address)
    with Flow("there", executor=executor) as flow:
        pid = task(os.getpid, name="pid")()
    pids = [flow.run().result[pid].result for _ in range(2)]
    assert os.getpid() not in pids
    assert len(cluster.scheduler_info["workers"]) == 2


def test_a_tag_sends_a_task_to_the_worker_that_offers_it(cluster):
    def where():
        from distributed import get_worker

        return get_worker().name

    with Flow("resources", executor=DaskExecutor(cluster.scheduler_address)) as flow:
        made = [task(where, tags=["dask-resource:GPU=1"])() for _ in range(4)]
    done = flow.run()
    assert {done.result[one].result for one in made} == {1}


@pytest.mark.parametrize(
    "tag", ["dask-resource:GPU", "dask-resource:GPU=many", "dask-resource:=1", "dask-resource:GPU=0"]
)
def test_a_tag_that_cannot_be_read_is_refused_before_anything_runs(tag):
    ran = []
    with Flow("tags", executor=DaskExecutor("tcp://127.0.0.1:1")) as flow:
        task(lambda: ran.append(1), name="train", tags=[tag])()
    with pytest.raises(InvalidFlow, match=f"task 'train': tag '{tag}' cannot be read; write it as"):
        flow.run()


def test_tasks_are_named_on_the_dashboard_by_task_and_index(cluster):
    def key(x):
        from distributed import get_worker

        return get_worker().get_current_task()

    with Flow("keys", executor=DaskExecutor(cluster.scheduler_address)) as flow:
        made = task(key).map([0, 0])
        one = task(key, name="one")(0)
    done = flow.run()
    for index, found in enumerate(done.result[made].result):
        assert found.startswith(f"key-{index}-")
    assert done.result[one].result.startswith("one-")


def test_equal_calls_are_each_made(cluster, tmp_path):
    """Dask by itself would make one of them, and share the result."""

    def note():
        with (tmp_path / "calls").open("a") as file:
            file.write("x")

    with Flow("pure", executor=DaskExecutor(cluster.scheduler_address)) as flow:
        for _ in range(3):
            task(note)()
    assert flow.run().is_successful()
    assert len((tmp_path / "calls").read_text()) == 3


def test_the_scheduler_never_has_more_than_a_window(cluster, monkeypatch):
    monkeypatch.setattr(dask_calls, "FEWEST", 8)
    seen = []

    class Watched(dask_calls.DaskCalls):
        def submit(self, *args):
            super().submit(*args)
            seen.append(len(self._asked))

    monkeypatch.setattr("jupyter_flows.executors.dask.DaskCalls", Watched)
    with Flow("window", executor=DaskExecutor(cluster.scheduler_address)) as flow:
        made = task(lambda x: x, name="same").map(list(range(100)))
    assert flow.run().result[made].result == list(range(100))
    assert len(seen) >= 100
    assert max(seen) == 8


def test_large_inputs_are_with_the_scheduler_a_few_at_a_time(cluster, monkeypatch):
    monkeypatch.setattr(dask_calls, "MOST_BYTES", 20_000_000)
    most = [0]

    class Watched(dask_calls.DaskCalls):
        def submit(self, *args):
            super().submit(*args)
            most[0] = max(most[0], len(self._asked))

    monkeypatch.setattr("jupyter_flows.executors.dask.DaskCalls", Watched)
    with Flow("large", executor=DaskExecutor(cluster.scheduler_address)) as flow:
        made = task(lambda data: len(data) + 1, name="len").map([bytes(12_000_000) for _ in range(5)])
    assert flow.run().result[made].result == [12_000_001] * 5
    assert most == [2]


def test_a_large_unmapped_input_is_sent_once_and_survives_its_worker(tmp_path):
    """As a Dask task: when the worker that has it dies, Dask makes it again."""
    folder = str(tmp_path)

    @task
    def look(x, whole):
        if x == 10:
            try:
                Path(folder, "died").touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)
            except FileExistsError:
                pass
        return x, len(whole)

    one = {"n_workers": 1, "threads_per_worker": 1}
    with Flow("large", executor=DaskExecutor(cluster_kwargs=one)) as flow:
        whole = task(lambda: b"x" * 5_000_000, name="whole")()
        made = look.map(list(range(40)), unmapped(whole))
    assert flow.run().result[made].result == [(x, 5_000_000) for x in range(40)]
    assert (tmp_path / "died").exists()


def test_a_cancelled_run_stops_its_bodies_on_workers_that_stay(cluster, tmp_path):
    def forever(number):
        (tmp_path / f"begun-{number}").touch()
        try:
            while True:
                pass
        finally:
            (tmp_path / f"ended-{number}").touch()

    with Flow("cancelled", executor=DaskExecutor(cluster.scheduler_address)) as flow:
        made = task(forever).map(list(range(6)))

    def interrupt():
        wait_until(lambda: len(list(tmp_path.glob("begun-*"))) == 2)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    person = threading.Thread(target=interrupt)
    person.start()
    done = FlowRunner(flow).run()
    person.join()
    assert type(done) is state.Cancelled
    assert type(done.result[made]) is state.Cancelled
    wait_until(lambda: len(list(tmp_path.glob("ended-*"))) == 2)
    assert len(list(tmp_path.glob("begun-*"))) == 2
    with Flow("after", executor=DaskExecutor(cluster.scheduler_address)) as after:
        one = task(lambda: 1, name="one")()
    assert after.run().result[one].result == 1


def test_a_timeout_on_a_worker_kills_what_hears_nothing(cluster):
    def compute():
        import hashlib

        hashlib.pbkdf2_hmac("sha256", b"x", b"y", 2_000_000_000)

    with Flow("busy", executor=DaskExecutor(cluster.scheduler_address)) as flow:
        made = task(compute, timeout=0.3)()
    found = flow.run().result[made]
    assert (type(found), found.message) == (
        state.TimedOut,
        "task compute took longer than 0.3 s; its process was killed",
    )


def test_a_scheduler_that_goes_away_fails_what_was_there(tmp_path):
    from distributed import LocalCluster

    mine = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50)

    def wait():
        (tmp_path / "begun").touch()
        time.sleep(1000)

    with Flow("lost", executor=DaskExecutor(mine.scheduler_address)) as flow:
        made = task(wait)()
        after = task(lambda x: x, name="after", trigger=all_finished)(made)
    killer = threading.Thread(target=lambda: (wait_until((tmp_path / "begun").exists), mine.close()))
    killer.start()
    done = flow.run()
    killer.join()
    for name, found in (("wait", done.result[made]), ("after", done.result[after])):
        assert type(found) is state.Failed
        assert found.message.startswith(f"task {name} failed: the Dask scheduler at tcp://127.0.0.1:")


def test_workers_come_with_the_work():
    executor = DaskExecutor(
        cluster_kwargs={"n_workers": 0, "threads_per_worker": 1}, adapt_kwargs={"minimum": 0, "maximum": 2}
    )
    with Flow("adaptive", executor=executor) as flow:
        pids = task(lambda x: os.getpid(), name="pid").map(list(range(20)))
    assert os.getpid() not in set(flow.run().result[pids].result)


def test_workers_that_come_and_go_are_logged_if_asked(caplog):
    executor = DaskExecutor(
        cluster_kwargs={"n_workers": 0, "threads_per_worker": 1},
        adapt_kwargs={"minimum": 0, "maximum": 1},
        watch_worker_status=True,
    )
    with Flow("watched", executor=executor) as flow:
        task(lambda: 1, name="one")()
    with caplog.at_level(logging.INFO, "jupyter_flows.executors"):
        flow.run()
    said = [record.message for record in caplog.records if record.name == "jupyter_flows.executors"]
    assert any(line.endswith("joined") for line in said)


def test_a_script_without_a_guard_is_told(tmp_path):
    script = tmp_path / "flow.py"
    script.write_text(
        textwrap.dedent(
            """
            from jupyter_flows import Flow, task
            from jupyter_flows.executors import DaskExecutor

            with Flow("unguarded", executor=DaskExecutor(cluster_kwargs={"n_workers": 1})) as flow:
                task(lambda: 1)()
            flow.run()
            """
        )
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode != 0
    assert "put flow.run() under 'if __name__ == \"__main__\":'" in done.stderr


def test_a_flow_keeps_its_executor_when_it_is_pickled():
    executor = DaskExecutor(cluster_kwargs={"n_workers": 3}, adapt_kwargs={"maximum": 4}, debug=True)
    copied = cloudpickle.loads(cloudpickle.dumps(Flow("kept", executor=executor))).executor
    assert vars(copied) == vars(executor)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"address": "tcp://h:1", "cluster_class": "a.B", "adapt_kwargs": {}},
            "DaskExecutor: address names a cluster that exists, cluster_class, adapt_kwargs would make one; give the one or the other",
        ),
        (
            {"address": "local"},
            "DaskExecutor: address is 'local'; it is that of a scheduler, such as 'tcp://host:8786'",
        ),
        (
            {"cluster_class": "LocalCluster"},
            "DaskExecutor: cluster_class is 'LocalCluster'; write it with its module, as 'distributed.LocalCluster'",
        ),
        ({"cluster_class": 3}, "DaskExecutor: cluster_class is of type int; it is a class, or its name"),
        (
            {"cluster_kwargs": [1]},
            "DaskExecutor: cluster_kwargs is of type list; it is a mapping of arguments",
        ),
    ],
)
def test_arguments_that_contradict_each_other_are_refused(options, sentence):
    with pytest.raises(InvalidFlow) as refused:
        DaskExecutor(**options)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("options", "kind", "sentence"),
    [
        (
            {"cluster_class": "no.such.Cluster"},
            InvalidFlow,
            "DaskExecutor: cluster_class 'no.such.Cluster' cannot be imported (ModuleNotFoundError)",
        ),
        (
            {"cluster_class": "distributed.NoCluster"},
            InvalidFlow,
            "DaskExecutor: cluster_class 'distributed.NoCluster' cannot be imported (AttributeError)",
        ),
        (
            {"address": "tcp://127.0.0.1:1", "client_kwargs": {"timeout": "0.2s"}},
            ClusterUnavailable,
            "no Dask scheduler answers at tcp://127.0.0.1:1",
        ),
        (
            {"performance_report_path": "report.html"},
            PackageMissing,
            "Dask's performance report needs the package bokeh: pip install bokeh",
        ),
    ],
)
def test_a_cluster_that_cannot_be_had_is_one_sentence(options, kind, sentence, monkeypatch):
    import jupyter_flows.executors.dask as module

    found = module.find_spec
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "bokeh" else found(name))
    flow = Flow("none", executor=DaskExecutor(**options))
    flow.add_task(task(lambda: 1, name="one"))
    with pytest.raises(kind) as refused:
        flow.run()
    assert str(refused.value).startswith(sentence)


def test_without_dask_there_is_one_sentence(monkeypatch):
    import jupyter_flows.executors.dask as cluster
    import jupyter_flows.executors.local_dask as local

    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    monkeypatch.setattr(local, "find_spec", lambda name: None)
    flow = Flow("none")
    one = task(lambda: 1, name="one")
    flow.add_task(one)
    with pytest.raises(
        PackageMissing, match=r'a DaskExecutor needs Dask: pip install "jupyter-flows\[dask\]"'
    ):
        flow.run(executor=DaskExecutor())
    with pytest.raises(
        PackageMissing, match=r'options of Dask need Dask: pip install "jupyter-flows\[dask\]"'
    ):
        flow.run(executor=LocalDaskExecutor(pool=None))
    assert flow.run(executor=LocalDaskExecutor()).result[one].result == 1


def test_naming_the_executor_does_not_import_dask():
    program = (
        "import sys; from jupyter_flows.executors import DaskExecutor, LocalDaskExecutor; "
        "DaskExecutor(); LocalDaskExecutor(); print('dask' in sys.modules, 'distributed' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


@pytest.mark.parametrize("scheduler", ["threads", "processes", "synchronous"])
def test_what_a_task_computes_with_dask_follows_the_configuration(scheduler):
    def look():
        import dask.config

        return dask.config.get("scheduler"), dask.config.get("array.chunk-size")

    executor = LocalDaskExecutor(scheduler, 2, **{"array.chunk-size": "1MiB"})
    with Flow("configured", executor=executor) as flow:
        made = task(look)()
    expected = "synchronous" if scheduler == "processes" else scheduler
    assert flow.run().result[made].result == (expected, "1MiB")
    import dask.config

    assert dask.config.get("scheduler", None) is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("thread",),
            "LocalDaskExecutor: no scheduler is called 'thread'; there are threads, processes and synchronous",
        ),
        (("threads", 0), "LocalDaskExecutor: num_workers is 0; it takes at least 1"),
    ],
)
def test_local_arguments_that_make_no_sense_are_refused(arguments, sentence):
    with pytest.raises(InvalidFlow) as refused:
        LocalDaskExecutor(*arguments)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("jupyter_flows.executors", "DaskExecutor"),
        ("jupyter_flows.executors", "LocalDaskExecutor"),
        ("jupyter_flows.executors", "LocalExecutor"),
        ("jupyter_flows.executors.dask", "DaskExecutor"),
        ("jupyter_flows.executors.dask", "LocalDaskExecutor"),
        ("jupyter_flows.executors.local", "LocalExecutor"),
        ("jupyter_flows.executors.base", "Executor"),
        ("jupyter_flows.engine.executors", "DaskExecutor"),
        ("jupyter_flows.engine.executors", "LocalDaskExecutor"),
        ("jupyter_flows.engine.executors", "LocalExecutor"),
    ],
)
def test_prefects_import_paths_lead_to_the_executors(path, name):
    from importlib import import_module

    import jupyter_flows.executors

    assert getattr(import_module(path), name) is getattr(jupyter_flows.executors, name)
