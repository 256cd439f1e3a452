"""Mapped tasks: how many children, what each sees, what a reader gets, in which order; by Prefect 1's rules."""

from __future__ import annotations

import pytest

from jupyter_flows import Flow, Parameter, flatten, mapped, task, triggers, unmapped
from jupyter_flows.core import context as contexts
from jupyter_flows.core.signals import LOOP, SKIP
from jupyter_flows.core.state import Mapped, Resume, Success
from jupyter_flows.engine.mapping import Unmappable, width_of
from jupyter_flows.errors import InvalidTask
from jupyter_flows.executors import LocalExecutor, ThreadExecutor

context = contexts.context


@task
def numbers(n=3):
    return list(range(n))


@task
def double(x):
    return 2 * x


@task
def add(x, y):
    return x + y


@task
def total(xs):
    return sum(xs)


@task
def fails_on(x, bad=1):
    if x == bad:
        raise ValueError(x)
    return x


@task
def same(x):
    return x


def kinds(state, of):
    return [type(child).__name__ for child in state.result[of].map_states]


@pytest.fixture(params=[LocalExecutor(), ThreadExecutor(4)], ids=["local", "threads"])
def executor(request):
    return request.param


# -- values ------------------------------------------------------------------------------------------------


def test_a_child_for_each_item_and_a_list_for_who_reads_all(executor):
    with Flow("f") as flow:
        doubled = double.map(numbers())
        summed = total(doubled)
    state = flow.run(executor=executor)
    assert ([0, 2, 4], 6) == (state.result[doubled].result, state.result[summed].result)
    assert isinstance(state.result[doubled], Mapped)
    assert (3, "All reference tasks succeeded.") == (state.result[doubled].n_map_states, state.message)


def test_chained_maps_go_item_by_item(executor):
    with Flow("f") as flow:
        end = double.map(double.map(double.map(numbers(4))))
    assert [0, 8, 16, 24] == flow.run(executor=executor).result[end].result


def test_constants_are_mapped_over_and_unmapped_ones_go_whole():
    with Flow("f") as flow:
        sums = add.map([1, 2, 3], unmapped(10))
        named = add.map(x=(1, 2), y=unmapped(Parameter("y", default=5)))
        marked = add(mapped([1, 2]), 100)
    result = flow.run().result
    assert ([11, 12, 13], [6, 7], [101, 102]) == tuple(result[one].result for one in (sums, named, marked))


def test_the_shortest_decides_how_many():
    with Flow("f") as flow:
        sums = add.map(numbers(5), numbers(3))
        mixed = add.map(double.map(numbers(4)), [1, 2])
    result = flow.run().result
    assert [0, 2, 4] == result[sums].result
    assert [1, 4] == result[mixed].result


def test_over_nothing_there_are_no_children_and_all_is_well():
    with Flow("f") as flow:
        none = double.map(double.map(numbers(0)))
        summed = total(none)
    state = flow.run()
    assert state.is_successful()
    assert ([], 0) == (state.result[none].result, state.result[summed].result)


def test_a_text_is_mapped_over_its_letters():
    with Flow("f") as flow:
        letters = double.map(same("abc"))
    assert ["aa", "bb", "cc"] == flow.run().result[letters].result


def test_flatten_takes_out_one_level(executor):
    @task
    def up_to(n):
        return list(range(n))

    with Flow("f") as flow:
        nested = up_to.map([1, 0, 3])
        doubled = double.map(flatten(nested))
        more = add.map(flatten([[1, 2], 3]), flatten(unmapped(same([[1], [2]]))))
        summed = total(flatten(nested))
    result = flow.run(executor=executor).result
    assert [0, 0, 2, 4] == result[doubled].result
    assert result[more].map_states[0].is_failed(), "a number plus a list"
    assert 3 == result[summed].result


def test_upstreams_without_data_are_mapped_too():
    """Child i waits for child i; its failure is its partner's only."""
    with Flow("f") as flow:
        first = fails_on.map([0, 1, 2])
        second = same.map([7, 8, 9], upstream_tasks=[first])
    state = flow.run()
    assert ["Success", "TriggerFailed", "Success"] == kinds(state, second)


# -- states ---------------------------------------------------------------------------------------------


def test_a_child_that_fails_stops_its_own_partners_only(executor):
    with Flow("f") as flow:
        first = fails_on.map(numbers())
        second = double.map(first)
        summed = total(second)
    state = flow.run(executor=executor)
    assert ["Success", "Failed", "Success"] == kinds(state, first)
    assert ["Success", "TriggerFailed", "Success"] == kinds(state, second)
    assert state.result[first].is_successful(), "the mapped task itself did its work"
    assert "TriggerFailed" == type(state.result[summed]).__name__
    assert state.is_failed()
    assert "3 children, 1 failed" == state.result[first].message


def test_children_decide_the_flows_state_in_place_of_their_parent():
    with Flow("f") as flow:
        fails_on.map(numbers())
    assert flow.run().is_failed()


def test_a_reader_that_runs_anyway_sees_the_exceptions():
    with Flow("f") as flow:
        first = fails_on.map(numbers())
        seen = same(first, task_args={"trigger": triggers.all_finished})
    found = flow.run().result[seen].result
    assert (0, 2) == (found[0], found[2])
    assert isinstance(found[1], ValueError)


@pytest.mark.parametrize(
    ("trigger", "kind"),
    [
        (triggers.any_failed, "Success"), (triggers.all_failed, "TriggerFailed"),
        (triggers.any_successful, "Success"), (triggers.some_failed(at_least=1, at_most=1), "Success"),
        (triggers.some_successful(at_least=0.9), "TriggerFailed"),
    ],
    ids=["any_failed", "all_failed", "any_successful", "some_failed", "some_successful"],
)  # fmt: skip
def test_triggers_look_at_the_children(trigger, kind):
    with Flow("f") as flow:
        read = same(fails_on.map(numbers()), task_args={"trigger": trigger})
    assert kind == type(flow.run().result[read]).__name__


def test_skips_are_per_child_and_reach_a_reader_of_all():
    @task
    def odd(x):
        if x % 2 == 0:
            raise SKIP("even")
        return x

    with Flow("f") as flow:
        odds = odd.map(numbers(4))
        doubled = double.map(odds)
        summed = total(doubled)
        kept = same(doubled, task_args={"skip_on_upstream_skip": False})
    state = flow.run()
    assert ["Skipped", "Success", "Skipped", "Success"] == kinds(state, doubled)
    assert "Skipped" == type(state.result[summed]).__name__
    assert [None, 2, None, 6] == state.result[kept].result
    assert state.is_successful()


def test_a_skipped_upstream_skips_the_whole_map():
    @task
    def skip():
        raise SKIP

    with Flow("f") as flow:
        doubled = double.map(skip())
    assert "Skipped" == type(flow.run().result[doubled]).__name__


def test_retries_are_per_child(executor):
    tries = []

    @task(max_retries=2, retry_delay=0)
    def flaky(x):
        tries.append(x)
        if x == 1 and tries.count(1) < 3:
            raise ValueError
        return context.task_run_count

    with Flow("f") as flow:
        counts = flaky.map(numbers())
    assert [1, 3, 1] == flow.run(executor=executor).result[counts].result
    assert [0, 1, 1, 1, 2] == sorted(tries)


def test_state_handlers_see_each_child_and_the_mapped_task():
    seen = []

    def handler(one, old, new):
        seen.append((context.map_index, context.task_full_name, type(new).__name__))
        assert one.name == "double"

    with Flow("f") as flow:
        double.map(numbers(2), task_args={"state_handlers": [handler]})
    flow.run()
    children = {(index, f"double[{index}]", kind) for index in (0, 1) for kind in ("Running", "Success")}
    assert {*children, (None, "double", "Mapped")} == set(seen)


def test_the_context_knows_which_child_it_is():
    @task
    def who(x):
        return context.map_index, context.task_full_name

    with Flow("f") as flow:
        names = who.map(numbers(2))
        alone = who(1)
    result = flow.run().result
    assert [(0, "who[0]"), (1, "who[1]")] == result[names].result
    assert (None, "who") == result[alone].result


# -- what cannot be mapped over -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": 1}, "a dict; map over list(it.items()) or list(it.values())"),
        ({1, 2}, "of type set, which has no items to take by number; map over list(it)"),
        (5, "of type int, which has no items to take by number"),
        (None, "None"),
    ],
)
def test_what_has_no_numbered_items_fails_its_task_with_a_sentence(value, words):
    """Prefect 1 broke the whole run with a KeyError for a dictionary."""
    with Flow("f") as flow:
        bad = double.map(same(value))
        good = double(1)
    state = flow.run()
    assert (
        f"At least one upstream state has an unmappable result: that of task same is {words}."
        == state.result[bad].message
    )
    assert state.result[good].is_successful()


def test_a_frame_is_refused_with_the_way_out():
    pandas = pytest.importorskip("pandas")
    with pytest.raises(Unmappable, match="records"):
        width_of(pandas.DataFrame({"a": [1]}))


def test_nothing_to_map_over_when_all_upstreams_failed():
    with Flow("f") as flow:
        mapped_task = double.map(fails_on(1))
    assert "No upstream states can be mapped over." == flow.run().result[mapped_task].message


def test_of_two_upstreams_one_may_have_failed():
    with Flow("f") as flow:
        sums = add.map(fails_on(1), numbers(2))
    assert ["TriggerFailed", "TriggerFailed"] == kinds(flow.run(), sums)


@pytest.mark.parametrize("value", [5, {"a": 1}])
def test_a_constant_without_items_is_refused_when_the_flow_is_built(value):
    with Flow("f"), pytest.raises(InvalidTask, match="cannot be mapped over argument 'x'.*unmapped"):
        double.map(value)


# -- order --------------------------------------------------------------------------------------------


def test_depth_first_one_by_one():
    order = []

    @task
    def note(x, who):
        order.append(f"{who}{x}")
        return x

    with Flow("f") as flow:
        a = note.map(numbers(3), unmapped("a"))
        b = note.map(a, unmapped("b"))
        note.map(b, unmapped("c"))
    flow.run()
    assert "a0 b0 c0 a1 b1 c1 a2 b2 c2" == " ".join(order)


def test_no_barrier_between_chained_maps():
    """The second item's chain ends before the first item's first step: it waits for that."""
    import threading

    last = threading.Event()

    @task
    def first(x):
        if x == 0:
            assert last.wait(20)
        return x

    @task
    def second(x):
        if x == 1:
            last.set()
        return x

    with Flow("f") as flow:
        ends = second.map(first.map(numbers(2)))
    assert [0, 1] == flow.run(executor=ThreadExecutor(2)).result[ends].result


# -- going on -------------------------------------------------------------------------------------------


def test_a_run_goes_on_from_the_states_of_children():
    ran = []

    @task
    def work(x):
        ran.append(x)
        return x

    with Flow("f") as flow:
        worked = work.map(fails_on.map(numbers()))
    first = flow.run()
    assert [0, 2] == sorted(ran)
    mended = next(one for one in first.result if one.name == "fails_on")
    states = dict(first.result)
    states[mended] = Mapped(map_states=[Success(result=0), Success(result=1), Success(result=2)])
    states[worked] = Mapped(map_states=[first.result[worked].map_states[0], Resume(), Resume()])
    ran.clear()
    again = flow.run(task_states=states)
    assert [0, 1, 2] == again.result[worked].result
    assert [1, 2] == sorted(ran)


def test_children_wait_for_approval_one_by_one():
    with Flow("f") as flow:
        approved = same.map(numbers(2), task_args={"trigger": triggers.manual_only})
    state = flow.run()
    assert "waits for approval of same[0], same[1]" == state.message
    states = {**state.result, approved: Mapped(map_states=[Resume(), *state.result[approved].map_states[1:]])}
    state = flow.run(task_states=states)
    assert "waits for approval of same[1]" == state.message
    state = flow.run(task_states={**state.result, approved: Resume()})
    assert [0, 1] == state.result[approved].result


# -- loops -----------------------------------------------------------------------------------------------


def test_a_loop_runs_again_with_its_own_result(executor):
    @task
    def grow():
        value = context.get("task_loop_result", 3)
        if value >= 100:
            return value, context.task_loop_count
        raise LOOP(f"at {value}", result=2 * value)

    with Flow("f") as flow:
        grown = grow()
    assert (192, 7) == flow.run(executor=executor).result[grown].result


def test_a_loop_of_thousands_needs_no_stack():
    @task
    def count():
        n = context.get("task_loop_result", 0)
        if n == 3000:
            return n
        raise LOOP(result=n + 1)

    with Flow("f") as flow:
        counted = count()
    assert 3000 == flow.run().result[counted].result


def test_retries_within_a_loop_keep_its_place():
    failed = []

    @task(max_retries=1, retry_delay=0)
    def step():
        n = context.get("task_loop_result", 0)
        if n == 2 and not failed:
            failed.append(n)
            raise ValueError
        if n == 4:
            return n, context.task_loop_count
        raise LOOP(result=n + 1)

    with Flow("f") as flow:
        stepped = step()
    assert (4, 5) == flow.run().result[stepped].result


def test_children_loop_each_for_itself():
    @task
    def count_to(x):
        n = context.get("task_loop_result", 0)
        if n >= x:
            return n
        raise LOOP(result=n + 1)

    with Flow("f") as flow:
        counted = count_to.map([0, 3, 1])
    assert [0, 3, 1] == flow.run().result[counted].result
