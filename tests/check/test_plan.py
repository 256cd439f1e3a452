"""Which sequences prove a graph: ancestors only, legal orders, what begins alike is run once."""

from __future__ import annotations

import random

from jupyter_flows.analysis import CellSource, analyse
from jupyter_flows.check.plan import Forest, affordable, isolated, legal_order, view_of, without

SOURCES = (
    "import math",
    "a = [1]",
    "b = 2\ni = 0",
    "c = sum(a)",
    "d = b + math.pi\ni = 1",
    "a.append(3)",
    "e = (c, d)",
)


def view(*sources: str, setup=(1,)):
    cells = [CellSource(id=str(n), index=n, source=source) for n, source in enumerate(sources, 1)]
    return view_of(analyse(cells), range(1, len(sources) + 1), setup=setup)


def test_a_cell_is_run_with_its_ancestors_and_the_setup_alone():
    graph = view(*SOURCES)
    assert (1, 2, 4) == isolated(graph, 4, graph.cells)
    assert (1, 3, 5) == isolated(graph, 5, graph.cells)
    assert (1, 2, 3, 4, 5, 7) == isolated(graph, 7, graph.cells)


def test_orders_keep_edges_and_what_must_not_be_overtaken_and_who_binds_a_name_last():
    """Cell 6 changes what cell 4 reads; cells 3 and 5 both bind ``i``."""
    graph = view(*SOURCES)
    orders = {legal_order(graph, random.Random(seed)) for seed in range(40)}
    assert len(orders) > 5
    for order in orders:
        place = {cell: at for at, cell in enumerate(order)}
        assert sorted(order) == list(graph.cells)
        for first, second in ((2, 4), (4, 6), (3, 5), (4, 7), (5, 7)):
            assert place[first] < place[second]
        assert order[0] == 1


def test_the_same_seed_gives_the_same_order():
    graph = view(*SOURCES)
    assert legal_order(graph, random.Random(4)) == legal_order(graph, random.Random(4))


def test_a_definition_that_needs_a_tasks_value_is_no_setup_for_all():
    graph = view("x = [1]", "def f(y=len(x)):\n    return y", "z = 1", setup=(2,))
    assert graph.replayed == frozenset()
    assert (3,) == isolated(graph, 3, graph.cells)


def test_what_sequences_begin_with_alike_is_run_once():
    graph = view(*SOURCES)
    paths = [without(graph, cell) for cell in (6, 7)]
    forest = Forest(paths)
    assert 5 + 1 + 1 == forest.count
    assert 12 == Forest(paths, shared=False).count
    request = forest.request({cell: 1.0 for cell in graph.cells})
    assert len(request["roots"]) == 1
    assert forest.key(paths[0], 4) == forest.key(paths[1], 4)
    assert request["nodes"][0]["limit_s"] > 70


def test_what_is_cheap_is_left_out_first():
    """The later a cell, the fewer are run without it."""
    graph = view(*SOURCES)
    seconds = {cell: 1.0 for cell in graph.cells}
    assert [5, 6] == affordable(graph, graph.cells, seconds, budget_s=4)
    assert [] == affordable(graph, graph.cells, seconds, budget_s=0)
