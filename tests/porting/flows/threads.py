"""Dask's scheduler with threads: the same states and results."""

from prefect import Flow, task
from prefect.executors import LocalDaskExecutor


@task
def numbers():
    return list(range(6))


@task
def square(number):
    return number * number


@task
def fails_at_three(number):
    if number == 9:
        raise ValueError("nine")
    return number


@task
def total(values):
    return sum(values)


with Flow("threads", executor=LocalDaskExecutor(scheduler="threads", num_workers=2)) as flow:
    squares = square.map(numbers())
    total(squares)
    fails_at_three.map(squares)
