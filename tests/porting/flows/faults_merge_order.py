"""``merge`` of more than ten: the first, as they were written."""

from prefect import Flow, task
from prefect.tasks.control_flow import merge


@task
def branch(number):
    return number or None


with Flow("merge-order") as flow:
    merged = merge(*[branch(number) for number in (0, 0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)])


def look(states):
    return states[0].result[merged].result


IN_ORDER = (
    "The branches are asked in the order in which they were written, not by the alphabet of task_1, task_10."
)

DIFFERS = {
    "look": (10, 3, IN_ORDER),
    "runs/0/tasks/Merge-1/result": (10, 3, IN_ORDER),
}
