"""Notebooks made by chance, compared with what leaving cells out shows."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings

from tests.analysis.cases import closure, graph, pairs
from tests.analysis.generated import notebooks
from tests.analysis.oracle import dependent_pairs, without_failures
from tests.analysis.random_notebooks import Figures, run_many


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(notebooks)
def test_no_dependency_is_missed(cells):
    """No pair is missing unless a cell of it is warned of something else than an unknown name."""
    cells = without_failures(cells)
    analysis = graph(*cells)
    warned = {
        cell.index
        for cell in analysis.cells
        if any("no cell above" not in warning for warning in cell.warnings)
    }
    missing = dependent_pairs(cells) - closure(pairs(analysis))
    assert {(a, b) for a, b in missing if a not in warned and b not in warned} == set()


def test_random_notebooks_give_the_same_by_the_graph():
    """A part of ``make random-notebooks``, the same each time: by the graph no cell gives anything else."""
    figures = Figures()
    for start in range(15):
        run_many(20, start=start, figures=figures)
    assert len(figures.distinct) > 200
