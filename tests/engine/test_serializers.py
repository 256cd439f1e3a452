"""Data frames as results, in the formats that pandas writes, Arrow's among them."""

from __future__ import annotations

import sys

import pandas as pd
import pytest

from jupyter_flows import Flow, task
from jupyter_flows.engine.results import LocalResult
from jupyter_flows.engine.serializers import CompressedSerializer, PandasSerializer

ROWS = {"a": [1, 2], "b": ["x", "y"]}
FORMATS = ["csv", "feather", "json", "orc", "parquet", "pickle", "stata"]


@pytest.mark.parametrize("file_type", FORMATS)
def test_a_frame_comes_back_from_its_target(file_type, tmp_path):
    """Written by one run, read by the next instead of calling the task."""
    calls = []
    kept = PandasSerializer(file_type, serialize_kwargs={"index": False} if file_type == "csv" else {})

    @task(result=LocalResult(str(tmp_path), serializer=CompressedSerializer(kept, "gzip")), target="rows")
    def rows():
        calls.append(1)
        return pd.DataFrame(ROWS)

    with Flow("frames") as flow:
        made = rows()
    for _ in range(2):
        found = flow.run(context={"checkpointing": True}).result[made]
        assert ROWS == found.result[["a", "b"]].to_dict("list"), found
    assert [1] == calls


def test_a_package_that_is_missing_is_named(tmp_path, monkeypatch):
    """The state of the task says what to install."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "fastparquet", None)
    kept = LocalResult(str(tmp_path), serializer=PandasSerializer("parquet"))

    @task(result=kept, target="rows")
    def rows():
        return pd.DataFrame(ROWS)

    with Flow("frames") as flow:
        made = rows()
    found = flow.run(context={"checkpointing": True}).result[made]
    assert found.is_failed()
    assert "a result as parquet needs a package that is not installed: pip install pyarrow" == found.message
