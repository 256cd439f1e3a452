"""``ifelse``: a truth value chooses one of two tasks."""

from prefect import Flow, Parameter, task
from prefect.tasks.control_flow import ifelse, merge


@task
def rows(count):
    return list(range(count))


@task
def fill():
    return "filled"


@task
def leave():
    return "empty"


with Flow("ifelse") as flow:
    full, empty = fill(), leave()
    ifelse(rows(Parameter("count", default=0)), full, empty)
    merge(full, empty)

RUNS = [{}, dict(count=3)]
