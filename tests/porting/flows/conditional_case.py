"""``case``: tasks inside run if the value is equal; constants inside are not in the way."""

from prefect import Flow, Parameter, case, task
from prefect.tasks.control_flow import merge


@task
def is_ready(level):
    return level > 5


@task
def start(how):
    return f"start {how}"


@task
def report(what):
    return f"{what}, reported"


@task
def wait():
    return "wait"


@task
def tell(what):
    return what.upper()


with Flow("conditional") as flow:
    ready = is_ready(Parameter("level", default=7))
    with case(ready, True):
        started = report(start("gently"))
    with case(ready, False):
        waited = wait()
    tell(merge(started, waited))

RUNS = [{}, dict(level=1)]
