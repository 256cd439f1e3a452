"""Real notebooks in the usual careless style: each cell left out in turn, and run by the graph."""

from __future__ import annotations

import pytest

from tests.analysis.leave_out import NOTEBOOKS, prove

MOST_EXTRA = 40
"""Pairs too many that one notebook may have: they cost time only."""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
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
