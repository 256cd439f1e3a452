"""Cron in a time zone; where clocks change, as Debian's cron does."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from jupyter_flows.errors import InvalidSchedule
from jupyter_flows.schedules.cron import CronSchedule


def fires(cron, zone, begin, count):
    schedule = CronSchedule(cron, time_zone=zone)
    local = ZoneInfo(zone)
    start = datetime.fromisoformat(begin).replace(tzinfo=local)
    return [time.astimezone(local).isoformat() for time in schedule.next(count, after=start)]


@pytest.mark.parametrize(
    ("cron", "zone", "begin", "expected"),
    [
        # spring: 02:30 does not exist on 2026-03-29, it fires at the first instant that does
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]),
        # autumn: 02:30 exists twice on 2026-10-25, it fires once, at the first
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]),
        # wildcards follow real time: both hours of autumn, none of the hour that spring skips
        ("*/30 * * * *", "Europe/Berlin", "2026-03-29T01:30", ["2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00"]),
        ("*/30 * * * *", "Europe/Berlin", "2026-10-25T02:00", [
            "2026-10-25T02:30:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:00:00+01:00",
        ]),
        # half an hour of daylight saving
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00", ["2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"]),
        # a whole day that was skipped
        ("0 12 * * *", "Pacific/Apia", "2011-12-29T11:00", ["2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00"]),
        ("0 6 29 2 *", "UTC", "2026-01-01T00:00", ["2028-02-29T06:00:00+00:00"]),
        ("0 6 * * 1-5", "Asia/Kathmandu", "2026-11-20T12:00", ["2026-11-23T06:00:00+05:45"]),
    ],
)  # fmt: skip
def test_local_time_decides(cron, zone, begin, expected):
    assert fires(cron, zone, begin, len(expected)) == expected


def test_a_minute_by_minute_oracle_agrees():
    """For a year around both changes: what fires is what the local clock shows, gaps and folds aside."""
    zone = ZoneInfo("America/New_York")
    schedule = CronSchedule("*/20 3-5 * * *", time_zone="America/New_York")
    begin, end = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    minute, oracle = begin, []
    while minute < end:
        minute += timedelta(minutes=1)
        local = minute.astimezone(zone)
        if local.hour in (3, 4, 5) and local.minute % 20 == 0:
            oracle.append(minute)
    found = []
    for time in schedule.firings(after=begin):
        if time > end:
            break
        found.append(time)
    assert found == oracle


def test_after_is_strict_and_in_utc():
    six = CronSchedule("0 6 * * *", time_zone="Europe/Berlin")
    first = six.after(datetime(2030, 1, 1, tzinfo=UTC))
    assert first.tzinfo is UTC
    assert six.after(first) == first + timedelta(days=1)


def test_start_and_end_bound_it():
    schedule = CronSchedule(
        "0 6 * * *", start_at=datetime(2030, 1, 5, 6, tzinfo=UTC), end_at=datetime(2030, 1, 6, 6, tzinfo=UTC)
    )
    assert [t.day for t in schedule.next(5, after=datetime(2029, 1, 1, tzinfo=UTC))] == [5, 6]


@pytest.mark.parametrize(
    ("cron", "zone", "sentence"),
    [
        ("0 0 30 2 *", "UTC", "schedule '0 0 30 2 *' never fires"),
        ("61 * * * *", "UTC", "schedule '61 * * * *': the field minute is '61'; it takes 0-59"),
        ("0 25 * * *", "UTC", "schedule '0 25 * * *': the field hour is '25'; it takes 0-23"),
        ("0 6 * *", "UTC", "schedule '0 6 * *' has 4 fields; a cron expression has five: 0 6 * * *"),
        ("0 6 * * *", "Europe/Berlni", "there is no time zone 'Europe/Berlni'; did you mean 'Europe/Berlin'?"),
        ("0 6 * * *", "../etc/passwd", "there is no time zone '../etc/passwd'; write it as Europe/Berlin or UTC"),
    ],
)  # fmt: skip
def test_a_wrong_schedule_is_refused_in_one_sentence(cron, zone, sentence):
    with pytest.raises(InvalidSchedule) as caught:
        CronSchedule(cron, time_zone=zone)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 6 * * *", "every day at 06:00 UTC"),
        ("@daily", "every day at 00:00 UTC"),
        ("@weekly", "every Sunday at 00:00 UTC"),
        ("0 6 1 * *", "on day 1 of each month at 06:00 UTC"),
        ("5 * * * *", "every hour at minute 5"),
        ("* * * * *", "every minute"),
        ("1,2 3 * 4 *", "cron 1,2 3 * 4 * UTC"),
        ("*/7 * * * *", "cron */7 * * * * UTC"),
    ],
)
def test_in_words(cron, words):
    assert CronSchedule(cron).in_words() == words


def test_both_days_can_be_asked_for():
    """With day_or=False the first of a month counts if it is a Monday; a day-by-day oracle agrees for 20 years."""
    schedule = CronSchedule("0 9 1 * 1", time_zone="Europe/Berlin", day_or=False)
    zone = ZoneInfo("Europe/Berlin")
    begin = datetime(2020, 1, 1, tzinfo=zone)
    oracle = [
        datetime(year, month, 1, 9, tzinfo=zone)
        for year in range(2020, 2040)
        for month in range(1, 13)
        if datetime(year, month, 1).weekday() == 0
    ]
    assert oracle == list(schedule.next(len(oracle), begin))
    assert schedule == CronSchedule.from_options(schedule.to_ref().options)
    assert schedule.in_words() == "cron 0 9 1 * 1 Europe/Berlin, where both days match"


@pytest.mark.parametrize(
    ("cron", "days"),
    [
        ("0 9 */10 * 1", [8, 11, 15, 21]),
        ("0 9 */1 * 1", [8, 15, 22, 29]),
        ("0 9 6-6 * 6-6", [6, 13, 20, 27]),
    ],
)
def test_a_day_is_asked_for_by_what_leaves_some_out(cron, days):
    """A step says which days, as a list does; what leaves out none says nothing."""
    begin = datetime(2024, 1, 2, tzinfo=UTC)
    assert days == [at.day for at in CronSchedule(cron).next(4, after=begin)]
