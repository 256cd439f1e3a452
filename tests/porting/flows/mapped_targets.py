"""A target for each child, by ``map_index``."""

import pathlib

from prefect import Flow, task
from prefect.engine.results import LocalResult

seen = []


@task(target="{task_name}/part-{map_index}", result=LocalResult(dir="./kept"))
def square(number):
    seen.append(number)
    return number * number


@task
def numbers():
    return [1, 2, 3]


with Flow("mapped-targets") as flow:
    squares = square.map(numbers())

RUNS = [dict(context={"checkpointing": True})] * 2


def look(states):
    return sorted(
        str(p.relative_to("kept").as_posix()) for p in pathlib.Path("kept").rglob("*") if p.is_file()
    )
