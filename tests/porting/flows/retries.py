"""A task that succeeds at its third attempt, and one that never does."""

from datetime import timedelta

import prefect
from prefect import Flow, task

seen = []


@task(max_retries=3, retry_delay=timedelta(0))
def shaky():
    count = prefect.context.get("task_run_count")
    seen.append(("shaky", count))
    if count < 3:
        raise ConnectionError(f"attempt {count}")
    return count


@task(max_retries=1, retry_delay=timedelta(0))
def hopeless():
    seen.append(("hopeless", prefect.context.task_run_count))
    raise ValueError("never")


@task
def after(value):
    return value


with Flow("retries") as flow:
    after(shaky())
    after(hopeless())


def look(states):
    return sorted(seen)
