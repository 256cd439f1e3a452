"""A task that succeeds at its third attempt, and one that never does."""

from datetime import timedelta

import prefect
from prefect import Flow, task

seen = []


@task(max_retries=3, retry_delay=timedelta(0))
def shaky():
    count = prefect.context.get("task_run_count")
    seen.append(f"shaky {count}")
    if count < 3:
        raise ConnectionError(f"attempt {count}")
    return count


@task(max_retries=1, retry_delay=timedelta(0))
def hopeless():
    seen.append(f"hopeless {prefect.context.task_run_count}")
    raise ValueError("never")


@task
def after(value):
    return value


with Flow("retries") as flow:
    after(shaky())
    after(hopeless())


def look(states):
    return sorted(seen)


AT_ONCE = "A retry runs when it is due, not after every other task had its turn."

DIFFERS = {
    "seen/1": ("hopeless 1", "shaky 2", AT_ONCE),
    "seen/2": ("shaky 2", "shaky 3", AT_ONCE),
    "seen/3": ("hopeless 2", "hopeless 1", AT_ONCE),
    "seen/4": ("shaky 3", "hopeless 2", AT_ONCE),
}
