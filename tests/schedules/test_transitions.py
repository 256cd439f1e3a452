"""Every change of clocks of five zones in twenty years, against a walk through the minutes.

The rules (those that Prefect 1's page gives, which it did not keep): a wall-clock time that comes twice fires at the
first; one that does not come fires at the first minute after the gap; elapsed time takes no notice of clocks.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest

from jupyter_flows.schedules import CronSchedule, IntervalSchedule

ZONES = ("America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Casablanca", "America/Sao_Paulo")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@cache
def transitions(name):
    """The instants at which the zone's offset changes, to the minute."""
    where, found = ZoneInfo(name), []
    at = datetime(2010, 1, 1, tzinfo=UTC)
    while at < datetime(2030, 1, 1, tzinfo=UTC):
        if at.astimezone(where).utcoffset() != (at + DAY).astimezone(where).utcoffset():
            moment = at
            while moment.astimezone(where).utcoffset() == at.astimezone(where).utcoffset():
                moment += MINUTE
            found.append(moment)
        at += DAY
    return found


def wall_clock(name, begin, end):
    """Instant and local time of every minute."""
    where = ZoneInfo(name)
    while begin < end:
        yield begin, begin.astimezone(where).replace(tzinfo=None)
        begin += MINUTE


def daily(name, at, begin, end):
    """When something that is due each day at a local time fires: by looking at every minute."""
    found, previous = {}, None
    for instant, local in wall_clock(name, begin - DAY, end):
        day = local.date()
        target = datetime.combine(day, at)
        if day not in found and local == target:
            found[day] = instant
        elif previous is not None and day not in found and previous < target < local:
            found[day] = instant  # the clock jumped over it
        previous = local
    return [instant for instant in found.values() if begin < instant < end]


def targets(name, moment):
    """Local times round a change: within the gap or the repeated hour, at its edges, and clear of it."""
    where = ZoneInfo(name)
    before, after = (moment - MINUTE).astimezone(where), moment.astimezone(where)
    low, high = sorted([before.replace(tzinfo=None) + MINUTE, after.replace(tzinfo=None)])
    middle = low + (high - low) / 2
    return {one.time().replace(second=0, microsecond=0) for one in (low, middle, high, high + 3 * HOUR)}


@pytest.mark.parametrize("name", ZONES)
def test_there_are_changes_to_look_at(name):
    assert len(transitions(name)) >= 18


@pytest.mark.parametrize("name", ZONES)
def test_a_time_of_day_fires_once_a_day(name):
    for moment in transitions(name):
        begin, end = moment - DAY - HOUR, moment + DAY
        for at in targets(name, moment):
            expected = daily(name, at, begin, end)
            cron = CronSchedule(f"{at.minute} {at.hour} * * *", time_zone=name)
            anchor = datetime.combine(begin.date() - 40 * DAY, at)
            every_day = IntervalSchedule(DAY, start_at=anchor, time_zone=name)
            for schedule in (cron, every_day):
                fired = [one for one in schedule.next(4, after=begin) if one < end]
                assert expected == fired, (name, moment, at, schedule)


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize("every", [timedelta(minutes=20), HOUR, timedelta(hours=7)])
def test_elapsed_time_takes_no_notice(name, every):
    for moment in transitions(name):
        anchor = (moment - 30 * HOUR).astimezone(ZoneInfo(name))
        schedule = IntervalSchedule(every, start_at=anchor)
        fired = schedule.next(30, after=moment - 3 * HOUR)
        assert {every} == {later - earlier for earlier, later in zip(fired, fired[1:], strict=False)}
        assert all((one - anchor.astimezone(UTC)) % every == timedelta() for one in fired)


def test_the_walk_itself_knows_a_gap_and_a_repeated_hour():
    spring, autumn = datetime(2024, 3, 31, 1, tzinfo=UTC), datetime(2024, 10, 27, 1, tzinfo=UTC)
    assert {spring, autumn} <= set(transitions("Europe/Berlin"))
    assert [spring] == daily("Europe/Berlin", time(2, 30), spring - HOUR, spring + HOUR)
    assert [autumn - HOUR / 2] == daily("Europe/Berlin", time(2, 30), autumn - 2 * HOUR, autumn + 2 * HOUR)
