"""A target that exists is read; the task does not run again."""

from prefect import Flow, Parameter, task
from prefect.engine.results import LocalResult

seen = []


@task(target="rows-{day}.pkl", result=LocalResult(dir="./kept"))
def fetch(day):
    seen.append(f"fetch {day}")
    return [day, 1, 2]


@task
def count(rows):
    seen.append("count")
    return len(rows)


with Flow("targets") as flow:
    count(fetch(Parameter("day", default="monday")))

ON = {"checkpointing": True}
RUNS = [dict(context=ON), dict(context=ON), dict(context=ON, day="tuesday"), dict(context=ON, day="monday")]
