"""One child for each file: extract, transform and load, then a reduce."""

from prefect import Flow, Parameter, task


@task
def list_files(count):
    return [f"part-{number}.csv" for number in range(count)]


@task
def extract(name):
    return [len(name), int(name[5])]


@task
def transform(row):
    return sum(row)


@task
def load(totals):
    return {"total": sum(totals), "parts": len(totals)}


with Flow("mapped-etl") as flow:
    names = list_files(Parameter("count", default=4))
    load(transform.map(extract.map(names)))

RUNS = [{}, dict(count=0), dict(count=1)]
