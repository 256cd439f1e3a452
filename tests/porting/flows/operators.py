"""Operators on tasks make tasks."""

from prefect import Flow, Parameter, task


@task
def table():
    return {"a": [1, 2, 3], "b": "text"}


with Flow("operators") as flow:
    x = Parameter("x", default=7)
    y = Parameter("y", default=2)
    found = [
        x + y, x - y, x * y, x / y, x // y, x % y, x**y,
        1 + x, 1 - x, 2 * x, 14 / x, 15 // x, 15 % x, 2**y,
        x < y, x <= y, x > y, x >= y, x & y,
        x.is_equal(y), x.is_not_equal(y), x.not_(), x.or_(y),
        table()["a"][1],
    ]  # fmt: skip


def look(states):
    return [states[0].result[each].result for each in found]
