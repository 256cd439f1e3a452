"""What is stale, and that running it brings everything to what running all from the top would give."""

from __future__ import annotations

import builtins
import contextlib
import io
import sys
from typing import Any

import msgspec
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from jupyter_flows.analysis import Analysis
from jupyter_flows.magics.staleness import LastRun, plan, standings
from tests.analysis import oracle
from tests.analysis.cases import graph
from tests.analysis.generated import cell as any_cell
from tests.analysis.generated import notebooks


class DeskWithoutKernel:
    """Cells that are edited and run in any order, with what the desk keeps of that."""

    def __init__(self, cells: list[str]) -> None:
        self.cells = cells
        self.namespace: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins}
        self.runs: dict[str, LastRun] = {}
        self.wrote: dict[str, str] = {}
        self.count = 0

    @property
    def analysis(self) -> Analysis:
        return graph(*self.cells)

    def writes(self) -> dict[str, frozenset[str]]:
        return {cell.id: frozenset((*cell.writes, *cell.deletes)) for cell in self.analysis.cells}

    def sources(self) -> dict[str, str]:
        return {f"c{number}": source for number, source in enumerate(self.cells, 1)}

    def got(self, index: int) -> dict[str, str]:
        info = self.analysis.cell(index)
        needs = (*info.reads, *info.mutates, *info.deletes)
        return {name: self.wrote[name] for name in needs if name in self.wrote}

    def run(self, index: int) -> None:
        key, source, got = f"c{index}", self.cells[index - 1], self.got(index)
        self.count += 1
        has_failed = False
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                sys.settrace(oracle._limit())
                exec(compile(source, "cell", "exec"), self.namespace)
            except Exception:
                has_failed = True
            finally:
                sys.settrace(None)
        last = self.runs.get(key)
        since = self.count if last is None or last.has_failed or last.source != source else last.since
        self.runs[key] = LastRun(
            number=self.count, since=since, source=source, has_failed=has_failed, got=got
        )
        self.wrote.update(dict.fromkeys(self.writes()[key], key))

    def stale(self) -> dict[int, str]:
        found = standings(self.analysis, self.sources(), self.runs, writes=self.writes(), wrote=self.wrote)
        return {int(key[1:]): item.reason for key, item in found.items() if item.status != "up to date"}

    def catch_up(self) -> list[int]:
        analysis = self.analysis
        found = standings(analysis, self.sources(), self.runs, writes=self.writes(), wrote=self.wrote)
        steps = [step.index for step in plan(analysis, found, self.runs, writes=self.writes())]
        for index in steps:
            self.run(index)
        return steps

    def values(self) -> Any:
        return oracle.seen({key: value for key, value in self.namespace.items() if not key.startswith("__")})


def _is_plain(analysis: Analysis) -> bool:
    """Whether nothing is warned of, so that source alone tells everything."""
    return not any(cell.warnings or cell.option_error for cell in analysis.cells)


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    notebooks,
    st.lists(
        st.tuples(st.integers(0, 100), st.one_of(st.none(), st.none(), st.none(), any_cell)), max_size=12
    ),
)
def test_catching_up_gives_what_running_from_the_top_gives(cells, actions):
    """Edit and run cells in any order, then run what is stale: all is as from the top, and nothing is stale."""
    desk = DeskWithoutKernel(list(cells))
    for number, edit in actions:
        index = number % len(cells) + 1
        if edit is not None and index > 1:
            desk.cells[index - 1] = edit
        # Running a cell again on what it made itself is not called stale: see the test below.
        if f"c{index}" not in desk.got(index).values():
            desk.run(index)
    assume(_is_plain(desk.analysis))
    assume(desk.cells == oracle.without_failures(desk.cells))
    desk.catch_up()
    fresh = DeskWithoutKernel(desk.cells)
    for index in range(1, len(cells) + 1):
        fresh.run(index)
    leftover = set(desk.values()) - set(fresh.values())
    kept = {name: value for name, value in desk.values().items() if name not in leftover}
    assert fresh.values() == kept
    assert {} == desk.stale()


def ran(*cells: str, order: list[int]) -> DeskWithoutKernel:
    desk = DeskWithoutKernel(list(cells))
    for index in order:
        desk.run(index)
    return desk


def test_an_edited_cell_and_all_below_it_are_stale():
    desk = ran("a = 1", "b = a", "c = 3", "d = b", order=[1, 2, 3, 4])
    assert {} == desk.stale()
    desk.cells[0] = "a = 2"
    assert dict.fromkeys((1, 2, 4), "cell 1 changed after it last ran") == desk.stale()
    assert [1, 2, 4] == desk.catch_up()
    assert (2, {}) == (desk.namespace["d"], desk.stale())


def test_a_cell_that_got_another_cells_value_is_stale():
    desk = ran("a = 1", "b = a", "a = 5", order=[1, 3, 2])
    assert {2: "cell 2 ran with `a` of cell 3, not of cell 1"} == desk.stale()
    assert [1, 2, 3] == desk.catch_up()
    assert (1, 5) == (desk.namespace["b"], desk.namespace["a"])


def test_a_cell_may_get_the_value_of_one_that_it_does_not_wait_for():
    """From top to bottom it does; that it may was said with --not-after."""
    desk = ran("%%task a\nx = 1", "%%task b\nx = 2", "%%task c --not-after b\ny = x", order=[])
    assert {(1, 3)} == {
        (edge.source_index, edge.target_index) for edge in desk.analysis.edges if edge.kind == "data"
    }
    desk.runs = {f"c{n}": LastRun(number=n, source=text) for n, text in enumerate(desk.cells, 1)}
    desk.runs["c3"] = msgspec.structs.replace(desk.runs["c3"], got={"x": "c2"})
    assert {} == desk.stale()


def test_running_a_cell_twice_is_its_authors_business():
    """``df["x"] = …`` is run again and again while it is written; only what reads it has to follow."""
    desk = ran("a = [1]", "a.append(2)", "b = len(a)", order=[1, 2, 3, 2])
    assert {3: "cell 2 ran after cell 3 last ran"} == desk.stale()
    assert [3] == desk.catch_up()


def test_imports_and_definitions_that_run_again_make_nothing_stale():
    desk = ran("import math\ndef half(n): return n / 2", "b = math.floor(half(5))", order=[1, 2, 1])
    assert {} == desk.stale()


def test_a_cell_whose_name_was_overwritten_from_above_is_stale():
    desk = ran("a = 1", "a = 5", order=[1, 2, 1])
    assert {2: "cell 1 overwrote the `a` of cell 2"} == desk.stale()
    assert [2] == desk.catch_up()


def test_a_failed_cell_is_stale_and_so_is_what_needs_it():
    desk = ran("a = 1", "b = a / 0", "c = 1", order=[1, 2, 3])
    assert {2: "cell 2 failed when it last ran"} == desk.stale()
