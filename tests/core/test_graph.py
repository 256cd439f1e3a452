"""The graph: what it knows of its tasks, their order, and the sentences for what it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_flows import Edge, Flow, Task, task
from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.errors import FlowCycle, InvalidFlow


def names(tasks):
    return [own.name for own in tasks]


def graph_of(count, *pairs, kind="data"):
    flow = FlowGraph("graph", tasks=[Task(name=f"t{number}") for number in range(count)])
    for up, down in pairs:
        flow.add_edge(flow.tasks[up], flow.tasks[down], kind=kind)
    return flow


def test_it_knows_its_neighbours():
    flow = graph_of(4, (0, 1), (0, 2), (1, 3), (2, 3))
    first, left, right, last = flow.tasks
    assert (flow.root_tasks(), flow.terminal_tasks()) == ([first], [last])
    assert flow.upstream_tasks(last) == [left, right]
    assert flow.downstream_tasks(first) == [left, right]
    assert [edge.upstream_task for edge in flow.edges_to(last)] == [left, right]
    assert [edge.downstream_task for edge in flow.edges_from(first)] == [left, right]


def test_order_of_addition_is_kept_where_edges_allow():
    assert names(graph_of(4).sorted_tasks()) == ["t0", "t1", "t2", "t3"]
    assert names(graph_of(4, (3, 0)).sorted_tasks()) == ["t1", "t2", "t3", "t0"]


@given(st.data())
def test_sorted_tasks_respect_every_edge(data):
    """For any graph without a circle: each task once, after all it waits for."""
    count = data.draw(st.integers(1, 12))
    rank = data.draw(st.permutations(range(count)))
    pairs = data.draw(st.sets(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))))
    flow = graph_of(count, *[(up, down) for up, down in pairs if rank[up] < rank[down]])
    order = flow.sorted_tasks()
    place = {own: number for number, own in enumerate(order)}
    assert sorted(names(order)) == sorted(names(flow.tasks))
    assert all(place[edge.upstream_task] < place[edge.downstream_task] for edge in flow.edges)


def test_a_circle_is_named_by_its_tasks():
    flow = graph_of(4, (0, 1), (1, 2), (2, 1), (2, 3))
    with pytest.raises(
        FlowCycle, match=r"flow 'graph' has a cycle: (t1 -> t2 -> t1|t2 -> t1 -> t2); remove one"
    ):
        flow.validate()


def test_a_task_that_only_comes_later_does_not_make_its_upstream_less_terminal():
    flow = graph_of(2, (0, 1), kind="order")
    assert names(flow.terminal_tasks()) == ["t0", "t1"]


def test_reference_tasks_default_to_terminal_ones_and_back():
    flow = graph_of(2, (0, 1))
    assert names(flow.reference_tasks()) == ["t1"]
    flow.set_reference_tasks([flow.tasks[0]])
    assert names(flow.reference_tasks()) == ["t0"]
    flow.set_reference_tasks([])
    assert names(flow.reference_tasks()) == ["t1"]


def test_tasks_are_found_by_what_is_known():
    flow = FlowGraph("find", tasks=[Task(name="a", tags=["x", "y"]), Task(name="b", tags=["x"])])
    assert names(flow.get_tasks(tags=["x"])) == ["a", "b"]
    assert names(flow.get_tasks(tags=["x", "y"])) == ["a"]
    assert names(flow.get_tasks(name="b")) == ["b"]
    assert names(flow.get_tasks(slug="a-x-y-1")) == ["a"]
    assert names(flow.get_tasks(task_type=Task)) == ["a", "b"]


def test_a_copy_goes_its_own_way():
    flow = graph_of(2, (0, 1))
    other = flow.copy()
    other.chain(other.tasks[1], Task(name="new"))
    assert (len(flow.tasks), len(flow.edges)) == (2, 1)
    assert (len(other.tasks), len(other.edges)) == (3, 2)


def test_with_blocks_nest():
    with Flow("outer") as outer:
        first = task(lambda: 1, name="first")()
        with Flow("inner") as inner:
            task(lambda: 1, name="second")()
        task(lambda: 1, name="third")()
    assert (names(outer.tasks), names(inner.tasks)) == (["first", "third"], ["second"])
    assert first in outer
    assert first not in inner


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Flow(""), "a flow needs a name"),
        (lambda: Flow("f", on_lost="retry"), "on_lost is 'retry'; use 'fail' or 'rerun'"),
        (lambda: Flow("f").add_task(len), "is not a task; decorate the function with @task"),
        (
            lambda: Edge(Task(name="a"), Task(name="b"), "class"),
            "edge to task 'b': 'class' is no argument name",
        ),
        (lambda: graph_of(1, (0, 0)), "task 't0' cannot be upstream of itself"),
        (lambda: Flow("f", tasks=[Task(slug="s"), Task(slug="s")]), "already has a task with the slug 's'"),
        (lambda: Flow("f").set_reference_tasks([Task(name="x")]), "reference task 'x' is not in the flow"),
    ],
)
def test_what_it_refuses_is_said_in_a_sentence(make, sentence):
    with pytest.raises(InvalidFlow, match=sentence):
        make()


def test_an_argument_fed_twice_is_refused():
    with Flow("twice") as flow:
        one = task(lambda: 1, name="one")()
        use = task(lambda x: x, name="use")(one)
        with pytest.raises(InvalidFlow, match="argument 'x' of task 'use' is fed twice"):
            flow.add_edge(one, use, "x")


def test_a_constant_and_a_task_for_one_argument_are_refused():
    with Flow("twice") as flow:
        use = task(lambda x: x, name="use")(1)
        with pytest.raises(InvalidFlow, match="argument 'x' of task 'use' is fed twice"):
            flow.add_edge(task(lambda: 1, name="one")(), use, "x")


def test_an_argument_that_a_task_does_not_take_is_refused():
    with Flow("unknown") as flow:
        flow.add_edge(task(lambda: 1, name="one")(), task(lambda x=1: x, name="use")(), "y")
    with pytest.raises(InvalidFlow, match="task 'use' takes no argument 'y'; it takes x"):
        flow.validate()


def test_a_pickled_flow_comes_back_whole():
    """What a pickle leaves out is made again: slugs, edges by task, fed arguments, a task's usual attributes."""
    import pickle

    from jupyter_flows.core.operators import Add, Constant

    with Flow("whole") as flow:
        one = Constant(1)
        more = Add(tags=["t"], max_retries=2, retry_delay=1)(one, 2)
        last = Add()(more, one)
    loaded = pickle.loads(pickle.dumps(flow))
    second, first, third = loaded.tasks
    assert [(e.upstream_task, e.key) for e in loaded.edges_to(third)] == [(second, "x"), (first, "y")]
    assert [e.downstream_task for e in loaded.edges_from(first)] == [second, third]
    assert vars(second) == {**vars(more), "state_handlers": []}
    assert vars(third).keys() == vars(last).keys()
    assert third.state_handlers is not second.state_handlers
    with pytest.raises(InvalidFlow, match="fed twice"):
        loaded.add_edge(first, third, "y")
    assert loaded.add_task(Add()) is not None
    assert list(loaded.slugs.values())[-1] == "Add-2"


def test_a_task_that_replaces_another_gets_the_constants_that_it_takes():
    with Flow("etl") as flow:
        made = task(lambda x, y: (x, y), name="old")(1, 2)
    new = task(lambda x, z=3: (x, z), name="new")
    flow.replace(made, new)
    assert flow.run().result[new].result == (1, 3)
