"""Random notebooks run by their graph in shuffled orders, compared with top to bottom.

``python -m tests.analysis.random_notebooks 10000`` (``make random-notebooks``) runs so many, in this process,
and prints the figures; a difference ends it with the smallest notebook that shows it.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from jupyter_flows.analysis import Analysis
from jupyter_flows.check.plan import Order, isolated, legal_order, view_of
from tests.analysis.cases import graph
from tests.analysis.generated import notebooks
from tests.analysis.leave_out import closure
from tests.analysis.oracle import run_in, without_failures
from tests.analysis.typed_notebooks import typed_notebooks

any_notebooks = st.one_of(typed_notebooks, typed_notebooks, notebooks)


def warned(analysis: Analysis) -> set[int]:
    """Cells that say that something of them cannot be seen; an unknown name is no excuse."""
    return {
        cell.index
        for cell in analysis.cells
        if any("no cell above" not in warning for warning in cell.warnings)
    }


def orders_of(analysis: Analysis, chance: random.Random, *, count: int) -> list[Order]:
    """Return sequences that the graph allows: of all cells, and of what each cell needs, then the cell."""
    view = view_of(analysis, [cell.index for cell in analysis.cells], setup=())
    shuffled = [legal_order(view, chance) for _ in range(count)]
    return [*shuffled, *dict.fromkeys(isolated(view, cell, chance.choice(shuffled)) for cell in view.cells)]


def differences(
    cells: Sequence[str], chance: random.Random, *, count: int = 2
) -> list[tuple[Order, int, Any, Any]]:
    """Run *cells* by their graph; return where a cell then gives something else, and what."""
    analysis = graph(*cells)
    numbers = range(1, len(cells) + 1)
    expected = run_in(cells, numbers)
    # What reads hidden state that nobody could see has said so; what is built on it follows.
    excused = warned(analysis)
    excused |= {
        target
        for source, target in closure({(e.source_index, e.target_index) for e in analysis.dependencies})
        if source in excused
    }
    found = []
    for order in orders_of(analysis, chance, count=count):
        seen = run_in(cells, order)
        # Of a sequence that was made for one cell only that cell counts: others may lack what they need.
        judged = [cell for cell in (order if len(order) == len(cells) else order[-1:]) if cell not in excused]
        # A function that gives a global the value it had leaves nothing to be seen: then it is looked at.
        once = {cell: set(expected[cell][1]) ^ set(seen[cell][1]) for cell in judged}
        whole, other = expected, seen
        if any(once.values()):
            looked_at = {cell: once.get(cell, set()) for cell in numbers}
            whole, other = run_in(cells, numbers, looked_at), run_in(cells, order, looked_at)
        found += [(order, cell, whole[cell], other[cell]) for cell in judged if whole[cell] != other[cell]]
    return found


class Figures:
    """What was run."""

    def __init__(self) -> None:
        self.notebooks = 0
        self.distinct: set[tuple[str, ...]] = set()
        self.cells = 0
        self.edges = 0
        self.excused = 0

    def note(self, cells: Sequence[str]) -> None:
        """Count a notebook."""
        self.notebooks += 1
        self.distinct.add(tuple(cells))
        self.cells += len(cells)


def run_many(count: int, *, start: int, figures: Figures) -> None:
    """Run *count* random notebooks; fail with the smallest in which a cell differs."""

    @seed(start)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(any_notebooks, st.integers(0, 2**16))
    def by_the_graph(cells: list[str], chance: int) -> None:
        kept = without_failures(cells)
        figures.note(kept)
        found = differences(kept, random.Random(chance))
        text = "\n# %%\n".join(kept)
        assert not found, (
            f"cell {found[0][1]} differs in the order {found[0][0]}\n{text}\n{found[0][2]}\n{found[0][3]}"
        )

    by_the_graph()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    figures = Figures()
    began = time.monotonic()
    # A long run varies what it has tried already; many short ones try something new.
    batch = 20
    for number, left in enumerate(range(chosen.count, 0, -batch)):
        try:
            run_many(min(batch, left), start=chosen.seed * 1_000_000 + number, figures=figures)
        except AssertionError as difference:
            print(difference)
            print(f"A difference was found among {figures.notebooks} notebooks.")
            return 1
        if figures.notebooks % 1_000 == 0:
            print(f"{figures.notebooks:6} notebooks, {time.monotonic() - began:.0f} s", flush=True)
    print(
        f"{figures.notebooks} random notebooks ({len(figures.distinct)} different ones, {figures.cells} cells) run by "
        f"the graph in shuffled orders and cell by cell: 0 differences ({time.monotonic() - began:.0f} s)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
