"""Random flows on every executor: the model's states and values, nothing twice, nothing before what it needs."""

from __future__ import annotations

import logging
import os
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from jupyter_flows import Flow, Task, flatten, triggers, unmapped
from jupyter_flows.core.context import context
from jupyter_flows.engine import signals
from jupyter_flows.executors import (
    DaskExecutor,
    LocalDaskExecutor,
    LocalExecutor,
    ProcessExecutor,
    ThreadExecutor,
)
from tests.engine.test_mapped_properties import (
    EACH,
    FLAT,
    WHOLE,
    kinds,
    kinds_of_model,
    model,
    nodes,
    plain,
    whole,
)


class Body(Task):
    """Does what its node says, in whichever process, and notes in a common file that it began and ended."""

    def __init__(self, node, number, path, **options):
        self.node, self.number, self.path = node, number, path
        super().__init__(name=f"t{number}", **options)

    def note(self, word, index):
        # One write of one line to a file opened for appending: whole, and in order, from all processes.
        with Path(self.path).open("ab", buffering=0) as file:
            file.write(f"{word} {self.number} {index} {context.task_run_count}\n".encode())

    def run(self, a0=None, a1=None):
        index = -1 if context.map_index is None else context.map_index
        self.note("begin", index)
        try:
            does = self.node.does(index, context.task_run_count)
            if does == "fail":
                raise ValueError(self.number)
            if does == "skip":
                raise signals.SKIP("nothing to do")
            return self.node.value(self.number, index)
        finally:
            self.note("end", index)


def build(made, path):
    tasks = []
    with Flow("random") as flow:
        for number, node in enumerate(made):
            options = {"max_retries": node.retries, "retry_delay": 0} if node.retries else {}
            task = Body(
                node,
                number,
                path,
                skip_on_upstream_skip=node.skips,
                trigger=triggers.all_finished if node.runs_anyway else triggers.all_successful,
                **options,
            )
            arguments = {}
            for place, (up, how) in enumerate(node.ups):
                wrapped = flatten(tasks[up]) if how == FLAT else tasks[up]
                arguments[f"a{place}"] = unmapped(wrapped) if how == WHOLE else wrapped
            tasks.append(task.map(**arguments) if node.is_mapped else task(**arguments))
    return flow, tasks


def too_early(made, notes):
    """Calls that began before something that they read had ended."""
    at = {note: place for place, note in enumerate(notes)}
    last_end = {}
    for (word, number, index, _), place in at.items():
        if word == "end":
            last_end[number, index] = max(place, last_end.get((number, index), -1))
    found = []
    for (word, number, index, attempt), place in at.items():
        for up, how in made[number].ups if word == "begin" else ():
            in_step = how == EACH and made[up].is_mapped
            ends = [
                end for (of, child), end in last_end.items() if of == up and (not in_step or child == index)
            ]
            found += [(number, index, attempt, up)] if any(end > place for end in ends) else []
    return found


@pytest.fixture(scope="module")
def executors():
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL
    ) as cluster:
        yield {
            "local": LocalExecutor(),
            "threads": ThreadExecutor(3),
            "processes": ProcessExecutor(2),
            "dask threads": LocalDaskExecutor(num_workers=2),
            "dask sync": LocalDaskExecutor("synchronous"),
            "dask cluster": DaskExecutor(address=cluster.scheduler_address),
        }


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("name", "examples"),
    [
        ("local", 60),
        ("threads", 60),
        ("processes", 20),
        ("dask threads", 30),
        ("dask sync", 30),
        ("dask cluster", 15),
    ],
)
def test_states_and_values_are_the_models(executors, name, examples):
    logging.getLogger("jupyter_flows").setLevel(logging.CRITICAL)

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(made=nodes())
    def check(made):
        expected, calls = model(made)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "notes")
            Path(path).touch()
            flow, tasks = build(made, path)
            state = flow.run(executor=executors[name])
            notes = [
                (line.split()[0], *map(int, line.split()[1:])) for line in Path(path).read_text().splitlines()
            ]
        found = [state.result[task] for task in tasks]
        assert [kinds_of_model(one) for one in expected] == [kinds(one) for one in found]
        assert [whole(one) for one in expected] == [plain(one.result) for one in found]
        assert Counter(note[1:] for note in notes if note[0] == "begin") == Counter(dict.fromkeys(calls, 1))
        assert too_early(made, notes) == []

    check()
