"""``switch`` over values, ``merge`` of the branches; no branch fits: all is skipped."""

from prefect import Flow, Parameter, task
from prefect.tasks.control_flow import merge, switch


@task
def kind(name):
    return name.rsplit(".", 1)[-1]


@task
def read_csv():
    return "rows"


@task
def read_json():
    return "objects"


@task
def store(what):
    return f"stored {what}"


with Flow("switch") as flow:
    csv, json = read_csv(), read_json()
    switch(kind(Parameter("name", default="a.csv")), {"csv": csv, "json": json})
    store(merge(csv, json))

RUNS = [{}, dict(name="b.json"), dict(name="c.xml")]
