"""A ``DateTimeParameter`` with a default, not given."""

from prefect import Flow, task
from prefect.core.parameter import DateTimeParameter


@task
def year(moment):
    return moment.year


with Flow("datetime-default") as flow:
    when = DateTimeParameter("when", default="2024-02-28T12:00:00+00:00")
    answer = year(when)

RUNS = []


def look(states):
    try:
        return flow.run().result[answer].result
    except ValueError:
        return "refused"


DIFFERS = {"look": ("refused", 2024, "A parameter with a default need not be given, whatever its kind.")}
