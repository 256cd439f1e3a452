"""Operators and collections that are put into a flow by hand, an item with a default among them."""

from prefect import Flow, task
from prefect.tasks.core.collections import Dict, List
from prefect.tasks.core.function import FunctionTask
from prefect.tasks.core.operators import Add, GetItem, Not


@task
def table():
    return {"a": 3}


def half(x):
    return x / 2


with Flow("imperative-operators") as flow:
    found = GetItem(name="found").bind(table(), "a")
    missing = GetItem(default=0, name="missing").bind(table(), "b")
    Add(name="sum").bind(x=found, y=missing)
    Not(name="opposite").bind(x=missing)
    List(name="list").bind(1, found)
    Dict(name="dict").bind(keys=["k"], values=[5])
    FunctionTask(half, "halved")(found)
