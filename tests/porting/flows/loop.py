"""A task that runs again with its own result until it is content."""

import prefect
from prefect import Flow, task
from prefect.engine.signals import LOOP

seen = []


@task
def grow(start, limit):
    value = prefect.context.get("task_loop_result", start)
    count = prefect.context.get("task_loop_count", 1)
    seen.append([count, value])
    if value < limit:
        raise LOOP(message=f"so far {value}", result=value * 2)
    return value


@task
def tell(value):
    return f"reached {value}"


with Flow("loop") as flow:
    tell(grow(3, 100))
