"""Graphs that are right but for one edge, which is taken away: the check finds it by running the cells."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from jupyter_flows.check import check, check_notebook
from tests.registering.conftest import notebook

CELLS = json.loads((Path(__file__).parents[1] / "cells.json").read_text("utf-8"))
CASES = {case["id"].split()[0]: case for case in CELLS}


@pytest.mark.parametrize(("case", "budget_s"), [("A03", 60.0), ("C14", 0.0), ("H15", 60.0)])
def test_the_edge_that_was_taken_away_is_named(tmp_path, monkeypatch, case, budget_s):
    """By leaving cells out, and by the graph alone."""
    source, target, _ = CASES[case]["edges"][-1]
    analyse = check.analyse_notebook

    def without_one(found, **options):
        analysis = analyse(found, **options)
        edges = [
            edge for edge in analysis.edges if (edge.source_index, edge.target_index) != (source, target)
        ]
        return msgspec.structs.replace(analysis, edges=tuple(edges))

    monkeypatch.setattr(check, "analyse_notebook", without_one)
    report = check_notebook(notebook(tmp_path / "one.ipynb", *CASES[case]["cells"]), budget_s=budget_s)
    assert [(source, target)] == [(found.source.index, found.cell.index) for found in report.differences]


@pytest.mark.parametrize("case", [name for name in ("C10", "D09", "H01") if name in CASES])
def test_with_all_its_edges_it_holds(tmp_path, case):
    report = check_notebook(notebook(tmp_path / "all.ipynb", *CASES[case]["cells"]))
    assert report.differences == ()
