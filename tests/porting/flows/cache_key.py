"""A ``cache_key`` shared by two tasks; an expired cache."""

from datetime import timedelta

from prefect import Flow, task

counts = {"first": 0, "second": 0, "brief": 0}


@task(cache_for=timedelta(hours=1), cache_key="shared")
def first():
    counts["first"] += 1
    return "from first"


@task(cache_for=timedelta(hours=1), cache_key="shared")
def second():
    counts["second"] += 1
    return "from second"


@task(cache_for=timedelta(0))
def brief():
    counts["brief"] += 1
    return counts["brief"]


with Flow("one") as flow:
    first()
    brief()

with Flow("two") as other:
    shared = second()

RUNS = [{}, {}]


def look(states):
    state = other.run()
    return {"second": [type(state.result[shared]).__name__, state.result[shared].result], "counts": counts}
