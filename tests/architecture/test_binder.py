"""The binder folder as repo2docker reads it. No image is built here: its base would come over the network."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
BINDER = REPOSITORY / "binder"


@pytest.mark.parametrize("script", ["postBuild", "start"])
def test_scripts_are_executable_bash(script: str) -> None:
    """repo2docker executes both; a script that does not parse breaks the image."""
    assert os.access(BINDER / script, os.X_OK)
    parsed = subprocess.run(["bash", "-n", str(BINDER / script)], capture_output=True, text=True, check=False)
    assert (parsed.returncode, parsed.stderr) == (0, "")


def test_start_hands_over_to_the_command_it_was_given() -> None:
    """Without the exec there is no JupyterLab in the container."""
    assert (BINDER / "start").read_text("utf-8").rstrip().endswith('exec "$@"')


@pytest.mark.skipif(
    shutil.which("jupyter-repo2docker") is None, reason="jupyter-repo2docker is not installed"
)
def test_repo2docker_takes_every_part() -> None:
    """The Dockerfile it prints runs postBuild and start, and installs the packages of apt.txt."""
    printed = subprocess.run(
        ["jupyter-repo2docker", "--no-build", "--debug", str(REPOSITORY)],
        capture_output=True,
        text=True,
        check=True,
    )
    dockerfile = printed.stdout + printed.stderr
    assert "./binder/postBuild" in dockerfile
    assert "binder/start" in dockerfile
    assert all(package in dockerfile for package in (BINDER / "apt.txt").read_text("utf-8").split())
