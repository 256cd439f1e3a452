"""Flows written for Prefect 1 run here when their import lines name jupyter_flows.

Each file in ``flows/`` was run under Prefect 1.4.1 by ``record.py``; what came out is in ``expected/``: the state
and result of every task and mapped child, the flow's final state and message, and what the file itself noted. Here
the same file runs with its import lines changed, and has to give the same, but for what its ``DIFFERS`` lists.

With JUPYTER_FLOWS_PREFECT1_PYTHON set to a Python that has Prefect 1.4.1, the records are made again and compared.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_flows.registering.pickling import pickle_flow
from jupyter_flows.settings import Settings
from tests.porting.observe import differences, load, observe

HERE = Path(__file__).parent
FLOWS = sorted((HERE / "flows").glob("*.py"))
NAMES = [path.stem for path in FLOWS]
PREFECT1_PYTHON = os.environ.get("JUPYTER_FLOWS_PREFECT1_PYTHON")  # before the suite's fixtures clear it


def expected(name: str) -> Any:
    return json.loads((HERE / "expected" / f"{name}.json").read_text("utf-8"))


def skips_without_signals(record: Any) -> Any:
    """The one difference that is everywhere: a skipped task has no result here, there it had its SKIP signal."""
    if isinstance(record, list):
        return [skips_without_signals(item) for item in record]
    if not isinstance(record, dict):
        return record
    if record == {"state": "Skipped", "result": {"exception": "SKIP"}}:
        return {"state": "Skipped", "result": None}
    return {key: skips_without_signals(item) for key, item in record.items()}


def as_json(record: Any) -> Any:
    return json.loads(json.dumps(record))


@pytest.fixture
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Settings) -> Iterator[None]:
    """An empty current directory: the flows keep results in it."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield
    for name in [name for name in sys.modules if name.startswith("ported_")]:
        del sys.modules[name]


@pytest.mark.parametrize("path", FLOWS, ids=NAMES)
def test_a_flow_ports_by_its_import_lines(path: Path, somewhere: None) -> None:
    """States and results are Prefect 1's, except for the differences that the file lists, which are there."""
    ours = as_json(observe(path, "jupyter_flows"))
    listed = getattr(load(path, "jupyter_flows"), "DIFFERS", {})
    meant = {where: (theirs, own) for where, (theirs, own, _why) in listed.items()}
    theirs = skips_without_signals(expected(path.stem))
    assert differences(theirs, ours) == as_pairs(meant)


def as_pairs(meant: dict[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
    return {where: (as_json(theirs), as_json(ours)) for where, (theirs, ours) in meant.items()}


def test_a_skipped_task_has_no_result() -> None:
    """What is forgiven everywhere is there: Prefect 1 gives the signal as the skipped task's result."""
    tasks = expected("conditional_case")["runs"][0]["tasks"]
    assert tasks["case(False)-1"] == {"state": "Skipped", "result": {"exception": "SKIP"}}
    assert skips_without_signals(tasks)["case(False)-1"] == {"state": "Skipped", "result": None}


def test_each_difference_has_a_reason(somewhere: None) -> None:
    """A listed difference differs, and says why in a sentence."""
    for path in FLOWS:
        for where, (theirs, ours, why) in getattr(load(path, "jupyter_flows"), "DIFFERS", {}).items():
            assert theirs != ours, (path.stem, where)
            assert len(why.split()) >= 4, (path.stem, where)


@pytest.mark.parametrize("path", FLOWS, ids=NAMES)
def test_a_ported_flow_can_be_registered(path: Path, somewhere: None) -> None:
    """What is sent of it to a server has every task, and the code can be pickled and loaded."""
    module = load(path, "jupyter_flows")
    spec = module.flow.serialize()
    assert [task["slug"] for task in spec["tasks"]] == list(module.flow.slugs.values())
    loaded = pickle.loads(pickle_flow(module.flow, by_value=(module,)))
    assert list(loaded.slugs.values()) == list(module.flow.slugs.values())


def test_each_flow_has_its_record() -> None:
    """No flow without a record of Prefect 1, no record without a flow."""
    assert NAMES == sorted(path.stem for path in (HERE / "expected").glob("*.json"))
    assert len(NAMES) >= 28


def test_only_import_lines_name_the_package() -> None:
    """What a person changes when porting is the import lines: nothing else in the files says jupyter_flows."""
    for path in FLOWS:
        before_differences = path.read_text("utf-8").split("\nDIFFERS")[0]
        assert "jupyter_flows" not in before_differences, path.stem


@pytest.fixture(scope="session")
def live() -> dict[str, Any]:
    assert PREFECT1_PYTHON is not None
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
    command = [PREFECT1_PYTHON, str(HERE / "record.py"), "--print"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=250)
    records: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return records


if PREFECT1_PYTHON is not None:

    @pytest.mark.parametrize("name", NAMES)
    def test_the_record_is_what_prefect_1_does(name: str, live: dict[str, Any]) -> None:
        """Prefect 1.4.1, here and now, gives the committed record."""
        assert differences(expected(name), live[name]) == {}
