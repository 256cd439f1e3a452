"""The command line as its users meet it before they have a server: help, near misses, parameters."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from jupyter_flows.cli import COMMANDS, present, run_command


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name, capsys):
    """Each command of the table exists and explains itself."""
    assert run_command([name, "--help"]) == 0
    assert "Usage: jupyter flows " + name in capsys.readouterr().out


def test_near_miss_names_the_command(capsys):
    assert run_command(["regster"]) == 2
    assert "did you mean 'register'?" in capsys.readouterr().err


def test_jupyter_finds_the_command():
    """``jupyter flows`` is an executable beside ``jupyter``."""
    done = subprocess.run(
        [sys.executable, "-m", "jupyter", "flows", "--help"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "register" in done.stdout


def test_control_characters_are_shown_not_obeyed():
    assert present.safe("a\x1b[2Jb\u202ec") == "a\\x1b[2Jb\\u202ec"


def test_moments_say_how_far_they_are():
    soon = datetime.now(UTC) + timedelta(seconds=125)
    assert "(in 2 m 0" in present.moment(soon)
    assert present.moment(None) == ""
