"""The context as a mapping: to fill in texts, to ask, to lay over."""

import prefect
from prefect import Flow, task


@task
def file_name():
    return "{flow_name}/{today_nodash}-{mine}.csv".format(**prefect.context)


@task
def asked():
    return ["mine" in prefect.context, "theirs" in prefect.context, dict(prefect.context)["mine"]]


with Flow("context-mapping") as flow:
    file_name()
    asked()

RUN = {"context": {"date": "2024-03-01", "mine": "x"}}


def look(states):
    with prefect.context({"a": 1}, b=2) as context:
        laid = [context.a, prefect.context["b"], prefect.context.get("a")]
    return [*laid, prefect.context.get("a")]
