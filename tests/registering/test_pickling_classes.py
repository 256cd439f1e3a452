"""Classes and sets in a pickled flow: two that differ stay two, and the same bytes come out everywhere."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_flows import Flow, Task
from jupyter_flows.errors import CannotPickle
from jupyter_flows.registering import pickling
from jupyter_flows.registering.pickling import pickle_flow

HEAD = "from jupyter_flows import Flow, Task, task\n"

FACTORY = f"""{HEAD}
def make(factor, table):
    class Times(Task):
        TABLE = table

        def run(self, x):
            return x * factor + self.TABLE["add"]

    return Times

with Flow("etl") as flow:
    a = make(2, {{"add": 0}})(name="a")(10)
    b = make(3, {{"add": 0}})(name="b")(10)
    c = make(3, {{"add": 5}})(name="c")(10)
"""

NESTED = f"""{HEAD}
import abc, enum
from dataclasses import dataclass

@dataclass(frozen=True)
class Key:
    word: str
    def __hash__(self): return hash(self.word)

class Mode(enum.Flag):
    A = enum.auto()
    B = enum.auto()

class Shape(abc.ABC):
    KEYS = {{Key("x"), Key("y"), Key("z"), Key("w")}}
    WORDS = frozenset({{("one", Key("p")), ("two", frozenset({{"q", "r", "s"}})), "three"}})
    @abc.abstractmethod
    def area(self): ...
    def later(self):
        self.alpha, self.beta, self.gamma = 1, 2, 3

class One: ...
class Two: ...
class Three: ...
for virtual in (One, Two, Three):
    Shape.register(virtual)

class Square(Shape):
    def area(self):
        return len(self.KEYS) + len(self.WORDS) if "k" in {{"k", "l", "m"}} else 0

def decorate(f):
    seen = {{"a", "b", "c"}}
    def inner():
        return f() + len(seen)
    return inner

@task(tags={{"t1", "t2", "t3"}})
@decorate
def area():
    return Square().area() + (Mode.A | Mode.B).value

with Flow("etl") as flow:
    area()
    task(lambda words: len(words), name="given")({{"u", "v", "w"}})
"""


def pickled_by(script: Path, *, seed: int) -> bytes:
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from jupyter_flows.registering.pickling import pickle_flow\nfrom jupyter_flows.storage import load_script\n"
        "flow = load_script(Path(sys.argv[1]))\n"
        "sys.stdout.buffer.write(pickle_flow(flow, by_value=(sys.modules['__flow_script__'],)))"
    )
    return subprocess.run(
        [sys.executable, "-c", program, str(script)],
        env={**os.environ, "PYTHONHASHSEED": str(seed)},
        check=True,
        stdout=subprocess.PIPE,
        timeout=60,
    ).stdout


def results_elsewhere(data: bytes) -> str:
    """Run the flow in a fresh process that has neither the script nor its directory."""
    program = (
        "import pickle, sys; flow = pickle.load(sys.stdin.buffer)\n"
        "print({t.name: s.result for t, s in flow.run().result.items()})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=data, capture_output=True, cwd="/", check=True, timeout=60
    )
    return done.stdout.decode().strip()


@pytest.mark.parametrize("source", [FACTORY, NESTED], ids=["factory", "nested"])
def test_the_hash_seed_changes_nothing(tmp_path, source):
    script = tmp_path / "etl.py"
    script.write_text(source)
    assert 1 == len({pickled_by(script, seed=seed) for seed in (0, 1, 42)})


def test_classes_of_one_factory_stay_apart(tmp_path):
    """Same name, same code, other closure or other attribute: each task has its own."""
    script = tmp_path / "etl.py"
    script.write_text(FACTORY)
    assert "{'a': 20, 'b': 30, 'c': 35}" == results_elsewhere(pickled_by(script, seed=1))


def test_classes_and_sets_arrive_whole(tmp_path):
    script = tmp_path / "etl.py"
    script.write_text(NESTED)
    assert "{'inner': 13, 'given': 3}" == results_elsewhere(pickled_by(script, seed=1))


def times(factor: int) -> Flow:
    """A flow whose class differs from its siblings' by a closure alone."""

    class Times(Task):
        def run(self, x):
            return x * factor

    Times.__module__ = "__main__"
    with Flow("times") as flow:
        Times(name="a")(10)
    return flow


def test_two_versions_of_a_class_loaded_in_one_process_stay_two():
    """An agent's child loads one flow, a notebook may load several."""
    first, second = pickle.loads(pickle_flow(times(2))), pickle.loads(pickle_flow(times(3)))
    assert [20] == [state.result for state in first.run().result.values()]
    assert [30] == [state.result for state in second.run().result.values()]


def test_a_class_pickled_by_others_before_gives_the_same_bytes():
    """Whatever a library did with cloudpickle in this kernel, the flow is unchanged."""
    import cloudpickle

    flow, same = times(2), times(2)
    cloudpickle.dumps(flow)  # gives the class a random id
    assert pickle_flow(same) == pickle_flow(flow) == pickle_flow(flow)


def test_an_object_in_its_own_set_is_no_trap():
    class Node:
        def __init__(self):
            self.peers = {self}

    Node.__module__ = "__main__"
    node = Node()
    node.peers |= {Node(), Node()}
    with Flow("ring") as flow:
        from jupyter_flows import task

        task(lambda: len(node.peers), name="count")()
    again = pickle.loads(pickle_flow(flow))
    assert [3] == [state.result for state in again.run().result.values()]


def test_a_constant_that_cannot_be_pickled_is_named_with_its_argument():
    import threading

    from jupyter_flows import task

    with Flow("etl") as flow:
        task(lambda guard: 1, name="load")({"lock": threading.Lock()})
    with pytest.raises(CannotPickle) as refused:
        pickle_flow(flow)
    assert "task 'load'" in str(refused.value)
    assert "'guard'" in str(refused.value)
    assert "a dict that holds a _thread.lock" in str(refused.value)


def test_what_the_flow_itself_holds_is_named():
    import threading

    with Flow("etl") as flow:
        Task(name="one")()
    flow.state_handlers = [threading.Lock()]
    with pytest.raises(
        CannotPickle, match="flow 'etl' has a list that holds a _thread.lock as its state_handlers"
    ):
        pickle_flow(flow)


def test_a_flow_of_hundreds_of_megabytes_is_refused_with_the_culprit(monkeypatch):
    """Data belongs in files; the heaviest thing is named."""
    from jupyter_flows import task

    monkeypatch.setattr(pickling, "LIMIT_BYTES", 100_000)
    big, small = b"x" * 200_000, b"y" * 1000
    with Flow("etl") as flow:
        task(lambda: small, name="a")()
        task(lambda: (small, big), name="b")()
    with pytest.raises(CannotPickle, match=r"0\.2 MB as a pickle.*task 'b' uses 'big', a bytes of 0\.2 MB"):
        pickle_flow(flow)
