"""A flow is copied, a task replaced, another flow taken in."""

from prefect import Flow, Parameter, task


@task
def read():
    return 1


@task
def read_better():
    return 100


@task
def add(value, amount):
    return value + amount


with Flow("original") as original:
    amount = Parameter("amount", default=1)
    first = read()
    added = add(first, amount)

flow = original.copy()
better = read_better.copy()
flow.replace(first, better)

with Flow("more") as more:
    Parameter("other", default=2)
    read()

flow.update(more)


def look(states):
    return {
        "original": sorted(original.slugs.values()),
        "changed": sorted(flow.slugs.values()),
        "result": states[0].result[added].result,
        "original's result": original.run().result[added].result,
    }
