"""Intervals: whole days keep the wall clock, anything else is elapsed time."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_flows.errors import InvalidSchedule
from jupyter_flows.schedules import IntervalSchedule

BERLIN = ZoneInfo("Europe/Berlin")


def test_without_a_start_it_is_on_round_times():
    ten = IntervalSchedule(timedelta(minutes=10))
    assert f"{ten.after(datetime(2030, 5, 5, 12, 3, 4, tzinfo=UTC)):%H:%M:%S}" == "12:10:00"


def test_days_keep_the_wall_clock_across_changes():
    daily = IntervalSchedule(
        timedelta(days=1), start_at=datetime(2026, 3, 27, 6, tzinfo=BERLIN), time_zone="Europe/Berlin"
    )
    times = daily.next(3, after=datetime(2026, 3, 27, 12, tzinfo=UTC))
    assert [t.astimezone(BERLIN).isoformat() for t in times] == [
        "2026-03-28T06:00:00+01:00",
        "2026-03-29T06:00:00+02:00",
        "2026-03-30T06:00:00+02:00",
    ]


def test_a_day_inside_the_gap_fires_at_the_first_instant_that_exists():
    daily = IntervalSchedule(
        timedelta(days=1), start_at=datetime(2026, 3, 1, 2, 30), time_zone="Europe/Berlin"
    )
    times = daily.next(2, after=datetime(2026, 3, 28, 12, tzinfo=UTC))
    assert [t.astimezone(BERLIN).isoformat() for t in times] == [
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]


def test_hours_are_elapsed_time():
    six = IntervalSchedule(timedelta(hours=6), start_at=datetime(2026, 3, 28, 18, tzinfo=BERLIN))
    times = six.next(3, after=datetime(2026, 3, 28, 17, tzinfo=UTC))
    assert {b - a for a, b in zip(times, times[1:], strict=False)} == {timedelta(hours=6)}


def test_the_start_is_the_first_firing():
    start = datetime(2031, 1, 1, 5, tzinfo=UTC)
    assert (
        IntervalSchedule(timedelta(days=1), start_at=start).after(datetime(2030, 1, 1, tzinfo=UTC)) == start
    )


@given(
    seconds=st.integers(1, 10**7),
    time=st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC)),
)
def test_after_is_strictly_later_and_no_firing_is_left_out(seconds, time):
    schedule = IntervalSchedule(timedelta(seconds=seconds))
    first = schedule.after(time)
    assert time < first <= time + schedule.interval
    assert schedule.after(first) == first + schedule.interval
    assert schedule.after(first - timedelta(microseconds=1)) == first


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "America/St_Johns"])
def test_days_never_go_back_nor_stand_still(zone):
    """Two years of days at 02:15 local: strictly growing, about a day apart."""
    daily = IntervalSchedule(timedelta(days=1), start_at=datetime(2010, 6, 1, 2, 15), time_zone=zone)
    times = daily.next(730, after=datetime(2010, 6, 2, tzinfo=UTC))
    gaps = [later - sooner for sooner, later in zip(times, times[1:], strict=False)]
    assert min(gaps) > timedelta(0)
    assert max(gaps) <= timedelta(hours=25)


@pytest.mark.parametrize(
    ("interval", "sentence"),
    [
        (timedelta(0), "an interval of 0 s is too short; the shortest is 1s"),
        (timedelta(seconds=0.5), "an interval of 0.5 s is too short; the shortest is 1s"),
        (timedelta(days=5000), "an interval of 5000 days is longer than ten years"),
        (600, "interval 600 is no timedelta; write timedelta(minutes=10)"),
    ],
)
def test_a_wrong_interval_is_refused(interval, sentence):
    with pytest.raises(InvalidSchedule) as caught:
        IntervalSchedule(interval)
    assert str(caught.value) == sentence


def test_the_last_firing_is_found_without_walking():
    second = IntervalSchedule(timedelta(seconds=1))
    begin, end = datetime(2000, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, 0, 0, 0, 500, tzinfo=UTC)
    assert second.last_until(end, after=begin) == datetime(2030, 1, 1, tzinfo=UTC)
    yearly = IntervalSchedule(timedelta(days=364))
    expected = [t for t in yearly.next(40, after=begin) if t <= end][-1]
    assert yearly.last_until(end, after=begin) == expected
