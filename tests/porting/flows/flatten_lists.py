"""``flatten`` takes away one level: over a list of lists, over mapped children, into a reduce."""

from prefect import Flow, flatten, task


@task
def nested():
    return [[1, 2], [], [3]]


@task
def up_to(number):
    return list(range(number))


@task
def numbers():
    return [1, 0, 3]


@task
def square(number):
    return number * number


@task
def total(values):
    return sum(values)


with Flow("flatten") as flow:
    square.map(flatten(nested()))
    parts = up_to.map(numbers())
    squares = square.map(flatten(parts))
    total(squares)
    total(flatten(parts))
