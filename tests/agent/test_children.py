"""Nothing of a run stays behind, however its processes try to."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from jupyter_flows.agent.children import MARKER_NAME, marked_processes, sweep

KEEPER = """
import os, subprocess, sys
from jupyter_flows.agent.children import sweep
from jupyter_flows.runtime.processes import adopt_orphans
adopt_orphans()
subprocess.run([sys.executable, "-c", sys.argv[1]], env={**os.environ, "JUPYTER_FLOWS_RUN": sys.argv[2]})
print(len(sweep(sys.argv[2], own_children=True)), flush=True)
"""

WAYS = {
    "a child": "import subprocess; subprocess.Popen(['sleep', '1000'])",
    "a session of its own": "import subprocess; subprocess.Popen(['sleep', '1000'], start_new_session=True)",
    "a daemon that forgot its environment": """
        import os
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execve('/bin/sleep', ['sleep', '1000'], {})
            os._exit(0)
        os.wait()
    """,
    "a process deaf to signals": """
        import subprocess, sys
        subprocess.Popen([sys.executable, '-c',
            'import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(1000)'],
            stdout=subprocess.PIPE).stdout.readline()
    """,
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="adoption is Linux's")
@pytest.mark.parametrize("way", list(WAYS))
def test_what_a_run_leaves_is_swept(way: str, tmp_path: Path) -> None:
    """Each way of escaping ends with no process left."""
    before = {process.pid for process in psutil.process_iter() if _is_sleep(process)}
    value = f"{tmp_path.name}:{os.getpid()}"
    done = subprocess.run(
        [sys.executable, "-c", KEEPER, textwrap.dedent(WAYS[way]), value],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert "1" == done.stdout.strip()
    assert [] == marked_processes(value)
    assert before >= {process.pid for process in psutil.process_iter() if _is_sleep(process)}


def test_another_runs_processes_are_left_alone() -> None:
    """The sweep of one run does not touch another."""
    other = subprocess.Popen(["sleep", "1000"], env={**os.environ, MARKER_NAME: "other:1"})
    try:
        assert [] == sweep("mine:1", own_children=False)
        assert other.poll() is None
        assert [other.pid] == marked_processes("other:1")
    finally:
        other.kill()
        other.wait()


def _is_sleep(process: psutil.Process) -> bool:
    try:
        return process.cmdline()[-2:] == ["sleep", "1000"]
    except psutil.Error:
        return False
