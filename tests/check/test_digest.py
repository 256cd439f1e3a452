"""Values that are equal look equal, in whatever process; values that differ do not; looking changes nothing."""

from __future__ import annotations

import collections
import datetime as dt
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jupyter_flows.check.digest import digest, masked, short

FRAME = pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=["p", "q"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (True, 1),
        ("a", b"a"),
        ([1, 2], [2, 1]),
        ([1, 2], (1, 2)),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({1}, frozenset({1})),
        (list(range(5000)), list(range(4999))),
        ([0] * 3000, [0] * 2999 + [1]),
        (np.zeros(3), np.zeros((3, 1))),
        (np.zeros(3), np.zeros(3, dtype=int)),
        (FRAME, FRAME.T),
        (FRAME, FRAME.rename(columns={"a": "c"})),
        (FRAME, FRAME.reset_index(drop=True)),
        (FRAME["a"], FRAME["a"].astype(float)),
        (pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-02")),
        (dt.date(2020, 1, 1), dt.date(2020, 1, 2)),
        (collections.Counter("ab"), collections.Counter("aa")),
        (collections.deque([1]), collections.deque([2])),
        (iter([1, 2]), iter([1])),
        (sum, max),
    ],
)
def test_different_values_look_different(one, other):
    assert digest(one) != digest(other)


def test_equal_values_look_equal_in_another_process_with_another_hash_seed():
    source = "({'a', 'b', 'c'}, {'k': [1, 2.5, None]}, object(), (lambda: 0).__class__, range(3), __import__('decimal').Decimal('1.50'))"
    code = f"from jupyter_flows.check.digest import digest; print(digest({source}))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(found) == 1


def test_looking_consumes_nothing_and_comes_to_an_end():
    numbers = iter([1, 2, 3])
    generator = (n for n in range(3))
    round_ = [1]
    round_.append(round_)
    deep: list = []
    for _ in range(5000):
        deep = [deep]
    assert [digest(value) for value in (numbers, generator, round_, deep)]
    assert ([1, 2, 3], [0, 1, 2]) == (list(numbers), list(generator))


def test_what_raises_when_looked_at_is_no_error():
    class Sly:
        def __repr__(self):
            raise RuntimeError

    assert "Sly" in digest(Sly())
    assert "Sly" == short(Sly())


def test_addresses_and_names_of_cells_files_do_not_count():
    assert (
        masked("<f at 0x7f00aa11> /tmp/ipykernel_12/34.py:3: UserWarning")
        == "<f at 0x…> In [*]:3: UserWarning"
    )
