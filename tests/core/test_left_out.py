"""Tasks that are made in the block of a flow and do not get into it, and tasks that are given as options."""

from __future__ import annotations

import warnings

import pytest

from jupyter_flows import Flow, Parameter, Task, apply_map, case, merge, resource_manager, task


@task
def one(x=1):
    return x


def test_a_task_that_is_made_in_the_block_and_not_called_is_warned_of():
    """One warning, when the block ends, names each."""
    text = "flow 'etl': made in its 'with' block, but not in the flow: 'city', 'Load'; call them there, or make them outside of it"

    class Load(Task):
        pass

    with pytest.warns(UserWarning) as caught, Flow("etl"):
        Parameter("city")
        Load()
        one()
    assert [text] == [str(warning.message) for warning in caught]
    assert __file__ == caught[0].filename


def test_what_is_used_in_the_block_is_not_warned_of():
    """Called, copied, bound, added, mapped, compared, merged, given as an argument, or a constant."""

    @resource_manager
    class Folder:
        def cleanup(self, folder):
            pass

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Flow("whole") as flow:
            called = task(lambda x: x, name="called")(Parameter("x"))
            task(lambda: 1, name="copied").copy()
            Task(name="bound").bind()
            flow.add_task(Task(name="added"))
            task(lambda x: x, name="mapped").map([1, called])
            with case(called, True):
                branch = one()
            with Folder():
                one(merge(branch, called + 1)["a"])
            apply_map(task(lambda x: x, name="inner"), [1, 2])


def test_a_block_that_breaks_is_not_warned_of():
    """Its exception is what a person has to see."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ZeroDivisionError), Flow("broken"):
            Parameter("x")
            1 / 0  # noqa: B018
        with Flow("next"):
            one()


def test_a_flow_in_the_block_of_another_does_not_take_its_tasks():
    """What the outer block made before the inner one may still be called after it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Flow("outer") as outer:
            late = Task(name="late")
            with Flow("inner"):
                one()
            late.bind()
    assert [late] == outer.tasks


def test_a_task_as_an_option_is_warned_of():
    """It would stay a task: the option is read before anything has run."""
    text = "a Load is made with task 'one' as an option, which stays a task; give it to the call instead, where it becomes its result"

    class Load(Task):
        def __init__(self, table):
            self.table = table
            super().__init__()

    with pytest.warns(UserWarning) as caught:
        Load(one)
    assert [text] == [str(warning.message) for warning in caught]
