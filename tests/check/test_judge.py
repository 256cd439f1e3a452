"""Whose fault a difference is: the nearest pair that the graph lacks, nothing that follows from it."""

from __future__ import annotations

from jupyter_flows.check.judge import Change, change_between, missing_pairs
from jupyter_flows.check.kernel import Seen
from jupyter_flows.check.plan import GraphView

CHANGE = Change(names=("x",))


def view(**parents: set[int]) -> GraphView:
    ancestors = {int(cell[1:]): frozenset(above) for cell, above in parents.items()}
    return GraphView(cells=tuple(ancestors), ancestors=ancestors, before=ancestors, replayed=frozenset({1}))


def test_only_pairs_that_the_graph_lacks_are_missing():
    graph = view(c1=set(), c2=set(), c3={2}, c4=set())
    changes = {(1, 4): CHANGE, (2, 3): CHANGE, (2, 4): CHANGE}
    assert [(2, 4)] == [(m.source, m.target) for m in missing_pairs(graph, changes, judged={2, 3, 4})]


def test_what_follows_from_a_missing_pair_is_not_told_again():
    """2 is needed by 3 and by what follows it; 3 lacks 2, 5 lacks 3."""
    graph = view(c1=set(), c2=set(), c3=set(), c4={3}, c5=set())
    changes = {(2, 3): CHANGE, (2, 4): CHANGE, (2, 5): CHANGE, (3, 5): CHANGE, (3, 4): CHANGE}
    found = missing_pairs(graph, changes, judged={2, 3, 4, 5})
    assert [(2, 3), (3, 5)] == [(m.source, m.target) for m in found]


def test_a_name_that_the_source_does_not_show_counts_where_it_was_bound_both_times():
    one, other = Seen(facets={"name:h": "1"}), Seen(facets={"name:h": "2"})
    assert change_between(one, Seen(), aside=(), writes=()) is None
    assert change_between(one, Seen(), aside=(), writes={"h"}) is not None
    assert change_between(one, other, aside=(), writes=()) is not None
    assert change_between(one, other, aside={"name:h"}, writes=()) is None
