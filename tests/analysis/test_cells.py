"""The collection of short cell sequences with their right edges."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.analysis.cases import closure, graph, named, pairs

CASES = json.loads((Path(__file__).parents[1] / "cells.json").read_text())

# The collection accepts an edge from the definition to `x?` although it prints nothing of the value.
ACCEPTED = {"G14 question mark help": {(1, 2): {"x"}}}
NOT_YET: dict[str, str] = {}
"""Case -> why its edges are not exact yet."""


def expected_names(case: dict) -> dict[tuple[int, int], set[str]]:
    found: dict[tuple[int, int], set[str]] = {}
    for source, target, names in case["edges"]:
        words = {name.strip().removesuffix(" (deleted)") for name in names.split(",")}
        found.setdefault((source, target), set()).update(words)
    return found


@pytest.mark.parametrize("case", [c for c in CASES if c["kind"] == "static"], ids=lambda case: case["id"])
def test_static_cases_are_exact(case):
    """What source text decides is found exactly: every edge with its names, every order edge."""
    if case["id"] in NOT_YET:
        pytest.xfail(NOT_YET[case["id"]])
    analysis = graph(*case["cells"])
    assert named(analysis) == expected_names(case) | ACCEPTED.get(case["id"], {})
    order = {(edge.source_index, edge.target_index) for edge in analysis.order_edges}
    assert order >= {(source, target) for source, target, _ in case["order"]}


@pytest.mark.parametrize("case", [c for c in CASES if c["kind"] != "static"], ids=lambda case: case["id"])
def test_other_cases_are_right_or_warned(case):
    """What only a run decides is found, or the cell that misses an edge says so."""
    analysis = graph(*case["cells"])
    missing = closure(set(expected_names(case))) - closure(pairs(analysis))
    warned = {cell.index for cell in analysis.cells if cell.warnings}
    assert {pair for pair in missing if pair[1] not in warned and pair[0] not in warned} == set()


def test_little_is_invented():
    """Over all cases the graph has almost no pair that is not there."""
    extra = 0
    for case in CASES:
        accepted = set(ACCEPTED.get(case["id"], {}))
        extra += len(closure(pairs(graph(*case["cells"]))) - closure(set(expected_names(case)) | accepted))
    assert extra <= 2
