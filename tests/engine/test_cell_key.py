"""The key of a cell with ``--cache-for``: made in bounded work of any input, and the same in each process."""

from __future__ import annotations

import collections
import itertools
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

from jupyter_flows.engine import cell_graph, cell_key
from jupyter_flows.engine.cell_cache import CellCache
from jupyter_flows.engine.cell_graph import Incomparable
from jupyter_flows.engine.cell_key import Digester


def digest(*values: Any) -> str:
    """Return the digest of values that are added one after the other."""
    digester = Digester()
    for value in values:
        digester.add(value)
    return digester.hexdigest()


def defined(source: str) -> dict[str, Any]:
    """Return what a cell defines; functions and classes are by their code, as those of a notebook."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(source, namespace)
    return namespace


class Node:
    """An object that leads to others, and counts how often it is taken apart."""

    taken_apart: collections.Counter[str] = collections.Counter()

    def __init__(self, name: str, *to: Any) -> None:
        self.name = name
        self.to = list(to)

    def __reduce__(self) -> Any:
        Node.taken_apart[self.name] += 1
        return Node, (self.name,), {"to": self.to}


@pytest.fixture(autouse=True)
def _nothing_taken_apart() -> None:
    Node.taken_apart.clear()


def shared(levels: int, last: Any) -> Any:
    value = last
    for _ in range(levels):
        value = [value, value]
    return value


# -- work -----------------------------------------------------------------------------------------------


def test_an_object_is_taken_apart_once_however_many_ways_lead_to_it() -> None:
    node = Node("0")
    for level in range(1, 41):
        node = Node(str(level), node, node)
    digest(node)
    assert {str(level): 1 for level in range(41)} == Node.taken_apart


def test_an_object_in_a_circle_is_taken_apart_once() -> None:
    """Each leads to each: the ways through them are more than can be walked."""
    nodes = [Node(str(number)) for number in range(20)]
    for node in nodes:
        node.to = nodes
    digest(nodes)
    assert {str(number): 1 for number in range(20)} == Node.taken_apart


def test_an_input_of_several_names_is_hashed_once() -> None:
    """As of functions that read the same large table."""
    node = Node("table")
    digest([node], [node, 1], {"x": node})
    assert {"table": 1} == Node.taken_apart


def test_a_long_text_is_hashed_once(monkeypatch) -> None:
    hashed: list[int] = []
    dumps = cell_key.marshal.dumps
    monkeypatch.setattr(cell_key.marshal, "dumps", lambda value, form: hashed.append(1) or dumps(value, form))
    digest(["x" * 10_000] * 1000, ("x" * 10_000,))
    assert len(hashed) < 4


@pytest.mark.parametrize("last", [0, {"a": 1}, (), "x" * 10_000])
def test_sharing_makes_no_difference(last: Any) -> None:
    """What is one object by hand may be two when it was passed to another kernel."""
    one = shared(3, last)
    two = [[[last, last], [last, last]], [[last, last], [last, last]]]
    assert digest(one) == digest(two)
    assert digest(one, one) == digest(one, two)


# -- what differs ---------------------------------------------------------------------------------------


def circle(*numbers: int) -> dict[str, Any]:
    first: dict[str, Any] = {"number": numbers[0]}
    last = first
    for number in numbers[1:]:
        last["next"] = {"number": number}
        last = last["next"]
    last["next"] = first
    return first


def itself() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


def second_of_two(*, is_first: bool) -> list[Any]:
    a, b = {"name": "same"}, {"name": "same"}
    return [a, b, {"of": a if is_first else b, "in": None}]


def two_circles(place: int) -> list[Any]:
    parts: list[Any] = [[], []]
    for part in parts:
        part.append(parts)
    parts[0].append(parts[place])
    return parts


DIFFERENT: dict[str, list[Any]] = {
    "circles": [circle(1, 2, 3), circle(1, 3, 2), circle(1, 2), circle(2, 3, 1), itself(), [itself()], []],
    "places in a circle": [two_circles(0), two_circles(1)],
    "depths of sharing": [shared(levels, 0) for levels in range(5)],
    "sets": [{1}, {1.0}, {True}, {"1"}, {b"1"}, {(1,)}, frozenset({1}), {1, 2}, {1, "1"}, [1], {1: None}, set()],
    "long": ["x" * 5000, "x" * 5001, b"x" * 5000, ["x" * 5000], ["x" * 5000] * 2, 1 << 40_000, -(1 << 40_000)],
    "items": [collections.deque([1, 2]), collections.deque([2, 1]), collections.OrderedDict(a=1), {"a": 1}],
    "buffers": [bytearray(b"ab"), bytearray(b"ba"), memoryview(b"ab"), b"ab"],
}  # fmt: skip


@pytest.mark.parametrize("name", DIFFERENT)
def test_different_values_have_different_digests(name: str) -> None:
    values = DIFFERENT[name]
    assert len(values) == len({digest(value) for value in values})


@pytest.mark.parametrize(
    ("source", "change"),
    [
        ("from functools import lru_cache\n@lru_cache\ndef f(x): return x + 1", ("+ 1", "+ 2")),
        ("import dataclasses\n@dataclasses.dataclass\nclass f:\n    x: int = 1", ("= 1", "= 2")),
        ("def f(x): return x\nf.limit = 1", ("limit = 1", "limit = 2")),
        ("import re\nf = re.compile('a')", ("'a'", "'b'")),
        ("def g(): return f\ndef f(): return g() + 1", ("+ 1", "+ 2")),
        ("import enum\nclass E(enum.Enum):\n    A = 1\nf = E.A", ("A = 1", "A = 2")),
    ],
)
def test_what_is_written_otherwise_differs(source: str, change: tuple[str, str]) -> None:
    assert digest(defined(source)["f"]) == digest(defined(source)["f"])
    assert digest(defined(source)["f"]) != digest(defined(source.replace(*change))["f"])


def test_a_function_made_by_numpy_of_one_of_the_notebook_is_refused() -> None:
    """Pickle would take its name only."""
    made = defined("import numpy as np\nf = np.frompyfunc(lambda x: x + 1, 1, 1)")["f"]
    with pytest.raises(Incomparable, match="^a ufunc cannot be taken apart$"):
        digest(made)
    assert digest(defined("import numpy as np\nf = np.sin")["f"])


# -- the same in each process ---------------------------------------------------------------------------

SAME = """
import collections, dataclasses, decimal, enum, re
import numpy as np, pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from jupyter_flows.engine.cell_key import Digester

@dataclasses.dataclass
class Place:
    name: str
    near: list = dataclasses.field(default_factory=list)

a, b = Place("a"), Place("b")
a.near, b.near = [b, a], [a]
rows = np.arange(20.0).reshape(10, 2)
values = {
    "circle": a,
    "sets": [{"a", "b", 1, None}, {(1, "x"), (2, "y")}, frozenset({frozenset({"a", "b"}), "c"})],
    "graph": {node: {other: {"weight": 1} for other in "abc"} for node in "abc"},
    "pipeline": make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, [0, 1] * 5),
    "frame": pd.DataFrame({"a": [decimal.Decimal(1), None], "b": [{"x": [1]}, "y"], "c": pd.Timestamp(0)}),
    "tensor": np.ma.masked_array(rows, rows > 3).view(),
    "large": list(range(200_000)),
    "pattern": re.compile("a+"),
    "counter": collections.Counter("abca"),
}
for name, value in values.items():
    digester = Digester()
    digester.add(value)
    print(name, digester.hexdigest())
"""


def test_a_digest_is_the_same_in_another_process() -> None:
    """Fitted pipelines, frames of objects, graphs, sets and circles among them."""

    def ran(seed: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", SAME],
            check=True, text=True, stdout=subprocess.PIPE, env={**os.environ, "PYTHONHASHSEED": seed},
        )  # fmt: skip
        return done.stdout.splitlines()

    first = ran("1")
    assert 9 == len(first)
    assert first == ran("2")


# -- what has no digest ---------------------------------------------------------------------------------


class Endless:
    """Tells items without an end."""

    def __reduce__(self) -> Any:
        return Endless, (), None, itertools.count()


class Growing:
    """Is made anew, twice, wherever it is looked at."""

    def __init__(self, level: int = 0) -> None:
        self.level = level

    def __reduce__(self) -> Any:
        more = [Growing(self.level + 1), Growing(self.level + 1)] if self.level < 40 else None
        return Growing, (self.level,), more


class Raising:
    """Cannot be looked at."""

    def __reduce__(self) -> Any:
        raise OSError("gone")


def chain() -> Node:
    first = last = Node("first")
    for _ in range(2000):
        last.to = [Node("next")]
        last = last.to[0]
    return first


def set_in_a_circle() -> Node:
    node = Node("of a set")
    node.to = {Node("a", node), Node("b", node)}  # type: ignore[assignment]
    return node


def set_of_a_circle() -> set[Any]:
    a, b = Node("a"), Node("b")
    a.to, b.to = [b], [a]
    return {a, b}


def figure() -> Any:
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    axes.plot([1, 2])
    return axes


NONE = {
    "an endless iterator": (Endless, "a Endless has more than 1,000 items"),
    "objects made at each look": (Growing, "more than 1,000 objects would have to be looked at"),
    "one that raises": (Raising, "a Raising cannot be taken apart"),
    "a generator": (lambda: (each for each in "ab"), "a generator cannot be taken apart"),
    "a connection": (lambda: sqlite3.connect(":memory:"), "a Connection cannot be taken apart"),
    "a lock in an object": (lambda: Node("a", {"lock": Lock()}), "a lock cannot be taken apart"),
    "a long chain": (chain, "it is nested too deeply"),
    "a set in a circle": (set_in_a_circle, "it holds a set of objects that lead back to the set"),
    "a set of a circle": (set_of_a_circle, "it holds a set of objects that lead to each other"),
    "objects by address": (figure, "it holds objects by their addresses, which are others in each process"),
}


@pytest.mark.parametrize("name", NONE)
def test_what_cannot_be_told_cheaply_and_surely_is_refused(name: str, monkeypatch) -> None:
    monkeypatch.setattr(cell_key, "MOST_OBJECTS", 1000)
    if name in {"objects made at each look", "an endless iterator"}:
        monkeypatch.setattr(cell_graph, "MOST_OBJECTS", 1000)
    make, words = NONE[name]
    with pytest.raises(Incomparable) as raised:
        digest(make())
    assert words == str(raised.value)


def test_an_object_that_is_slow_to_take_apart_is_refused(monkeypatch) -> None:
    """Not before its limit, whoever's code it is."""
    times = itertools.count(0, 4)
    monkeypatch.setattr(cell_key.time, "perf_counter", lambda: next(times))
    assert digest([Node("a"), Node("b")])
    with pytest.raises(Incomparable, match="^it takes more than 10 s to take it apart$"):
        digest([Node("a"), Node("b"), Node("c")])


def test_a_digester_goes_on_after_a_value_without_digest() -> None:
    digester = Digester()
    with pytest.raises(Incomparable):
        digester.add([1, itself(), (each for each in "ab")])
    digester.add("x")
    assert digest("x") == digester.hexdigest()


def test_the_cell_is_not_kept_and_the_name_and_its_type_are_told(tmp_path: Path, capsys) -> None:
    asked: dict[str, Any] = {
        "directory": str(tmp_path), "limit_bytes": 0, "seconds": 3600, "source": "n = len(ax.lines)",
        "options": "", "names": ["ax"], "code": [], "writes": ["n"], "needed": ["n"], "files": [],
        "told": True, "follows": False, "run": "", "shared": "",
    }  # fmt: skip
    namespace = {"ax": figure()}
    cache = CellCache(asked, namespace)
    assert not cache.look_up()
    exec(asked["source"], namespace)
    cache.keep()
    assert (
        "(--cache-for: not kept, because ax (matplotlib.axes._axes.Axes), which the cell reads, cannot be "
        "compared: it holds objects by their addresses, which are others in each process)\n"
        == capsys.readouterr().err
    )
    assert [] == list(tmp_path.iterdir())
