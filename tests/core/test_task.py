"""Tasks: how they are made, bound and copied, and the sentences for what cannot work."""

from __future__ import annotations

from datetime import timedelta

import cloudpickle
import pytest

from jupyter_flows import Flow, Parameter, Task, tags, task
from jupyter_flows.errors import InvalidFlow, InvalidTask


@task
def add(x, y=1):
    """Add."""
    return x + y


def test_calling_a_task_makes_a_copy():
    with Flow("copies") as flow:
        first, second = add(1), add(2, y=3)
    assert first is not second is not add
    assert [flow.slugs[own] for own in (first, second)] == ["add-1", "add-2"]
    assert flow.constants == {first: {"x": 1}, second: {"x": 2, "y": 3}}


def test_bind_binds_the_task_itself():
    own = Task(name="own")
    with Flow("bound") as flow:
        assert own.bind() is own
    assert list(flow.tasks) == [own]


def test_task_args_override_attributes_of_the_copy():
    with Flow("args"):
        made = add(1, task_args={"name": "plus", "max_retries": 2, "retry_delay": timedelta(seconds=1)})
    assert (made.name, made.max_retries, add.name, add.max_retries) == ("plus", 2, "add", 0)


def test_a_function_keeps_its_name_and_docstring():
    assert (add.name, add.__doc__, add.run(1)) == ("add", "Add.", 2)


def test_tags_come_from_the_task_and_from_the_block():
    with tags("nightly"):
        made = Task(name="made", tags=["slow"])
        with Flow("tags"):
            called = add(1)
    assert made.tags == {"slow", "nightly"}
    assert called.tags == {"nightly"}
    assert add.tags == frozenset()


def test_slugs_carry_tags_and_numbers():
    with Flow("slugs") as flow:
        for _ in range(2):
            add(1, task_args={"tags": ["b", "a"]})
        add(1, task_args={"slug": "mine"})
    assert list(flow.slugs.values()) == ["add-a-b-1", "add-a-b-2", "mine"]


def test_a_pickled_task_is_the_same_task():
    made = cloudpickle.loads(cloudpickle.dumps(task(lambda x: x * 2, name="double", tags=["b", "a"])))
    assert (made.name, made.tags, made.run(4)) == ("double", {"a", "b"}, 8)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Task(name="t", max_retries=2), "max_retries=2 needs a retry_delay"),
        (lambda: Task(name="t", retry_delay=1), "retry_delay without max_retries does nothing"),
        (lambda: Task(name="t", retry_on=OSError), "retry_on without max_retries does nothing"),
        (
            lambda: Task(name="t", max_retries=1, retry_delay=1, retry_on=OSError()),
            "give classes of exceptions",
        ),
        (lambda: Task(name="t", max_retries=-1), "it cannot be negative"),
        (lambda: Task(name="t", timeout=0), "timeout is 0; give more"),
        (lambda: Task(name="t", timeout="5m"), "timeout is '5m'; give a timedelta or seconds"),
        (lambda: Task(name="t", tags="abc"), "tags is the text 'abc'; give a list of words"),
        (lambda: Task(name="t", trigger="always"), "give a function of jupyter_flows.triggers"),
        (lambda: Task(name="n" * 201), "at most 200 characters"),
        (lambda: task(lambda *args: 1), r"run may not take \*args"),
        (lambda: task(lambda x, /: 1), "'x' of run is positional only"),
        (lambda: task(lambda flow: 1), "run may not take 'flow'; that name is reserved"),
        (lambda: task(3), "put on 3, which is not a function"),
        (
            lambda: add(1),
            r"'add' was called outside a flow; use it inside 'with Flow\(...\)'.*add.run\(...\)",
        ),
        (lambda: tuple(Task(name="t")), "cannot be unpacked; give it nout=N"),
    ],
)
def test_what_cannot_work_is_said_in_a_sentence(make, sentence):
    with pytest.raises(InvalidTask, match=sentence):
        make()


def test_a_missing_argument_is_noticed_at_the_call():
    with Flow("call"), pytest.raises(InvalidTask, match="missing a required argument: 'x'"):
        add()


def test_an_unknown_attribute_of_task_args_is_named():
    with Flow("call"), pytest.raises(InvalidTask, match="no attribute 'retries' to set by task_args"):
        add(1, task_args={"retries": 1})


def test_a_class_of_its_own_is_checked_too():
    class Bad(Task):
        def run(self, upstream_tasks):
            pass

    with pytest.raises(InvalidTask, match="'upstream_tasks'; that name is reserved"):
        Bad()


def test_parameters_are_one_of_a_name():
    other = Parameter("x")
    with Flow("names"):
        add(Parameter("x"))
        with pytest.raises(InvalidFlow, match="already has a parameter 'x'"):
            add(other)


def test_a_parameter_waits_for_nothing():
    with Flow("roots"):
        x = Parameter("x")
        with pytest.raises(InvalidFlow, match="parameter 'x' cannot wait for task 'add'"):
            x.set_upstream(add(1))


def test_pipe_and_bars_order_tasks():
    with Flow("pipe") as flow:
        first = add(1)
        second = first.pipe(add, y=2)
        third = add(3)
        assert (second | third) is third
    assert flow.upstream_tasks(third) == [second]
    assert flow.upstream_tasks(second) == [first]


def test_names_of_operator_tasks_carry_no_constants():
    """Names go to the server; constants do not."""
    with Flow("canary") as flow:
        made = add(1)["secret key"]
        made + "secret value"
        add([made, "secret item"])
    assert "secret" not in " ".join([*(own.name for own in flow.tasks), *flow.slugs.values()])


def test_options_of_a_copy_are_kept_as_those_of_a_task():
    """As Prefect 1 does: tags are added, seconds are a duration."""
    with Flow("etl"):
        made = task(lambda: 1, name="one", tags=["a"])(task_args={"tags": ["b"], "timeout": 5})
    assert (made.tags, made.timeout) == ({"a", "b"}, timedelta(seconds=5))


def test_an_edge_may_come_from_a_value():
    flow = Flow("etl")
    double = task(lambda x: 2 * x, name="double")
    flow.add_edge(21, double, key="x")
    assert flow.run().result[double].result == 42


def test_seconds_may_be_set_on_a_task_that_is_there():
    made = task(lambda: 1, name="one")
    made.timeout, made.retry_delay = 5, 0.5
    assert (made.timeout, made.retry_delay) == (timedelta(seconds=5), timedelta(seconds=0.5))
    assert cloudpickle.loads(cloudpickle.dumps(made)).timeout == timedelta(seconds=5)
    with pytest.raises(InvalidTask, match="task 'one': timeout is '1m'; give a timedelta or seconds"):
        made.timeout = "1m"
