"""Operators on tasks make tasks."""

from prefect import Flow, Parameter, task


@task
def table():
    return {"a": 1, "b": "text"}


with Flow("operators") as flow:
    x = Parameter("x", default=7)
    y = Parameter("y", default=2)
    found = [
        x + y, x - y, x * y, x / y, x // y, x % y, x**y,
        1 + x, 1 - x, 2 * x, 14 / x, 15 // x, 15 % x, 2**y,
        x < y, x <= y, x > y, x >= y, x & y,
        x.is_equal(y), x.is_not_equal(y), x.not_(), x.or_(y),
        table()["a"],
    ]  # fmt: skip


def look(states):
    return [states[0].result[each].result for each in found]


NAMES = "Names of tasks go to the server, and constants do not: a key that is text is not part of the name."

DIFFERS = {
    "runs/0/tasks/table['a']-1/state": ("Success", "(absent)", NAMES),
    "runs/0/tasks/table['a']-1/result": (1, "(absent)", NAMES),
    "runs/0/tasks/table[...]-1/state": ("(absent)", "Success", NAMES),
    "runs/0/tasks/table[...]-1/result": ("(absent)", 1, NAMES),
}
