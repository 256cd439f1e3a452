"""A map over a dictionary."""

from prefect import Flow, task


@task
def settings():
    return {"a": 1, "b": 2}


@task
def same(value):
    return value


@task
def aside():
    return "ran"


with Flow("dict-map") as flow:
    same.map(settings())
    aside()
