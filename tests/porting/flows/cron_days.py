"""Cron where both the day's number and its weekday count, and what schedules tell of themselves."""

from datetime import datetime, timedelta

from prefect import Flow, task
from prefect.schedules import CronSchedule, Schedule
from prefect.schedules.clocks import CronClock, DatesClock, IntervalClock


@task
def tick():
    return 1


begin = datetime(2024, 1, 2)
mondays = CronSchedule("0 9 1 * 1", begin, None, False)
either = CronSchedule(cron="0 9 1 * 1", start_date=begin, day_or=True)
clocks = [
    IntervalClock(timedelta(days=7), start_date=datetime(2024, 2, 1), end_date=datetime(2024, 3, 1)),
    CronClock("0 9 1 * 1", start_date=begin, end_date=datetime(2025, 1, 1), day_or=False),
]
dates = DatesClock([datetime(2024, 5, 1), datetime(2024, 6, 1)], parameter_defaults={"x": 1})

with Flow("cron-days", schedule=Schedule(clocks, None, None, None, None)) as flow:
    tick()

RUNS = []


def days(times):
    return [time.strftime("%Y-%m-%d %H") for time in times]


def look(states):
    return {
        "both": days(mondays.next(3, begin)),
        "either": days(either.next(3, begin)),
        "steps": days(CronSchedule("0 9 */10 * 1", begin).next(6, begin)),
        "weekday steps": days(CronSchedule("0 9 10 * */3", begin).next(6, begin)),
        "all": days(flow.schedule.next(7, after=begin)),
        "begin": days([flow.schedule.start_date, flow.schedule.end_date]),
        "events": days(event.start_time for event in dates.events(after=begin)),
        "values": [event.parameter_defaults for event in dates.events(after=begin)],
    }
