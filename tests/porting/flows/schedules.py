"""Clocks with parameters and labels, filters and adjustments: the next times."""

import datetime as dt

from prefect import Flow, Parameter
from prefect.schedules import CronSchedule, IntervalSchedule, Schedule, adjustments, clocks, filters

try:
    import pendulum

    def start(*parts):
        return pendulum.datetime(*parts)

except ImportError:

    def start(*parts):
        return dt.datetime(*parts, tzinfo=dt.UTC)


UTC = dt.UTC
FROM = start(2024, 2, 27, 8, 30)


SCHEDULES = {
    "cron": CronSchedule("0 */6 * * *", start_date=start(2024, 1, 1)),
    "cron that ends": CronSchedule("0 9 * * *", start_date=start(2024, 1, 1), end_date=start(2024, 2, 29)),
    "interval": IntervalSchedule(start_date=start(2024, 1, 1, 4), interval=dt.timedelta(hours=36)),
    "two clocks": Schedule(
        clocks=[
            clocks.IntervalClock(
                dt.timedelta(days=1),
                start_date=start(2024, 1, 1, 9),
                parameter_defaults={"region": "north"},
            ),
            clocks.CronClock(
                "30 9 * * *",
                start_date=start(2024, 1, 1),
                parameter_defaults={"region": "south"},
                labels=["big"],
            ),
        ]
    ),
    "dates": Schedule(clocks=[clocks.DatesClock([start(2024, 1, 1), start(2024, 3, 1), start(2024, 2, 28)])]),
    "weekdays between hours": Schedule(
        clocks=[clocks.IntervalClock(dt.timedelta(hours=3), start_date=start(2024, 1, 1))],
        filters=[filters.is_weekday],
        or_filters=[
            filters.between_times(dt.time(9), dt.time(10)),
            filters.at_time(dt.time(18)),
        ],
        not_filters=[filters.between_dates(2, 28, 3, 2)],
    ),
    "month ends": Schedule(
        clocks=[clocks.CronClock("0 12 * * *", start_date=start(2024, 1, 1))],
        filters=[filters.is_month_end],
        adjustments=[adjustments.next_weekday],
    ),
    "month starts, later": Schedule(
        clocks=[clocks.CronClock("0 0 * * *", start_date=start(2024, 1, 1))],
        filters=[filters.is_month_start],
        adjustments=[adjustments.add(dt.timedelta(hours=5))],
    ),
    "weekends": Schedule(
        clocks=[clocks.CronClock("0 0 * * *", start_date=start(2024, 1, 1))], filters=[filters.is_weekend]
    ),
    "a day of the week": Schedule(
        clocks=[clocks.CronClock("0 0 * * *", start_date=start(2024, 1, 1))],
        filters=[filters.is_day_of_week(0)],
    ),
}

with Flow("scheduled", schedule=SCHEDULES["two clocks"]) as flow:
    Parameter("region", default="nowhere")

RUN = dict(run_on_schedule=False)


def look(states):
    times = {
        name: [at.astimezone(UTC).isoformat() for at in schedule.next(4, after=FROM)]
        for name, schedule in SCHEDULES.items()
    }
    events = SCHEDULES["two clocks"].next(3, after=FROM, return_events=True)
    return {
        "times": times,
        "events": [
            [e.start_time.astimezone(UTC).isoformat(), e.parameter_defaults, list(e.labels or [])]
            for e in events
        ],
    }
