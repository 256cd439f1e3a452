"""Durations as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_flows.core.duration import format_duration, parse_duration
from jupyter_flows.errors import InvalidDuration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10),
        ("5m", 300),
        ("1h", 3600),
        ("1d", 86400),
        ("1h30m", 5400),
        ("7", 7),
        ("250ms", 0.25),
        ("1.5 h", 5400),
    ],
)
def test_what_is_understood(text, seconds):
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "s", "5x", "-1s", "1h 30", "five minutes", "1e3s", "99999999999999d"])
def test_what_is_refused(text):
    with pytest.raises(InvalidDuration):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**9))
def test_written_and_read_again(milliseconds):
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration)) == duration
