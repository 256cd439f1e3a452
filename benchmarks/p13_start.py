"""P13: what an import, ``%load_ext``, an agent and a keeper cost; beside Prefect 1's import and agent."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil
from p07_start import connected, process
from peers import measured, median, options, peer_python, ratio

ROUNDS = 7

IMPORT = """
import json, sys, time
began = time.perf_counter()
__import__(sys.argv[1])
print(json.dumps([time.perf_counter() - began]))
"""

LOAD_EXT = """
import json, time
import ipykernel.ipkernel, ipykernel.zmqshell
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
began = time.perf_counter()
shell.run_line_magic("load_ext", "jupyter_flows")
print(json.dumps([time.perf_counter() - began]))
"""

SLEEPS = """
import time
from jupyter_flows import Flow, task
@task
def sleep():
    time.sleep(60)
with Flow("sleeps") as flow:
    sleep()
"""

PEER_AGENT = """
import json, resource
from prefect.agent.local import LocalAgent
LocalAgent(labels=["bench"])
print(json.dumps([resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))
"""


def repeatedly(python: str | None, program: str, *arguments: str) -> float | None:
    """Return the median of several fresh processes."""
    figures = [measured(python, program, *arguments) for _ in range(ROUNDS if python else 0)]
    return median([figure[0] for figure in figures if figure])


def resident(watched: psutil.Process) -> int:
    """Return what a process occupies, in bytes."""
    return int(watched.memory_info().rss)


def agent_and_keeper() -> tuple[float, float]:
    """Return the bytes of an agent, and of a keeper whose run is under way."""
    from jupyter_flows.registering import register_script

    with tempfile.TemporaryDirectory() as name:
        home, script = Path(name) / "home", Path(name) / "sleeps.py"
        script.write_text(SLEEPS, "utf-8")
        os.environ["JUPYTER_FLOWS_HOME"] = str(home)
        with process("server", "start", "--port", "0", home=home):
            api = connected(home, agents=0)
            with process("agent", "start", home=home):
                connected(home, agents=1)
                run = api.create_run(register_script(script, api=api).flow_name)
                agent = keeper = None
                while keeper is None:
                    time.sleep(0.1)
                    agent, keeper = _find()
                for event in api.events(run=run.id, after=0):
                    if getattr(getattr(event.body, "run", None), "state", None) and (
                        event.body.run.state.type == "Running"  # type: ignore[union-attr]
                    ):
                        break
                assert agent is not None
                figures = [(resident(agent), resident(keeper)) for _ in range(5) if not time.sleep(0.2)]  # type: ignore[func-returns-value]
                api.cancel_run(run.id)
    return statistics.median(a for a, _ in figures), statistics.median(k for _, k in figures)


def _find() -> tuple[psutil.Process | None, psutil.Process | None]:
    """Return the agent's process and its keeper's, among our own descendants."""
    agent = keeper = None
    for child in psutil.Process().children(recursive=True):
        line = child.cmdline()
        if "jupyter_flows.agent.keeper" in line:
            keeper = child
        elif "jupyter_flows" in line and "agent" in line:
            agent = child
    return agent, keeper


def main() -> None:
    """Print the table."""
    python = peer_python(options(__doc__).parse_args())
    own, theirs = (
        repeatedly(sys.executable, IMPORT, "jupyter_flows"),
        repeatedly(python, IMPORT, "prefect"),
    )
    loaded = repeatedly(sys.executable, LOAD_EXT)
    if own is None or loaded is None:
        sys.exit(1)
    told = "-" if theirs is None else f"{theirs * 1e3:.0f} ms"
    print(
        f"P13 import: ours {own * 1e3:.1f} ms (promise: <= 15) · prefect 1.4.1 {told}{ratio(theirs, own)}\n"
        f"    %load_ext in a kernel: {loaded * 1e3:.1f} ms (promise: <= 40)"
    )
    agent, keeper = agent_and_keeper()
    peer = median(measured(python, PEER_AGENT))
    told = "-" if peer is None else f"{peer / 1e6:.0f} MB"
    print(
        f"    agent: ours {agent / 1e6:.0f} MB (promise: <= 45) · Prefect 1.4.1 {told}{ratio(peer, agent)}\n"
        f"    keeper of a run: {keeper / 1e6:.0f} MB (promise: <= 30)"
    )


if __name__ == "__main__":
    main()
