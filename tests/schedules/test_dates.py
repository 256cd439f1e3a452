"""Given dates, and then never again."""

from datetime import UTC, datetime

import pytest

from jupyter_flows.errors import InvalidSchedule
from jupyter_flows.schedules import DatesSchedule


def test_dates_are_kept_in_order_and_once():
    dates = [
        datetime(2031, 1, 2, tzinfo=UTC),
        datetime(2031, 1, 1, tzinfo=UTC),
        datetime(2031, 1, 2, tzinfo=UTC),
    ]
    schedule = DatesSchedule(date for date in dates)
    assert [t.day for t in schedule.next(9, after=datetime(2030, 1, 1, tzinfo=UTC))] == [1, 2]


def test_after_the_last_there_is_none():
    assert DatesSchedule([datetime(2031, 1, 1, tzinfo=UTC)]).after(datetime(2031, 1, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("dates", "words"),
    [([], "no date"), ([datetime(2031, 1, 1)], "has no time zone")],
)
def test_nothing_and_times_without_zone_are_refused(dates, words):
    with pytest.raises(InvalidSchedule, match=words):
        DatesSchedule(dates)
