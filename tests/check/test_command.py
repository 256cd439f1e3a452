"""``jupyter flows check`` as it is typed: exit codes, JSON, one sentence for a mistake, nothing left when stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from jupyter_flows.cli import run_command
from tests.check.test_check import THROUGH_A_MODULE
from tests.registering.conftest import notebook


def typed(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "jupyter_flows", "check", *arguments],
        cwd=cwd, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def told(file: Path, by: subprocess.Popen[str]) -> str:
    """What the process wrote as a line; one that ends before fails with its own words."""
    while not file.exists() or not file.read_text().endswith("\n"):
        assert by.poll() is None, by.communicate()
        time.sleep(0.05)
    return file.read_text()


def test_a_right_graph_ends_with_0(tmp_path):
    notebook(tmp_path / "a.ipynb", "%%task one\nx = 1", "%%task two\ny = x + 1")
    done = typed("a.ipynb", cwd=tmp_path)
    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout == (
        "The graph holds: 2 cells from top to bottom, alone with what the graph gives them in 2 shuffled orders, "
        "and with each of 1 left out; no cell differs.\n"
    )


def test_a_missing_edge_ends_with_1_and_is_in_the_json(tmp_path):
    notebook(tmp_path / "a.ipynb", *THROUGH_A_MODULE)
    done = typed("a.ipynb", "--json", "--runs", "1", "--seed", "5", "--budget", "10s", cwd=tmp_path)
    assert (1, "") == (done.returncode, done.stderr)
    report = json.loads(done.stdout)
    assert (False, 1, 5) == (report["holds"], report["runs"], report["seed"])
    (found,) = report["differences"]
    assert ({"index": 4, "name": "get"}, {"index": 2, "name": "put"}) == (found["cell"], found["source"])
    assert "missing edge" == found["kind"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gone.ipynb"], "there is no such file"),
        (["a.ipynb", "--kernel", "gone"], "kernel 'gone' is not installed"),
        (["a.ipynb", "--budget", "soon"], "'soon' is not a duration"),
        (["a.ipynb", "--runs", "0"], "--runs"),
    ],
)
def test_what_cannot_be_checked_ends_with_2(tmp_path, monkeypatch, capsys, arguments, words):
    notebook(tmp_path / "a.ipynb", "%%task one\nx = 1")
    monkeypatch.chdir(tmp_path)
    assert 2 == run_command(["check", *arguments])
    said = capsys.readouterr()
    assert ("", True) == (said.out, words in said.err)
    assert "Traceback" not in said.err


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_process_and_no_directory(tmp_path, how):
    """The cell says when it runs, by a file; then the check is interrupted as by Ctrl+C."""
    sign = tmp_path / "sign"
    sign.mkdir()
    notebook(
        tmp_path / "a.ipynb",
        f"%%task slow\nimport subprocess, time\nchild = subprocess.Popen(['sleep', '300'])\n"
        f"open({str(sign / 'now')!r}, 'w').write(f'{{child.pid}}\\n')\ntime.sleep(300)",
    )
    (tmp_path / "tmp").mkdir()
    running = subprocess.Popen(
        [sys.executable, "-m", "jupyter_flows", "check", "a.ipynb"],
        cwd=tmp_path, env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    sleeper = int(told(sign / "now", running))
    below = [psutil.Process(sleeper), *psutil.Process(running.pid).children(recursive=True)]
    running.send_signal(how)
    out, err = running.communicate(timeout=30)
    assert (130, "") == (running.returncode, out), err
    assert "Traceback" not in err
    gone, alive = psutil.wait_procs(below, timeout=10)
    assert [] == alive
    assert [] == list((tmp_path / "tmp").iterdir())
