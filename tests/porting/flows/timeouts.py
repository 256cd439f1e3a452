"""A task that takes longer than its timeout is stopped; what waits for it does not run."""

import time

from prefect import Flow, task
from prefect.triggers import any_failed

seen = []


@task(timeout=1)
def slow():
    time.sleep(20)
    seen.append("slow ended")


@task(timeout=10)
def quick():
    return "in time"


@task
def after(value):
    return value


@task(trigger=any_failed)
def alarm(value):
    return type(value).__name__


with Flow("timeouts") as flow:
    late = slow()
    after(late)
    alarm(late)
    after(quick())


NAME = "The exception says what it is about, and is one of this library's errors."

DIFFERS = {
    "runs/0/tasks/slow-1/result/exception": ("TaskTimeoutSignal", "TaskTimedOut", NAME),
    "runs/0/tasks/alarm-1/result": ("TaskTimeoutSignal", "TaskTimedOut", NAME),
}
