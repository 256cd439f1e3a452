"""What a person types for parameters."""

from __future__ import annotations

import pytest

from jupyter_flows.core.parameter import read_values
from jupyter_flows.errors import InvalidParameters


def test_values_read_as_json_unless_the_default_is_text():
    typed = ["year=2014", "zip=0012", "city=New York", "flag=true", "url=a=b"]
    assert read_values(typed, defaults={"zip": "0000"}) == {
        "year": 2014,
        "zip": "0012",
        "city": "New York",
        "flag": True,
        "url": "a=b",
    }


@pytest.mark.parametrize("pair", ["city", "=Oslo", ""])
def test_a_pair_without_name_or_equals_is_refused(pair):
    with pytest.raises(InvalidParameters, match="is not NAME=VALUE"):
        read_values([pair])


@pytest.mark.parametrize(
    ("pair", "default", "sentence"),
    [
        ("year=abc", 2014, "parameter 'year' is a number (default 2014), not 'abc'"),
        ("big=maybe", False, "parameter 'big' is true or false (default false), not 'maybe'"),
        ("big=1", True, "parameter 'big' is true or false (default true), not '1'"),
    ],
)
def test_a_value_is_of_the_kind_of_its_default(pair, default, sentence):
    with pytest.raises(InvalidParameters) as caught:
        read_values([pair], defaults={pair.partition("=")[0]: default})
    assert sentence == str(caught.value)


def test_null_and_other_kinds_of_numbers_are_welcome():
    assert {"a": None, "b": 2.5} == read_values(["a=null", "b=2.5"], defaults={"a": True, "b": 1})
