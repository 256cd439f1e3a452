"""Static says, run says: what a run adds to the edges of the source, confirms, and leaves alone."""

from __future__ import annotations

import pytest

from jupyter_flows.analysis import Analysis
from jupyter_flows.analysis.observed import Observed, hints, with_observed
from tests.analysis.cases import graph


def saw(**facts: str) -> Observed:
    """``saw(binds="a b")``."""
    return Observed(**{field: frozenset(names.split()) for field, names in facts.items()})


def seen(cells: list[str], **facts: Observed) -> Analysis:
    return with_observed(graph(*cells), facts)


def by_run(analysis: Analysis) -> dict[tuple[int, int], str]:
    return {(e.source_index, e.target_index): e.reason for e in analysis.edges if e.seen == "run"}


HIDDEN_BINDING = ["import library", "library.fill()", "print(total)"]


def test_a_name_that_only_the_run_bound_makes_an_edge():
    found = by_run(seen(HIDDEN_BINDING, c2=saw(binds="total")))
    assert {
        (2, 3): "cell 3 reads `total`, which cell 2 bound when it ran (not visible in its source)"
    } == found


def test_all_later_readers_get_the_edge():
    """Also the second one, where source text alone has taken the name for granted."""
    found = by_run(seen([*HIDDEN_BINDING, "print(total + 1)"], c2=saw(binds="total")))
    assert {(2, 3), (2, 4)} == set(found)


def test_a_change_that_only_the_run_shows_makes_an_edge_for_every_name_of_the_object():
    cells = ["xs = make()\nys = keep(xs)", "library.go()", "print(xs)", "print(ys)"]
    found = by_run(seen(cells, c2=saw(changes="xs ys", reads="xs ys")))
    assert {(1, 2), (2, 3), (2, 4)} == set(found)
    assert "cell 2 changed `xs` when it ran (not visible in its source), which cell 1 bound" in found[1, 2]


def test_the_nearest_writer_counts():
    """What a cell in between binds for certain hides what was seen above."""
    cells = ["library.fill()", "total = 2", "print(total)"]
    assert {} == by_run(seen(cells, c1=saw(binds="total"), c2=saw(binds="total")))


def test_a_binding_that_did_not_happen_hides_nothing():
    cells = ["library.fill()", "if late:\n    total = 2", "print(total)"]
    assert (1, 3) in by_run(seen(cells, c1=saw(binds="total"), c2=saw(binds="other")))


def test_a_deletion_is_told_to_who_looks_for_the_name():
    found = by_run(seen(["x = 1", "library.clean()", "print(x)"], c2=saw(deletes="x")))
    assert "cell 3 reads `x`, which cell 2 deleted when it ran (not visible in its source)" == found[2, 3]


def test_what_a_path_says_already_is_not_said_again():
    cells = ["library.fill()", "x = total", "y = x + total"]
    assert {(1, 2)} == set(by_run(seen(cells, c1=saw(binds="total"))))


def test_what_source_and_run_say_is_confirmed():
    analysis = seen(["x = 1", "y = x", "z = x"], c1=saw(binds="x"))
    assert {"both"} == {edge.seen for edge in analysis.edges}
    assert {"static"} == {edge.seen for edge in graph("x = 1", "y = x").edges}


def test_nothing_seen_changes_nothing():
    read = graph("x = 1", "y = x")
    assert read is with_observed(read, {})
    assert read.edges == with_observed(read, {"c2": saw(binds="y")}).edges


def test_a_skipped_cell_is_not_asked():
    """It does not run headless, whatever it does here."""
    assert {} == by_run(seen(["%%skip\nlibrary.fill()", "print(total)"], c1=saw(binds="total")))


@pytest.mark.parametrize(("missed", "is_said"), [("x", True), ("unrelated", False)])
def test_what_was_not_looked_at_is_said_where_it_matters(missed, is_said):
    cell = seen(["x = []", "use(x)"], c2=saw(not_looked_at=missed)).cell(2)
    assert is_said == any("no time to look at `x`" in warning for warning in cell.warnings)


def test_a_hint_says_what_to_write():
    cells = ["import library", "%%task fill\nlibrary.fill()", "%%task report\nprint(total)"]
    reason = "cell 3 reads `total`, which cell 2 bound when it ran (not visible in its source)"
    assert [f"{reason}; write --after fill behind %%task report"] == hints(seen(cells, c2=saw(binds="total")))
