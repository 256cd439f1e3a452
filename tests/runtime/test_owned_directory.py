"""Temporary directories of runs that were killed are removed by the next; those of the living are not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from jupyter_flows.runtime.owned_directory import PROCESS, OwnedDirectory, note_process, remove_abandoned

_MAKE = """
import os, subprocess, sys
from pathlib import Path
from jupyter_flows.runtime.owned_directory import OwnedDirectory, note_process
path = OwnedDirectory(place=Path(sys.argv[1])).path
(path / "values").write_text("much")
(path / "kernel").mkdir()
left = subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL)
note_process(path / "kernel", left.pid)
print(path, left.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def owner(tmp_path: Path):
    """Another process with a directory of its own, and a child that it has noted there."""
    process = subprocess.Popen(
        [sys.executable, "-c", _MAKE, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    path, left = process.stdout.readline().split()
    yield process, Path(path), psutil.Process(int(left))
    process.kill()
    process.communicate()
    remove_abandoned([tmp_path])


def test_the_directory_of_a_killed_process_is_removed_with_its_kernels(owner, tmp_path: Path) -> None:
    process, path, left = owner
    process.kill()
    process.wait()
    assert path.is_dir()
    assert left.is_running()
    assert [path] == remove_abandoned([tmp_path])
    assert [] == list(tmp_path.iterdir())
    left.wait(5)


def test_the_directory_of_a_living_process_stays(owner, tmp_path: Path) -> None:
    _, path, left = owner
    assert [] == remove_abandoned([tmp_path])
    assert "much" == (path / "values").read_text()
    assert left.is_running()


def test_a_process_that_took_over_the_number_lives(owner, tmp_path: Path) -> None:
    """A pid alone names nobody: it must have started when the noted one did."""
    process, path, left = owner
    (path / "kernel" / PROCESS).write_text(f"{left.pid} 1")
    process.kill()
    process.wait()
    assert [path] == remove_abandoned([tmp_path])
    assert left.is_running()
    left.kill()


def test_what_others_made_stays(tmp_path: Path) -> None:
    """A directory without a lock of ours, a file of such a name, a link to a directory that has one."""
    (tmp_path / "jupyter-flows-mine").mkdir()
    (tmp_path / "jupyter-flows-file").touch()
    elsewhere = tmp_path / "else"
    elsewhere.mkdir()
    (elsewhere / "owner.lock").touch()
    (tmp_path / "jupyter-flows-link").symlink_to(elsewhere)
    assert [] == remove_abandoned([tmp_path, tmp_path / "missing"])
    assert 4 == len(list(tmp_path.iterdir()))


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a directory to another user needs root")
def test_another_users_directory_stays(tmp_path: Path) -> None:
    there = tmp_path / "jupyter-flows-theirs"
    there.mkdir()
    (there / "owner.lock").touch()
    os.chown(there, 12345, 12345)
    assert [] == remove_abandoned([tmp_path])
    os.chown(there, os.geteuid(), os.getegid())
    assert [there] == remove_abandoned([tmp_path])


def test_its_end_removes_it(tmp_path: Path) -> None:
    with OwnedDirectory(prefix="check-", place=tmp_path) as path:
        assert path.name.startswith("jupyter-flows-check-")
        note_process(path, os.getpid())
        assert [] == remove_abandoned([tmp_path])
    assert [] == list(tmp_path.iterdir())
