"""What a map makes of lengths: the shortest decides, none is none, a string is its letters."""

from prefect import Flow, task, unmapped


@task
def three():
    return [1, 2, 3]


@task
def five():
    return (10, 20, 30, 40, 50)


@task
def none_at_all():
    return []


@task
def word():
    return "abc"


@task
def number():
    return 7


@task
def add(a, b):
    return a + b


@task
def same(value):
    return value


@task
def count(values):
    return len(values)


with Flow("map-shapes") as flow:
    add.map(three(), five())
    count(same.map(none_at_all()))
    same.map(word())
    same.map(number())
    add.map(three(), unmapped(number()))
    add.map([100, 200, 300], b=unmapped(1))
