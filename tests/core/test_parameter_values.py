"""What a person types for parameters."""

from __future__ import annotations

import pytest

from jupyter_flows.core.parameter import read_values
from jupyter_flows.errors import InvalidParameters


def test_values_read_as_json_unless_the_default_is_text():
    typed = ["year=2014", "zip=0012", "city=New York", "flag=true", "url=a=b"]
    assert read_values(typed, text_names={"zip"}) == {
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
