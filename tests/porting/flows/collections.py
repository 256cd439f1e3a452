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
        same([a, [b]]),
        same((b, a)),
        same({a, b}),
        same({"a": a, "deep": {"b": b}}),
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


FEWER = "A dictionary is one task, not a task for it and one for the list of its values."

DIFFERS = {
    "runs/0/tasks/List-4/state": ("Success", "(absent)", FEWER),
    "runs/0/tasks/List-4/result/0": (1, "(absent)", FEWER),
    "runs/0/tasks/List-4/result/1/b": (2, "(absent)", FEWER),
    "runs/0/tasks/List-5/state": ("Success", "(absent)", FEWER),
    "runs/0/tasks/List-5/result/0": (2, "(absent)", FEWER),
}
