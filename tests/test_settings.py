"""Settings come from the environment, else the file, else the default; nonsense is refused in a sentence."""

from __future__ import annotations

import pytest

from jupyter_flows.errors import InvalidSettings
from jupyter_flows.settings import load_settings


def test_environment_wins_over_the_file(tmp_path):
    (tmp_path / "settings.toml").write_text("port = 9000\nproject = 'etl'\n")
    settings = load_settings({"JUPYTER_FLOWS_HOME": str(tmp_path), "JUPYTER_FLOWS_PORT": "9001"})
    assert (settings.port, settings.project) == (9001, "etl")


def test_home_is_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_settings({"JUPYTER_FLOWS_HOME": "here"}).home == tmp_path / "here"


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"PORT": "eighty"}, "port is 'eighty'"),
        ({"LEASE_TTL_S": "12"}, "at least 5 x heartbeat_s"),
        ({"ENVIRONMENT_POLICY": "maybe"}, "use refuse, warn or ignore"),
        ({"BEHIND_PROXY": "perhaps"}, "behind_proxy is 'perhaps'"),
    ],
)
def test_nonsense_is_refused_in_a_sentence(tmp_path, environment, sentence):
    given = {"JUPYTER_FLOWS_" + name: value for name, value in environment.items()}
    with pytest.raises(InvalidSettings, match=sentence):
        load_settings({"JUPYTER_FLOWS_HOME": str(tmp_path), **given})


def test_unknown_setting_in_the_file_names_the_known_ones(tmp_path):
    (tmp_path / "settings.toml").write_text("prot = 1\n")
    with pytest.raises(InvalidSettings, match="unknown setting 'prot'; known are .*port"):
        load_settings({"JUPYTER_FLOWS_HOME": str(tmp_path)})
