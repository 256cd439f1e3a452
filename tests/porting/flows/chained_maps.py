"""Maps that feed maps. One child fails; a reduce that may run sees the exception in the list."""

from prefect import Flow, task
from prefect.triggers import all_finished, any_successful


@task
def numbers():
    return [4, 0, 2]


@task
def invert(number):
    return 8 / number


@task
def add_one(number):
    return number + 1


@task
def strict_total(values):
    return sum(values)


@task(trigger=all_finished)
def lenient_total(values):
    return [sum(v for v in values if not isinstance(v, Exception)), len(values)]


@task(trigger=any_successful)
def kinds(values):
    return [type(value).__name__ for value in values]


with Flow("chained-maps") as flow:
    inverted = invert.map(numbers())
    increased = add_one.map(inverted)
    strict_total(increased)
    lenient_total(inverted)
    kinds(inverted)
