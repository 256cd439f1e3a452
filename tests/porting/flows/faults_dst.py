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


EVERY_HOUR = "When the clock is put back, an hour comes twice, and every hour means both of them."
FIRST = "A time that comes twice runs at the first, as Prefect 1's page says."


def _later(name, places, start):
    """From *start* on each firing is Prefect 1's one hour later: it left one out."""
    return {
        f"look/{name}/{place}": (f"11-03 {start + 1 + n:02}:00", f"11-03 {start + n:02}:00", EVERY_HOUR)
        for n, place in enumerate(places)
    }


DIFFERS = {
    "look/cron, 01:30, which is twice/0": ("11-03 06:30", "11-03 05:30", FIRST),
    **_later("cron, every hour", range(1, 5), 5),
    **_later("every hour, anchor a day before", range(2, 5), 6),
    **_later("every hour, anchor long before", range(1, 5), 5),
}
