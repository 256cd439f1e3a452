"""Real notebooks in the usual careless style: each cell left out in turn, and run by the graph.

Two of them here, for each takes a minute; ``make edges`` proves all.
"""

from __future__ import annotations

import pytest

from jupyter_flows.notebook.build import build_flow
from jupyter_flows.notebook.read import read_notebook
from tests.analysis.leave_out import NOTEBOOKS, prove

MOST_EXTRA = 40
"""Pairs too many that one notebook may have: they cost time only."""


PROVED_HERE = [path for path in NOTEBOOKS if path.stem in {"affairs", "tumours"}]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", PROVED_HERE, ids=lambda path: path.stem)
def test_no_pair_is_missing_and_shuffled_runs_are_equal(path):
    """What leaving out a cell changes is in the graph or announced; runs by the graph change nothing."""
    proof = prove(path, orders=1)
    assert {} == proof.failed
    assert len(proof.sources) >= 15
    assert {pair for pair in proof.missing(proof.edges) if not set(pair) & proof.warned} == set()
    assert {cell for _, cell, _ in proof.moved if cell not in proof.warned} == set()
    assert len(proof.extra(proof.edges)) <= MOST_EXTRA


def test_there_are_enough():
    assert len(NOTEBOOKS) >= 6
    assert len(PROVED_HERE) == 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_is_long_enough_and_a_flow_without_an_edit(path):
    graph = build_flow(read_notebook(path), all_cells=True)
    graph.validate()
    assert len(graph.tasks) >= 15
