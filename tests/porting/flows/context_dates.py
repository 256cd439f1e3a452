"""The run's dates in the context; a date that is given leads the others."""

import prefect
from prefect import Flow, task

KEYS = ("today", "yesterday", "tomorrow", "today_nodash", "yesterday_nodash", "tomorrow_nodash")


@task
def dates():
    return {key: prefect.context.get(key) for key in KEYS}


@task
def names():
    context = prefect.context
    return [context.flow_name, context.task_name, context.task_slug, context.map_index, context["parameters"]]


@task
def own():
    return [
        prefect.context.get("mine"),
        prefect.context.get("not there", "fallback"),
        "mine" in prefect.context,
    ]


with Flow("context-dates") as flow:
    dates()
    names()
    own()

RUN = dict(context={"date": "2024-03-01", "mine": "a value of my own"})
