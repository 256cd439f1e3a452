"""Tasks in lists, tuples, sets and dictionaries as arguments; nested; beside plain values."""

from prefect import Flow, task


@task
def one():
    return 1


@task
def two():
    return 2


@task
def same(value):
    return value


with Flow("collections") as flow:
    a, b = one(), two()
    made = [
        same([a, b, 3]),
        same((b, a)),
        same({a, b}),
        same({"a": a, "nested": [b, {"deep": a}]}),
        same([1, 2, 3]),
        same({"only": "constants"}),
    ]


def look(states):
    return {
        "results": [states[0].result[each].result for each in made],
        "constants": sorted(
            str(given) for task, given in flow.constants.items() if task.name == "same" and given
        ),
    }
