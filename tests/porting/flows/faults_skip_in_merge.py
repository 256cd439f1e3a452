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
