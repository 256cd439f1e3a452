"""``apply_map``: a function that builds tasks with ``case`` and ``merge`` is mapped over items."""

from prefect import Flow, apply_map, case, task, unmapped
from prefect.tasks.control_flow import merge


@task
def numbers():
    return [1, 2, 3, 4]


@task
def is_even(number):
    return number % 2 == 0


@task
def halve(number):
    return number // 2


@task
def triple(number, offset):
    return 3 * number + offset


@task
def total(values):
    return sum(values)


def step(number, offset):
    even = is_even(number)
    with case(even, True):
        halved = halve(number)
    with case(even, False):
        tripled = triple(number, offset)
    return merge(halved, tripled)


with Flow("apply-map") as flow:
    stepped = apply_map(step, numbers(), unmapped(100))
    total(stepped)
