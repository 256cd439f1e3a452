"""Run configs travel as references and come back the same; mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_flows.errors import InvalidLabel, InvalidOption, UnknownKind
from jupyter_flows.run_configs import LocalRun, RunConfig, UniversalRun, run_config_from_ref
from jupyter_flows.schema.base import check
from jupyter_flows.schema.refs import RunConfigRef

KINDS: list[RunConfig] = [
    UniversalRun(),
    UniversalRun(env={"A": "b=c", "EMPTY": ""}, labels=["z", "a", "a"]),
    LocalRun(),
    LocalRun(env={"X": "1"}, labels=["x"], working_dir="/srv", kernel_name="ir"),
]


@pytest.mark.parametrize("config", KINDS, ids=repr)
def test_reference_and_back(config: RunConfig) -> None:
    """The server's limits hold, and nothing is lost."""
    assert config == run_config_from_ref(check(config.to_ref()))


def test_plan_adds_the_environment_on_top(tmp_path: Path) -> None:
    plan = UniversalRun(env={"A": "new"}).plan(environ={"A": "old", "B": "kept"}, run_directory=tmp_path)
    assert {"A": "new", "B": "kept"} == plan.env
    assert str(tmp_path) == plan.cwd


def test_working_directory_must_exist(tmp_path: Path) -> None:
    config = LocalRun(working_dir=str(tmp_path / "absent"))
    with pytest.raises(InvalidOption, match="is no directory on this machine"):
        config.plan(environ={}, run_directory=tmp_path)


@pytest.mark.parametrize("kind", ["no_such", "base", "../x", "os"])
def test_unknown_kind_names_the_known(kind: str) -> None:
    with pytest.raises(UnknownKind, match="known are local and universal"):
        run_config_from_ref(RunConfigRef(kind=kind))


def test_unknown_option_is_named() -> None:
    with pytest.raises(InvalidOption, match="no option 'image'"):
        run_config_from_ref(RunConfigRef(kind="universal", options={"image": "x"}))


def test_labels_are_words() -> None:
    with pytest.raises(InvalidLabel, match="'a b'"):
        UniversalRun(labels=["a b"])
    with pytest.raises(InvalidLabel, match="one string"):
        UniversalRun(labels="prod")
