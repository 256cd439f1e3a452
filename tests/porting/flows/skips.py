"""What follows a skipped task is skipped, unless it says otherwise."""

from prefect import Flow, task
from prefect.engine.signals import SKIP
from prefect.triggers import always_run


@task
def maybe(go):
    if not go:
        raise SKIP("not today", result=None)
    return "went"


@task
def follow(value):
    return value


@task(skip_on_upstream_skip=False)
def anyway(value):
    return ["anyway", value]


@task(trigger=always_run)
def at_the_end():
    return "end"


@task
def several(values):
    return values


with Flow("skips") as flow:
    stayed = maybe(False)
    followed = follow(stayed)
    anyway(stayed)
    at_the_end(upstream_tasks=[followed])
    mapped = maybe.map([True, False, True])
    follow.map(mapped)
    several(mapped)
