"""What a person types as a schedule, and the record it becomes."""

from datetime import UTC, datetime, timedelta

import pytest

from jupyter_flows.errors import InvalidSchedule
from jupyter_flows.schedules import (
    CronSchedule,
    DatesSchedule,
    IntervalSchedule,
    in_words,
    parse_schedule,
    schedule_from_ref,
)
from jupyter_flows.schema.base import check
from jupyter_flows.schema.refs import ScheduleRef

TEXTS = {
    "every 10 minutes": IntervalSchedule(timedelta(minutes=10)),
    "every minute": IntervalSchedule(timedelta(minutes=1)),
    "every 1.5 hours": IntervalSchedule(timedelta(minutes=90)),
    "every 8s": IntervalSchedule(timedelta(seconds=8)),
    "every 2 days Europe/Berlin": IntervalSchedule(timedelta(days=2), time_zone="Europe/Berlin"),
    "10m": IntervalSchedule(timedelta(minutes=10)),
    "1h30m": IntervalSchedule(timedelta(minutes=90)),
    "0 6 * * *": CronSchedule("0 6 * * *"),
    "0 6 * * * Europe/Berlin": CronSchedule("0 6 * * *", time_zone="Europe/Berlin"),
    "  0  6 * * *  ": CronSchedule("0 6 * * *"),
    "@daily": CronSchedule("@daily"),
    "@Hourly Asia/Tokyo": CronSchedule("@hourly", time_zone="Asia/Tokyo"),
    "daily": CronSchedule("@daily"),
    "every day at 6:30": CronSchedule("30 6 * * *"),
    "every weekday at 18:00 Europe/Paris": CronSchedule("0 18 * * 1-5", time_zone="Europe/Paris"),
    "2031-01-31": DatesSchedule([datetime(2031, 1, 31, tzinfo=UTC)]),
    "2031-01-31T06:00+01:00, 2031-02-01T00:00Z": DatesSchedule(
        [datetime(2031, 1, 31, 5, tzinfo=UTC), datetime(2031, 2, 1, tzinfo=UTC)]
    ),
}


@pytest.mark.parametrize("text", TEXTS)
def test_it_is_read_as_meant(text):
    assert parse_schedule(text) == TEXTS[text]


@pytest.mark.parametrize("text", TEXTS)
def test_a_schedule_survives_its_record(text):
    schedule = parse_schedule(text)
    assert schedule_from_ref(check(schedule.to_ref())) == schedule
    assert in_words(schedule)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("every fortnight-ish", "is not understood; write 'every 10 minutes'"),
        ("every 10 minuts", "did you mean 'every 10 minutes'?"),
        ("@dialy", "did you mean '@daily'?"),
        ("5", "did you mean 'every 5 minutes'?"),
        ("every 5", "did you mean 'every 5 minutes'?"),
        ("", "the schedule is empty"),
        ("* * * * * *", "has 6 fields"),
        ("0 6 * * * Europe/Berlinn", "did you mean 'Europe/Berlin'?"),
        ("2031-02-30", "'2031-02-30' is not a date"),
        ("2031-01-01, soon", "'soon' is not a date"),
        ("every day at 25:00", "there is no time 25:00"),
        ("every munday at 7:00", "there is no day 'munday'"),
        ("every 0s", "too short"),
        ("every 99999999999999 days", "is not understood"),
        ("0 0 31 4 *", "never fires"),
        ("\x00", "is not understood"),
    ],
)
def test_what_is_not_understood_gets_one_sentence_with_help(text, hint):
    with pytest.raises(InvalidSchedule) as caught:
        parse_schedule(text)
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "ref",
    [
        ScheduleRef(kind="moon"),
        ScheduleRef(kind="cron"),
        ScheduleRef(kind="interval", options={"interval_s": "soon"}),
        ScheduleRef(kind="interval", options={"interval_s": 1e300}),
        ScheduleRef(kind="dates", options={"dates": ["soon"]}),
        ScheduleRef(kind="cron", options={"cron": "0 6 * * *", "start_at": "soon"}),
    ],
)
def test_a_record_that_describes_nothing_is_refused(ref):
    with pytest.raises(InvalidSchedule):
        schedule_from_ref(ref)
