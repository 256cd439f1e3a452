"""``FilterTask`` keeps what is worth keeping of a map's results."""

from prefect import Flow, task
from prefect.tasks.control_flow import FilterTask


@task
def numbers():
    return [2, 0, 4, 1]


@task
def divide(number):
    return 4 / number if number != 1 else None


keep_good = FilterTask()
keep_large = FilterTask(
    filter_func=lambda value: not isinstance(value, BaseException) and value is not None and value > 1
)

with Flow("filter") as flow:
    quotients = divide.map(numbers())
    keep_good(quotients)
    keep_large(quotients)
