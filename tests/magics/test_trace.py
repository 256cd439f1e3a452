"""Cells run in a real kernel: what running shows beside the source, and what it must not invent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.analysis.cases import closure, graph, pairs

CASES = json.loads((Path(__file__).parents[1] / "cells.json").read_text())
NOT_SEEN: dict[str, str] = {}
"""Case -> why neither the source nor a run shows all of its edges; its cells carry a warning."""
SAID = (
    "[[e.source_index, e.target_index, [*e.names], e.kind, e.seen, e.reason]"
    " for e in get_ipython().jupyter_flows_desk.analysis().edges]"
)
WARNED = "[c.index for c in get_ipython().jupyter_flows_desk.analysis().cells if c.warnings]"


def run(kernel, *cells: str) -> None:
    for number, source in enumerate(cells, 1):
        kernel.run(source, f"c{number}")


def added(kernel) -> dict[tuple[int, int], tuple[list[str], str]]:
    """Edges that only the run shows."""
    return {
        (source, target): (names, reason)
        for source, target, names, _, seen, reason in kernel.value(SAID)
        if seen == "run"
    }


def expected(case: dict) -> set[tuple[int, int]]:
    return {(source, target) for source, target, _ in case["edges"]}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_cases_are_exact(kernel, case):
    """With source and run together no edge is missing; the run invents nothing that source did not."""
    if case.get("needs"):
        pytest.importorskip(case["needs"])
    run(kernel, *case["cells"])
    found = {(source, target) for source, target, _, kind, *_ in kernel.value(SAID) if kind != "order"}
    static = pairs(graph(*case["cells"]))
    missing = closure(expected(case)) - closure(found)
    if case["id"] in NOT_SEEN or case["kind"] == "hidden":
        warned = set(kernel.value(WARNED))
        assert {pair for pair in missing if not warned & set(pair)} == set()
    else:
        assert missing == set()
    assert closure(found) - closure(expected(case)) - closure(static) == set()


HELPERS = """
import sys, types
helper = types.ModuleType("helper_of_tests")
helper.kept = []
exec('''
import sys
def inject(**names): vars(sys.modules["__main__"]).update(names)
def drop(name): del vars(sys.modules["__main__"])[name]
def keep(value): kept.append(value); return value
def touch(): kept[-1].append(1)
def last(): return kept[-1]
''', vars(helper))
sys.modules["helper_of_tests"] = helper
"""
"""A library: its functions are not read, as those of an installed package are not."""


@pytest.fixture
def library(kernel):
    """The kernel, with a library that does things behind the source's back."""
    kernel.run(f"%%skip\nexec({HELPERS!r})", "helpers")
    kernel.run("import helper_of_tests as lib", "c1")
    return kernel


def test_a_name_bound_behind_the_source_is_found(library):
    library.run("%%task fill\nlib.inject(total=3)", "fill")
    library.run("%%task report\nprint(total)", "report")
    (names, reason) = added(library)[3, 4]
    assert ["total"] == names
    assert "cell 4 reads `total`, which cell 3 bound when it ran (not visible in its source)" == reason


def test_a_change_behind_the_source_is_found_with_all_names(library):
    run_cells = {
        "make": "scores = []\nlib.keep(scores)\nby_name = {'all': scores}",
        "touch": "lib.touch()",
        "one": "print(scores)",
        "two": "print(by_name)",
    }
    for own, source in run_cells.items():
        library.run(f"%%task {own}\n{source}", own)
    found = added(library)
    assert {(3, 4), (4, 5), (4, 6)} == set(found)
    assert "cell 4 changed `scores` when it ran (not visible in its source)" in found[3, 4][1]


def test_an_object_that_comes_back_through_a_library_is_recognised(library):
    library.run("scores = [1]", "make")
    library.run("lib.keep(scores)", "keep")
    library.run("again = lib.last()", "again")
    found = {(source, target) for source, target, *_ in library.value(SAID)}
    assert (3, 5) in closure(found)


def test_a_deletion_behind_the_source_is_found(library):
    library.run("x = 1", "make")
    library.run("lib.drop('x')", "drop")
    library.run("print(x)", "look")
    assert "which cell 4 deleted when it ran" in added(library)[4, 5][1]


def test_an_edited_cell_forgets_what_its_old_source_did(library):
    library.run("lib.inject(total=3)", "fill")
    library.run("print(total)", "report")
    assert {(3, 4)} == set(added(library))
    library.run("pass", "fill")
    assert {} == added(library)


def test_running_again_to_the_same_value_forgets_nothing(library):
    """The name stands for the very same object again, which no look can see."""
    for _ in range(2):
        library.run("lib.inject(total=3)", "fill")
        library.run("print(total)", "report")
    assert {(3, 4)} == set(added(library))


def test_order_of_running_does_not_turn_edges_round(library):
    library.run("lib.inject(total=3)", "fill")
    library.run("print(total)", "report")
    library.run("total = 9", "late")
    library.run("lib.inject(total=3)", "fill")
    assert {(3, 4)} == set(added(library))


USER_CODE = """
class Loud:
    def __init__(self): self.held = [1]
    def __eq__(self, other): raise SystemError("called")
    def __hash__(self): raise SystemError("called")
    def __repr__(self): raise SystemError("called")
    def __len__(self): raise SystemError("called")
    def __iter__(self): raise SystemError("called")
    def __getattribute__(self, name):
        calls.append(name)
        return object.__getattribute__(self, name)
    @property
    def __class__(self): calls.append("class"); return int
    @property
    def __dict__(self): calls.append("dict"); return {}
class Meta(type):
    def __hash__(cls): calls.append("hash"); return 1
    def __eq__(cls, other): calls.append("eq"); return True
    def __getattribute__(cls, name):
        calls.append(name)
        return type.__getattribute__(cls, name)
class Odd(list, metaclass=Meta):
    def __len__(self): calls.append("len"); return 0
    def __iter__(self): calls.append("iter"); return iter(())
    def __getitem__(self, place): calls.append("getitem")
class Text(str):
    def __eq__(self, other): calls.append("text"); return True
    __hash__ = str.__hash__
loud, odd, text, inner, frozen = Loud(), Odd([1]), Text("a"), [Loud(), Odd()], {1: Loud()}
"""


def test_looking_runs_no_code_of_the_user(kernel):
    kernel.run(f"calls = []\n{USER_CODE}", "classes")
    kernel.run("calls.clear()", "clear")
    ran = kernel.run("seen = tuple(calls)", "seen")
    assert (ran.status, ran.stderr) == ("ok", "")
    assert [] == kernel.value("[*seen]")


def test_a_change_inside_an_object_of_the_user_is_seen(library):
    library.run(
        "class Box:\n    def __init__(self): self.items = []\nbox = Box()\nlib.keep(box.items)", "box"
    )
    library.run("lib.touch()", "touch")
    library.run("print(box.items)", "show")
    assert (4, 5) in added(library)


def test_what_pickling_keeps_on_a_class_is_no_change(library):
    """``copyreg`` notes the slots of a class at the first pickle of an instance."""
    library.run("import pickle\nclass Box: pass", "box")
    library.run("lib.pickled = pickle.dumps(Box())", "pack")
    ran = library.run("again = Box()\nprint('__slotnames__' in vars(Box))", "unpack")
    assert "True" == ran.stdout.strip()
    assert not added(library)


def test_objects_are_not_kept_alive(kernel):
    """What a cell lets go of is gone while it still runs, and after it."""
    kernel.run("import gc, weakref\nclass Big: pass\nbig = Big()\nthere = weakref.ref(big)", "make")
    kernel.run("del big\ngone = there() is None", "drop")
    assert kernel.value("gone")


def test_a_thread_that_changes_things_is_blamed_on_no_cell(library):
    library.run("import threading\nticks = []\nstop = threading.Event()", "make")
    library.run(
        "def tick():\n    while not stop.wait(0.005): ticks.append(1)\n"
        "worker = threading.Thread(target=tick, daemon=True)\nworker.start()\nstop.wait(0.05)",
        "start",
    )
    library.run("stop.wait(0.05)", "unrelated")
    library.run("stop.wait(0.05)", "unrelated too")
    library.run("print(ticks)", "show")
    library.run("stop.set()", "end")
    assert not {(source, target) for source, target in added(library) if source in {5, 6}}


def test_names_of_the_shell_are_not_the_users(kernel):
    kernel.run("40 + 2", "a")
    kernel.run("print(In, Out, _)", "b")
    assert {} == added(kernel)


def test_a_cell_that_runs_too_much_to_look_at_says_so(kernel):
    """Time for a look is bounded; a name that it did not suffice for has a warning on its cell."""
    kernel.run("many = [[{i: [i]} for i in range(60)] for _ in range(60)]", "a")
    kernel.run("for i in range(3000):\n    globals()[f'n{i}'] = [[{j: j} for j in range(5)]]", "b")
    kernel.run("seen = len(n2999)", "c")
    missed = kernel.value(
        "[len(facts.not_looked_at) for _, facts in get_ipython().jupyter_flows_desk._observed.values()]"
    )
    assert missed[-1] > 100


@pytest.mark.parametrize("environ", [{"JUPYTER_FLOWS_TRACE": "0"}, {"JUPYTER_FLOWS_RUN_ID": "0" * 32}])
def test_no_trace_when_off_or_headless(tmp_path, environ):
    from .conftest import start_kernel

    running = start_kernel(tmp_path, tmp_path / "home", **environ)
    try:
        running.run("%load_ext jupyter_flows", "load")
        running.run("exec('x' + '= 1')", "a")
        assert "1" == running.run("x", "b").result
        assert [] == running.value("[*get_ipython().jupyter_flows_desk._observed]")
        assert not running.value("'jupyter_flows.magics.trace' in __import__('sys').modules")
    finally:
        running.close()
