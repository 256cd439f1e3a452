"""What a task may ask about its run."""

from __future__ import annotations

import datetime as dt

import pytest

from jupyter_flows.core.context import context
from jupyter_flows.core.signals import FAIL


@pytest.mark.parametrize(
    "date", ["2024-03-01", "2024-03-01T23:30:00+00:00", dt.datetime(2024, 3, 1, tzinfo=dt.UTC)]
)
def test_a_given_date_leads_the_other_days(date):
    """A date, also one that is text, is what today, yesterday and tomorrow are counted from."""
    with context(date=date):
        assert context.date.year == 2024
        assert context.date.tzinfo is not None
        days = [context.yesterday, context.today, context.tomorrow, context.get("tomorrow_nodash")]
    assert days == ["2024-02-29", "2024-03-01", "2024-03-02", "20240302"]


def test_a_text_that_is_no_date_stays_what_it_is():
    """Nobody else's key named date is broken by this; there is no today then."""
    with context(date="the first of March"):
        assert context.date == "the first of March"
        assert context.get("today") is None


def test_keys_are_laid_over_by_name_or_as_a_mapping():
    """Both forms of Prefect 1's ``with context(...)``; the keys before it are back afterwards."""
    with context({"city": "Oslo", "year": 2024}, year=2025):
        assert (context.city, context.year) == ("Oslo", 2025)
    assert "city" not in context
    with pytest.raises(AttributeError, match="context has no 'city'; it has nothing outside a run"):
        _ = context.city


def test_a_failure_has_the_result_that_it_was_given():
    """Also None; only one that was given none at all has its signal as the result."""
    assert FAIL("no", result=None).state.result is None
    assert isinstance(FAIL("no").state.result, FAIL)
