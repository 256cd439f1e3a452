"""A target of a task that returns None."""

from prefect import Flow, task
from prefect.engine.results import LocalResult

seen = []


@task(target="none", result=LocalResult(dir="./kept"))
def nothing():
    seen.append("ran")


with Flow("none-target") as flow:
    nothing()

RUNS = [dict(context={"checkpointing": True})] * 2
