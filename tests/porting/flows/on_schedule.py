"""A flow that follows its schedule in this process: each clock brings its own parameters."""

import datetime as dt

from prefect import Flow, Parameter, task
from prefect.schedules import Schedule
from prefect.schedules.clocks import DatesClock

seen = []

NOW = dt.datetime.now(dt.UTC)


@task
def report(region, limit):
    seen.append(f"{region}, {limit}")


def soon(seconds, **parameters):
    return DatesClock([NOW + dt.timedelta(seconds=seconds)], parameter_defaults=parameters)


schedule = Schedule(clocks=[soon(1.5, region="north"), soon(1.8, region="south", limit=1)])

with Flow("on-schedule", schedule=schedule) as flow:
    report(Parameter("region", default="nowhere"), Parameter("limit", default=0))

RUN = dict(run_on_schedule=True, parameters={"limit": 5})


YOURS = "A value that you give to the run wins over the clock's."

DIFFERS = {
    "seen/1": ("south, 1", "south, 5", YOURS),
    "runs/0/tasks/limit/result": (1, 5, YOURS),
}
