"""``task_run_name``: a template or a function of the task's arguments and context."""

import prefect
from prefect import Flow, Parameter, task


@task(task_run_name="load {table} of {day}")
def load(table, day):
    return [table, day, prefect.context.get("task_name"), prefect.context.get("task_full_name")]


@task(task_run_name=lambda **kwargs: f"square of {kwargs['number']}")
def square(number):
    return [number * number, prefect.context.task_full_name, prefect.context.map_index]


with Flow("run-names") as flow:
    load("orders", Parameter("day", default="monday"))
    square.map([11, 12, 13])
