"""``pause_task`` inside a task: it runs anew, from its beginning, when it is resumed."""

from prefect import Flow, task
from prefect.utilities.tasks import pause_task

seen = []


@task
def check(value):
    seen.append("begin")
    pause_task("look at this first")
    seen.append("go on")
    return value + 1


with Flow("pause-in-task") as flow:
    check(1)

RUN = dict(approve=True)
