"""Clocks with filters and adjustments: what is due, in any order of asking, here and from the server's record."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import DAILY, FR, MONTHLY, rrule, rruleset
from hypothesis import given
from hypothesis import strategies as st

from jupyter_flows.errors import InvalidSchedule
from jupyter_flows.schedules import (
    CronSchedule,
    IntervalSchedule,
    RRuleSchedule,
    Schedule,
    adjustments,
    filters,
    schedule_from_ref,
)
from jupyter_flows.schedules.clocks import CronClock, DatesClock, IntervalClock, RRuleClock
from jupyter_flows.schedules.filters import filter_from_text

START = datetime(2030, 1, 1, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
ALL_FILTERS = [
    filters.is_weekday, filters.is_weekend, filters.is_month_start, filters.is_month_end,
    filters.is_day_of_week(4), filters.on_date(2, 29), filters.at_time(time(6)),
    filters.between_times(time(22), time(6)), filters.between_dates(12, 20, 1, 6),
    filters.on_datetime(START), filters.between_datetimes(START, START + timedelta(days=3)),
]  # fmt: skip


def hours(**groups) -> Schedule:
    return Schedule([IntervalClock(timedelta(hours=6), start_date=START)], **groups)


@pytest.mark.parametrize("one", ALL_FILTERS, ids=lambda one: one.text)
def test_a_filter_comes_back_from_its_text(one):
    assert one == filter_from_text(one.text)


def test_filters_join():
    """All of the filters, one of the or-filters, none of the not-filters."""
    schedule = hours(
        filters=[filters.is_weekday],
        or_filters=[filters.at_time(time(6)), filters.at_time(time(12))],
        not_filters=[filters.on_date(1, 2)],
    )
    found = [f"{at:%a %d %H}" for at in schedule.next(5, after=START)]
    assert ["Tue 01 06", "Tue 01 12", "Thu 03 06", "Thu 03 12", "Fri 04 06"] == found


def test_adjustments_move_what_is_left():
    ends = Schedule(
        [CronClock("0 12 * * *")], filters=[filters.is_month_end], adjustments=[adjustments.next_weekday]
    )
    assert [date(2030, 1, 31), date(2030, 2, 28), date(2030, 4, 1)] == [
        at.date() for at in ends.next(3, after=START)
    ]
    # Asked between a time and where it is moved to, it is still to come.
    assert ends.after(datetime(2030, 3, 31, 13, tzinfo=UTC)) == datetime(2030, 4, 1, 12, tzinfo=UTC)


def test_times_that_adjustments_bring_out_of_order_all_fire_in_order():
    """Saturday 18:00 becomes Monday 18:00, although Monday 00:00 came after it and is earlier."""
    friday = datetime(2021, 1, 1, 12, tzinfo=UTC)
    every = IntervalClock(timedelta(hours=30), start_date=friday)
    moved = Schedule([every], adjustments=[adjustments.next_weekday])
    assert ["01 12", "04 00", "04 18", "05 06"] == [
        at.strftime("%d %H") for at in moved.next(4, after=START.replace(year=2021))
    ]


def test_filters_look_at_the_clocks_own_zone():
    night = Schedule(
        [IntervalClock(timedelta(hours=1), start_date=datetime(2030, 1, 1, tzinfo=BERLIN))],
        filters=[filters.at_time(time(0))],
    )
    assert datetime(2030, 1, 1, 23, tzinfo=UTC) == night.after(START)


def test_two_clocks_at_once_make_two_runs_if_they_differ():
    at = START + timedelta(days=1)
    both = Schedule(
        [
            DatesClock([at], parameter_defaults={"region": "north"}),
            DatesClock([at], parameter_defaults={"region": "south"}, labels=["big"]),
            DatesClock([at], parameter_defaults={"region": "north"}),
        ]
    )
    events = both.next(5, after=START, return_events=True)
    assert [({"region": "north"}, None), ({"region": "south"}, ("big",))] == [
        (event.parameter_defaults, event.labels) for event in events
    ]


def test_a_filter_that_nothing_passes_never_fires_and_does_not_hang():
    assert hours(filters=[lambda _: False]).after(START) is None


def test_rules_of_icalendar():
    fridays = RRuleSchedule(rrule(MONTHLY, byweekday=FR(-1), dtstart=datetime(2030, 1, 1, 9, tzinfo=BERLIN)))
    assert [
        datetime(2030, 1, 25, 8, tzinfo=UTC), datetime(2030, 2, 22, 8, tzinfo=UTC),
        datetime(2030, 3, 29, 8, tzinfo=UTC), datetime(2030, 4, 26, 7, tzinfo=UTC),
    ] == list(fridays.next(4, after=START))  # fmt: skip
    assert fridays.next(4, after=START) == schedule_from_ref(fridays.to_ref()).next(4, after=START)


# -- as the server keeps them ------------------------------------------------------------------------------


def test_a_record_for_each_clock_with_the_filters():
    schedule = Schedule(
        [CronClock("0 6 * * *", parameter_defaults={"n": 1}, labels=["big"]), CronClock("0 18 * * *")],
        filters=[filters.is_weekday],
        adjustments=[adjustments.add(timedelta(minutes=5))],
    )
    one, two = schedule.to_refs()
    assert ({"n": 1}, ("big",), {}, None) == (one.parameters, one.labels, two.parameters, two.labels)
    kept = [schedule_from_ref(ref).next(6, after=START) for ref in (one, two)]
    assert list(schedule.next(12, after=START)) == sorted(at for times in kept for at in times)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (lambda: hours(filters=[lambda at: True]), "is a function, which a server cannot keep"),
        (lambda: hours(adjustments=[lambda at: at]), "the adjustment <lambda> is a function"),
        (lambda: Schedule([RRuleClock(rruleset())]), "a set of recurrence rules cannot be registered"),
    ],
)
def test_what_the_server_cannot_keep_is_refused_when_registering(schedule, words):
    with pytest.raises(InvalidSchedule, match=words):
        schedule().to_refs()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Schedule([]), "at least one clock"),
        (lambda: Schedule(["0 6 * * *"]), "is no clock"),
        (lambda: Schedule(IntervalClock(timedelta(1))), r"give a list: clocks=\[...\]"),
        (lambda: hours(filters=filters.is_weekend), r"give a list: filters=\[...\]"),
        (lambda: hours(adjustments=[5]), "adjustments of a schedule has 5; give functions of a time"),
        (lambda: IntervalClock(timedelta(1), parameter_defaults=[1]), "give a dictionary of values by name"),
        (lambda: filters.is_day_of_week(7), "0, Monday, to 6, Sunday"),
        (lambda: filters.on_date(2, 30), "there is no such day"),
        (lambda: CronClock("0 6 * * *", labels="big"), "give a list of words"),
        (IntervalSchedule, "needs an interval"),
        (lambda: IntervalSchedule(timedelta(hours=1), colour="red"), "colour is not understood"),
        (lambda: RRuleSchedule("FREQ=DAILY"), "is no dateutil.rrule"),
        (lambda: filter_from_text("is_sunny"), "is not known"),
        (lambda: filter_from_text("at_time noon"), "does not read"),
    ],
)
def test_a_mistake_is_one_sentence(make, words):
    with pytest.raises(InvalidSchedule, match=words):
        make()


def test_prefects_own_forms_are_understood():
    begin, hour = datetime(2030, 1, 1, 9, tzinfo=BERLIN), timedelta(hours=1)
    assert IntervalSchedule(begin, hour) == IntervalSchedule(start_date=begin, interval=hour)
    assert "Europe/Berlin" == IntervalSchedule(begin, hour).time_zone
    assert CronSchedule("0 6 * * *", begin) == CronSchedule(cron="0 6 * * *", start_date=begin)


# -- whoever asks, and however -------------------------------------------------------------------------------

MADE = {
    "filtered": hours(filters=[filters.is_weekday], not_filters=[filters.at_time(time(0))]),
    "adjusted": Schedule([CronClock("30 5 * * *")], adjustments=[adjustments.add(timedelta(hours=30))]),
    "weekdays": Schedule(
        [CronClock("0 12 * * *", start_date=datetime(2029, 1, 1, tzinfo=BERLIN))],
        adjustments=[adjustments.next_weekday],
    ),
    "rule": RRuleSchedule(rrule(DAILY, interval=3, dtstart=datetime(2029, 1, 1, 2, 30, tzinfo=BERLIN))),
    "two": Schedule([CronClock("0 */7 * * *"), IntervalClock(timedelta(hours=5), start_date=START)]),
}


@pytest.mark.parametrize("name", MADE)
@given(minutes=st.integers(0, 600_000))
def test_what_comes_next_is_later_and_the_same_one_by_one(name, minutes):
    schedule, asked = MADE[name], START + timedelta(minutes=minutes)
    times = schedule.next(4, after=asked)
    assert asked < times[0]
    assert list(times) == sorted(set(times))
    one_by_one, at = [], asked
    for _ in range(4):
        at = schedule.after(at)
        one_by_one.append(at)
    assert one_by_one == list(times)
