"""A state handler that raises: the task is failed, and not tried again."""

from datetime import timedelta

from prefect import Flow, task

runs = []


def broken(task, old, new):
    if new.is_successful():
        raise RuntimeError("handler is broken")


@task(max_retries=2, retry_delay=timedelta(0), state_handlers=[broken])
def fine():
    runs.append(1)
    return 1


@task
def after(value):
    return value


with Flow("broken-handler") as flow:
    after(fine())


def look(states):
    return len(runs)
