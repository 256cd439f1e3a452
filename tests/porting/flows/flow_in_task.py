"""A flow that is run by a task of another flow, in the same process."""

from prefect import Flow, Parameter, task
from prefect.engine.signals import FAIL

with Flow("inner") as inner:
    number = Parameter("number")
    doubled = number * 2


@task
def run_inner(number):
    state = inner.run(number=number)
    if state.is_failed():
        raise FAIL("inner failed")
    return state.result[doubled].result


@task
def total(values):
    return sum(values)


with Flow("outer") as flow:
    total(run_inner.map(Parameter("numbers", default=[1, 2, 3])))
