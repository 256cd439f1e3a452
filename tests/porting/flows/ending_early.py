"""State handlers that end a task there and then."""

from datetime import timedelta

from prefect import Flow, task
from prefect.engine.runner import ENDRUN
from prefect.engine.state import Failed, Success

seen = []


def known(task, old, new):
    if new.is_running():
        raise ENDRUN(Success("known already", result=5))


def hopeless(task, old, new):
    if new.is_failed():
        raise ENDRUN(Failed("hopeless", result="no more"))


@task(state_handlers=[known])
def compute():
    seen.append("compute")


@task(max_retries=3, retry_delay=timedelta(0), state_handlers=[hopeless])
def fail():
    seen.append("fail")
    raise ValueError("again?")


@task
def double(value):
    return 2 * value


with Flow("ending-early") as flow:
    double(compute())
    fail()
