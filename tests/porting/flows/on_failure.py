"""``on_failure`` of a task and of a flow."""

from prefect import Flow, task

noted = []


def task_failed(task, state):
    noted.append([task.name, type(state).__name__])


def flow_failed(flow, state):
    noted.append([flow.name, type(state).__name__])


@task(on_failure=task_failed)
def bad():
    raise ValueError("no")


@task(on_failure=task_failed)
def good():
    return 1


@task(on_failure=task_failed)
def behind(value):
    return value


with Flow("on-failure", on_failure=flow_failed) as flow:
    behind(bad())
    good()


def look(states):
    return sorted(noted)
