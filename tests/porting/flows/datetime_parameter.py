"""``DateTimeParameter`` makes a datetime of text."""

import datetime as dt

from prefect import Flow, task
from prefect.core.parameter import DateTimeParameter


@task
def day_after(moment):
    return moment + dt.timedelta(days=1) if moment is not None else "no time"


with Flow("datetime-parameter") as flow:
    day_after(DateTimeParameter("moment", required=False))

RUNS = [
    dict(moment="2024-02-28T12:00:00+00:00"),
    dict(moment=dt.datetime(2024, 12, 31, tzinfo=dt.UTC)),
    {},
]
