"""Hours of the night when clocks change, in New York."""

import datetime as dt

from prefect import Flow
from prefect.schedules import CronSchedule, IntervalSchedule

try:
    import pendulum

    def new_york(*parts):
        return pendulum.datetime(*parts, tz="America/New_York")

except ImportError:
    from zoneinfo import ZoneInfo

    def new_york(*parts):
        return dt.datetime(*parts, tzinfo=ZoneInfo("America/New_York"))


UTC = dt.UTC
FALL = new_york(2024, 11, 2, 23, 30)
SPRING = new_york(2024, 3, 9, 22, 30)

SCHEDULES = {
    "every hour, anchor a day before": (
        IntervalSchedule(new_york(2024, 11, 2, 12), dt.timedelta(hours=1)),
        FALL,
    ),
    "every hour, anchor long before": (
        IntervalSchedule(new_york(2024, 10, 1, 0), dt.timedelta(hours=1)),
        FALL,
    ),
    "every day at nine": (IntervalSchedule(new_york(2024, 10, 1, 9), dt.timedelta(days=1)), FALL),
    "cron, every hour": (CronSchedule("0 * * * *", start_date=new_york(2024, 1, 1)), FALL),
    "cron, 01:30, which is twice": (CronSchedule("30 1 * * *", start_date=new_york(2024, 1, 1)), FALL),
    "cron, 02:30, which is not": (CronSchedule("30 2 * * *", start_date=new_york(2024, 1, 1)), SPRING),
    "cron, at nine in spring": (CronSchedule("0 9 * * *", start_date=new_york(2024, 1, 1)), SPRING),
}

flow = Flow("dst")
RUNS = []


def look(states):
    return {
        name: [at.astimezone(UTC).strftime("%m-%d %H:%M") for at in schedule.next(5, after=after)]
        for name, (schedule, after) in SCHEDULES.items()
    }
