"""Each child loops for itself."""

import prefect
from prefect import Flow, task
from prefect.engine import signals


@task
def countdown(number):
    left = prefect.context.get("task_loop_result", number)
    if left > 0:
        raise signals.LOOP(result=left - 1)
    return [number, prefect.context.get("task_loop_count")]


@task
def numbers():
    return [0, 3, 1]


with Flow("mapped-loop") as flow:
    countdown.map(numbers())


DIFFERS = {
    "runs/0/tasks/countdown-1/children/0/result/1": (
        None,
        1,
        "The first round has its number too, so that a task need not know whether it loops yet.",
    ),
}
