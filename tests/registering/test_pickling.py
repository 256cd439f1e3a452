"""A flow as bytes: the same for the same flow, whole elsewhere, and a sentence for what cannot be."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import threading
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from jupyter_flows import Flow, task
from jupyter_flows.errors import CannotPickle
from jupyter_flows.notebook.build import build_flow
from jupyter_flows.notebook.read import CodeCell, NotebookCells
from jupyter_flows.registering import pickling
from jupyter_flows.registering.pickling import modules_in, pickle_flow

SCRIPT = """
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from jupyter_flows import Flow, Parameter, Task, task

WORDS = {"lion", "quokka", "zebra", "heron", "owl"}
FROZEN = frozenset({"alpha", "beta", "gamma", ("d", 4)})


class Colour(Enum):
    RED = 1
    BLUE = 2


@dataclass
class Point:
    x: int
    y: int = 2

    def kind(self):
        return self.x in {1, 2, 3} or str(self.y) in {"p", "q", "r"}


class Row(NamedTuple):
    a: int


class Base:
    handlers = (object(), {"k": {"x", "y"}})

    def __init__(self, value):
        self.value = value


class Child(Base):
    @property
    def twice(self):
        return [Child(self.value), self.value * 2][1]

    @staticmethod
    def words():
        return {"s", "t", "u"}


def helper(n):
    return [Point(i, n).kind() for i in range(n)]


class Twice(Task):
    def run(self, n):
        return Child(n).twice


@task(tags=["one", "two", "three"])
def count(n):
    return len(helper(n)) + len(WORDS) + len(FROZEN) + Colour.RED.value + Row(1).a


with Flow("etl") as flow:
    n = Parameter("n", default=4)
    counted = count(n)
    doubled = Twice()(n)
"""

PICKLE = """
import hashlib, sys
from pathlib import Path
from jupyter_flows.registering.pickling import pickle_flow
from jupyter_flows.storage import load_script
flow = load_script(Path(sys.argv[1]))
data = pickle_flow(flow, by_value=(sys.modules["__flow_script__"],))
Path(sys.argv[2]).write_bytes(data)
"""


def pickled_elsewhere(script: Path, *, seed: int) -> bytes:
    """Pickle the flow of a script in a process with this hash seed."""
    target = script.with_name(f"{seed}.pickle")
    subprocess.run(
        [sys.executable, "-c", PICKLE, str(script), str(target)],
        env={**os.environ, "PYTHONHASHSEED": str(seed)},
        check=True,
        timeout=60,
    )
    return target.read_bytes()


def test_same_flow_gives_same_bytes_in_any_process(tmp_path):
    """Hash seed, random class ids and addresses leave no trace."""
    script = tmp_path / "etl.py"
    script.write_text(SCRIPT)
    first, *others = [pickled_elsewhere(script, seed=seed) for seed in (1, 2, 3)]
    assert [first, first] == others


def test_changed_flow_gives_other_bytes(tmp_path):
    """A constant in a method of a class is content too."""
    script = tmp_path / "etl.py"
    script.write_text(SCRIPT)
    before = pickled_elsewhere(script, seed=1)
    script.write_text(SCRIPT.replace('{"p", "q", "r"}', '{"p", "q", "z"}'))
    assert before != pickled_elsewhere(script, seed=1)


def test_pickled_script_runs_where_the_script_is_not(tmp_path):
    """Its functions and classes travel with it."""
    script = tmp_path / "etl.py"
    script.write_text(SCRIPT)
    data = pickled_elsewhere(script, seed=5)
    script.unlink()
    program = (
        "import sys, pickle; flow = pickle.load(sys.stdin.buffer); state = flow.run(n=3)\n"
        "print(sorted(str(s.result) for t, s in state.result.items() if t.name in {'count', 'Twice'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=data, capture_output=True, cwd="/", check=True, timeout=60
    )
    assert b"['14', '6']" == done.stdout.strip()


def in_kernel(source: str, filename: str) -> Flow:
    """Execute source as a kernel's cell with that temporary file name; return its flow."""
    space: dict[str, object] = {"__name__": "__main__"}
    exec(compile(source, filename, "exec"), space)
    flow = space["flow"]
    assert isinstance(flow, Flow)
    return flow


def test_kernels_temporary_file_names_do_not_matter():
    first = pickle_flow(in_kernel(SCRIPT, "/tmp/ipykernel_41/123.py"))
    assert first == pickle_flow(in_kernel(SCRIPT, "/tmp/ipykernel_42/456.py"))


def test_chain_of_hundreds_of_functions_is_not_too_deep():
    """cloudpickle's own pickler gives up at about a hundred."""
    source = "def f0():\n    return 0\n" + "".join(
        f"def f{n}():\n    return f{n - 1}()\n" for n in range(1, 300)
    )
    source += "from jupyter_flows import Flow, task\nwith Flow('deep') as flow:\n    task(lambda: f299(), name='f')()"
    flow = pickle.loads(pickle_flow(in_kernel(source, "<deep>")))
    assert flow.run().is_successful()


class Plain:
    """Refers to itself, as objects of users do."""

    def __init__(self):
        self.me = self
        self.rows = ({"a": self}, [], (), {})


TOGETHER = {
    "script": lambda: in_kernel(
        "from jupyter_flows import Flow, Parameter, Task, task\n"
        "def helper(n):\n    return [n, helper]\n"
        "class Twice(Task):\n    def run(self, n):\n        return 2 * n\n"
        "@task(max_retries=2, retry_delay=1, tags=['b', 'a'])\ndef count(n):\n    return helper(n)\n"
        "with Flow('etl') as flow:\n    Twice()(count(Parameter('n', default=4)))",
        "<cell>",
    ),
    "object": Plain,
    "large": lambda: ["x" * 70_000, b"y" * 70_000, "é" * 70_000, "\ud800", 2**31, -(2**80), 1.5, ..., None],
    "subclasses": lambda: [Counter(dict.fromkeys(range(n), 1)) for n in (1, 999, 1000, 1001, 2001)],
    **{f"list of {n}": partial(list, range(n)) for n in (0, 1, 2, 999, 1000, 1001, 1002, 2000, 2001)},
    **{
        f"dict of {n}": partial(dict.fromkeys, range(n)) for n in (0, 1, 2, 999, 1000, 1001, 1002, 2000, 2001)
    },
}


@pytest.mark.parametrize("make", TOGETHER.values(), ids=TOGETHER)
def test_both_picklers_write_the_same_bytes(make):
    """Which of the two it was hangs on the stack's depth and on sets; it must not make a new version."""
    value = make()
    with io.BytesIO() as stream:
        pickling._QuickPickler(stream, seed="s").dump(value)
        quick = stream.getvalue()
    with io.BytesIO() as stream:
        pickling._Pickler(stream, seed="s", open_sets=frozenset()).dump(value)
        assert quick == stream.getvalue()


def test_a_set_is_met_wherever_it_is():
    """The C pickler would write it in the order of this process's hash seed."""
    for value in [{1}, frozenset(), [({"a": frozenset({"x"})},)], lambda n: n in {"a", "b"}]:
        pickler = pickling._QuickPickler(io.BytesIO(), seed="s")
        pickler.dump(value)
        assert pickler.has_met_sets()


def test_a_thousand_copies_of_a_task_take_the_quick_way(monkeypatch):
    """An ordinary flow has no sets: its tasks' tags are pickled as sorted tuples."""
    monkeypatch.setattr(pickling, "_Pickler", None)

    @task(tags=["b", "a"])
    def increase(x):
        return x + 1

    with Flow("chain") as flow:
        last = increase(0)
        for _ in range(999):
            last = increase(last)
    assert 1000 == len(pickle.loads(pickle_flow(flow)).tasks)


def notebook_flow(*sources: str) -> Flow:
    cells = tuple(
        CodeCell(id=f"c{n}", index=n, position=n - 1, source=source) for n, source in enumerate(sources, 1)
    )
    flow = build_flow(NotebookCells(path="book.ipynb", cells=cells), make=Flow)
    assert isinstance(flow, Flow)
    return flow


def test_notebook_carries_source_not_frozen_globals():
    """A function's global that a later cell binds again has its later value (B02 of the cell cases)."""
    flow = notebook_flow(
        "rate = 2\ndef scaled(x):\n    return x * rate",
        "%%task first\na = scaled(3)",
        "rate = 10",
        "%%task second\nb = scaled(3)",
    )
    again = pickle.loads(pickle_flow(flow))
    results = {t.name: s.result for t, s in again.run().result.items()}
    assert {"a": 6} == results["first"]
    assert {"b": 30} == results["second"]


# -- what cannot be pickled --------------------------------------------------------------------------


def refusal(flow) -> str:
    with pytest.raises(CannotPickle) as raised:
        pickle_flow(flow)
    return str(raised.value)


def test_global_is_named_with_its_task_and_type():
    guard = threading.Lock()
    space = {"__name__": "__main__", "guard": guard, "task": task, "Flow": Flow}
    source = "@task\ndef load():\n    return guard\nwith Flow('etl') as flow:\n    load()"
    exec(source, space)
    sentence = refusal(space["flow"])
    assert sentence == (
        "task 'load' uses 'guard', a _thread.lock, which cannot be pickled; "
        "create it inside the task, or register the notebook or script itself"
    )


def test_object_in_a_container_of_a_closure_is_named():
    def make(connection):
        @task
        def load():
            return connection["db"]

        return load

    with Flow("etl") as flow:
        make({"db": threading.Lock()})()
    assert "'connection', a dict that holds a _thread.lock" in refusal(flow)


def test_attribute_of_a_task_is_named():
    from jupyter_flows import Task

    class Load(Task):
        def __init__(self):
            super().__init__()
            self.lock = threading.Lock()

        def run(self):
            return 1

    with Flow("etl") as flow:
        Load()()
    sentence = refusal(flow)
    assert "'Load'" in sentence
    assert "'lock'" in sentence


def test_generator_in_a_helper_is_found():
    """What is wrong is two functions away from the task."""
    space = {"__name__": "__main__", "rows": (n for n in ()), "task": task, "Flow": Flow}
    source = (
        "def helper():\n    return list(rows)\n"
        "@task\ndef load():\n    return helper()\n"
        "with Flow('etl') as flow:\n    load()"
    )
    exec(source, space)
    sentence = refusal(space["flow"])
    assert "task 'load' uses 'helper', a function that holds a generator" in sentence


# -- loading it back elsewhere -------------------------------------------------------------------------


def test_module_names_are_read_from_whatever_a_pickle_holds():
    """Subclasses of containers, enumerations, slots, reducers: the names are found, whatever the objects are."""
    import collections
    import decimal
    import functools
    import re

    values = [
        collections.Counter("aa"),
        collections.deque([1]),
        {frozenset([re.IGNORECASE]): collections.OrderedDict(a=1)},
        decimal.Decimal(1),
        functools.partial(os.path.join, "a"),
        re.compile("a"),
    ]
    assert set(modules_in(pickle.dumps(values, protocol=5))) >= {
        "collections",
        "decimal",
        "functools",
        "posixpath",
        "re",
    }
    assert modules_in(pickle.dumps(len)) == ["builtins"]
    assert modules_in(pickle.dumps([1, "os", {"sys": None}])) == []
