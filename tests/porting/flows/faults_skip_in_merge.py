"""A branch that skips itself, merged with one that did not run and one that did."""

from prefect import Flow, task
from prefect.engine.signals import SKIP
from prefect.tasks.control_flow import merge


@task
def skips():
    raise SKIP("nothing here")


@task
def gives():
    return "something"


@task(skip_on_upstream_skip=False)
def takes(value):
    return value


with Flow("skip-in-merge") as flow:
    first = skips()
    merge(first, gives())
    takes(first)


NO_SIGNAL = "A branch that skips itself has no result: it is left out, as one that was not chosen is."

DIFFERS = {
    "runs/0/tasks/Merge-1/result/exception": ("SKIP", "(absent)", NO_SIGNAL),
    "runs/0/tasks/Merge-1/result": ("(absent)", "something", NO_SIGNAL),
    "runs/0/tasks/takes-1/result/exception": ("SKIP", "(absent)", NO_SIGNAL),
    "runs/0/tasks/takes-1/result": ("(absent)", None, NO_SIGNAL),
}
