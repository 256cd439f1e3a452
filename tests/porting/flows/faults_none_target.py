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


A_VALUE = "None is a value: it is written, and read instead of running again."

DIFFERS = {
    "runs/1/tasks/nothing-1/state": ("Success", "Cached", A_VALUE),
    "seen/1": ("ran", "(absent)", A_VALUE),
}
