"""Spare crews: a run that finds one starts at once, and gets what a fresh one would have given."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import psutil
import pytest

from jupyter_flows.run_configs import LocalRun
from tests.agent.conftest import Crew, World

pytestmark = pytest.mark.parametrize("world", ["warm"], indirect=True)

SEEN = """
import builtins, json, os, sys
seen = {
    "pid": os.getpid(),
    "builtin": hasattr(builtins, "leaked"),
    "module": "leaked" in sys.modules,
    "variable": os.environ.get("LEAKED"),
    "names": sorted(n for n in globals() if n.startswith(("leak", "spare", "names", "load", "adopt"))),
    "cwd": os.getcwd(),
    "run": os.environ["JUPYTER_FLOWS_RUN_ID"],
    "path": sys.path[0],
    "history": [str(place) for place in _dh],
    "count": get_ipython().execution_count,
    "loaded": "colorsys" in sys.modules,
}
open(DIRECTORY + "/" + seen["run"] + ".json", "w").write(json.dumps(seen))
builtins.leaked = sys.modules["leaked"] = leaked = builtins
os.environ["LEAKED"] = "yes"
os.chdir("/")
"""


def seeing(world: World, extra: str = "") -> str:
    """A cell that notes what it finds, then spoils all of it."""
    return extra + SEEN.replace("DIRECTORY", repr(str(world.directory)))


def seen(world: World, run_id: str) -> dict:
    """What the cell of a run noted."""
    return json.loads((world.directory / f"{run_id}.json").read_text())


def _but_for(found: dict, run_id: str) -> dict:
    """What was found, without what differs between any two runs."""
    own = {name: value for name, value in found.items() if name not in {"pid", "run", "cwd", "history"}}
    return {**own, "in its own directory": [found["cwd"]] == found["history"] and run_id in found["cwd"]}


def gone(world: World, crew: Crew, processes: dict[str, psutil.Process]) -> None:
    """Wait until nothing is left of a crew."""
    world.until(lambda: not any(process.is_running() for process in processes.values()), "the crew to go")
    assert [] == world.orphans()
    world.until(lambda: not crew.directory.exists(), "its files to go")


def test_a_kernel_that_ran_code_is_never_used_again(world: World) -> None:
    """Two runs have the two kernels that were ready, and the second sees nothing of the first."""
    world.register(seeing(world))
    world.warm = False
    cold = world.start_agent(JUPYTER_FLOWS_SPARES="0")
    first = world.wait(world.run())
    fresh = seen(world, first.id)
    assert {"builtin": False, "module": False, "variable": None, "names": []} == {
        name: fresh[name] for name in ("builtin", "module", "variable", "names")
    }
    cold.send_signal(signal.SIGTERM)
    cold.wait(timeout=20)
    world.warm = True
    world.start_agent()
    pids = []
    for _ in range(2):
        crew = world.crew()
        pids.append(crew.kernel_pid)
        run = world.wait(world.run())
        assert "Success" == run.state.type, run.state.message
        assert "kernel python3 was ready" in world.log_of(run)
        found = seen(world, run.id)
        assert crew.kernel_pid == found["pid"]
        assert _but_for(fresh, first.id) == _but_for(found, run.id)
        world.none_left(run)
    assert pids[0] != pids[1]


def test_what_the_last_flow_imports_is_imported_ahead(world: World) -> None:
    """The next kernel has the module, the notebook's names do not, and no code of the user's has run."""
    mine = world.directory / "mine.py"
    mine.write_text(f"open({str(world.directory / 'imported')!r}, 'w')")
    config = LocalRun(working_dir=str(world.directory)).to_ref()
    world.register("import colorsys, mine", name="plain", run_config=config)
    world.start_agent()
    assert [] == world.crew().modules
    world.wait(world.run("plain"))
    (world.directory / "imported").unlink()
    world.until(lambda: world.crew().modules == ["colorsys"], "a crew with the module")
    assert not (world.directory / "imported").exists()
    run = world.wait(world.run("plain"))
    assert "Success" == run.state.type
    assert "kernel python3 was ready" in world.log_of(run)


@pytest.mark.parametrize(
    ("env", "code", "expected", "ready"),
    [
        ({"MY_FLAG": "1"}, "os.environ['MY_FLAG']", "'1'", True),
        ({"PYTHONHASHSEED": "0"}, "sys.flags.hash_randomization", "0", False),
        ({"OMP_NUM_THREADS": "3"}, "os.environ['OMP_NUM_THREADS']", "'3'", False),
        ({"PYTHONPATH": "/nowhere"}, "'/nowhere' in sys.path", "True", False),
    ],
)
def test_variables_of_a_run(world: World, env: dict, code: str, expected: str, ready: bool) -> None:  # noqa: FBT001
    """What can be set in a kernel that runs is set; what counts at its start gets a fresh one."""
    if "PYTHONPATH" in env:
        env = {"PYTHONPATH": os.pathsep.join([env["PYTHONPATH"], os.environ.get("PYTHONPATH", "")])}
    out = world.directory / "out"
    world.register(
        f"import os, sys\nopen({str(out)!r}, 'w').write(repr({code}))", run_config=LocalRun(env=env).to_ref()
    )
    world.start_agent()
    run = world.wait(world.run())
    assert "Success" == run.state.type, run.state.message
    assert expected == out.read_text()
    assert ready is ("was ready" in world.log_of(run))
    world.none_left(run)


def test_a_file_of_the_users_is_found_before_what_was_imported_ahead(world: World) -> None:
    """A cronsim.py beside the notebook comes before the installed one, as in a fresh kernel."""
    world.register("import cronsim", name="plain")
    world.start_agent()
    world.wait(world.run("plain"))
    world.until(lambda: world.crew().modules == ["cronsim"], "a crew with the module")
    own = world.directory / "own"
    own.mkdir()
    (own / "cronsim.py").write_text("MINE = True")
    out = world.directory / "out"
    world.register(
        f"import cronsim\nopen({str(out)!r}, 'w').write(repr(cronsim.MINE))",
        run_config=LocalRun(working_dir=str(own)).to_ref(),
    )
    run = world.wait(world.run())
    assert "Success" == run.state.type, run.state.message
    assert "True" == out.read_text()
    assert f"not used: {own} has a cronsim of its own" in world.log_of(run)


def test_another_kernel_is_started_afresh(world: World) -> None:
    """A run that wants a kernel that did not wait gets it, and says why it took longer."""
    specs = world.directory / "data" / "kernels" / "other"
    specs.mkdir(parents=True)
    (specs / "kernel.json").write_text(
        json.dumps(
            {
                "argv": ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                "display_name": "Other",
                "language": "python",
            }
        )
    )
    world.register(seeing(world), kernel="other")
    world.start_agent(JUPYTER_PATH=str(world.directory / "data"))
    run = world.wait(world.run())
    assert "Success" == run.state.type, run.state.message
    assert "not used: it is a kernel python3" in world.log_of(run)
    world.none_left(run)
    world.until(lambda: '"other"' in (world.crew().directory / "ready.json").read_text(), "one of it")
    again = world.wait(world.run())
    assert "kernel other was ready" in world.log_of(again)


def test_an_agent_that_is_killed_leaves_no_crew(world: World) -> None:
    """kill -9 of the agent ends its spare crew."""
    agent = world.start_agent()
    crew = world.crew()
    processes = crew.processes
    agent.kill()
    agent.wait()
    gone(world, crew, processes)


def test_agent_and_keeper_killed_together_leave_no_process(world: World) -> None:
    """The crew dies with its keeper; its files are removed by the next agent."""
    agent = world.start_agent()
    crew = world.crew()
    processes = crew.processes
    os.kill(agent.pid, signal.SIGSTOP)
    processes["keeper"].kill()
    agent.kill()
    agent.wait()
    world.until(lambda: not any(process.is_running() for process in processes.values()), "the crew to go")
    assert crew.directory.exists()
    world.start_agent()
    world.until(lambda: not crew.directory.exists(), "its files to go")


def test_an_agent_that_stops_takes_its_crew_along(world: World) -> None:
    """SIGTERM: when the agent has ended, nothing of its crew is left."""
    agent = world.start_agent()
    crew = world.crew()
    processes = crew.processes
    agent.send_signal(signal.SIGTERM)
    assert 0 == agent.wait(timeout=20)
    assert not any(process.is_running() for process in processes.values())
    assert not crew.directory.exists()


@pytest.mark.parametrize("who", ["keeper", "run", "kernel"])
def test_a_crew_that_is_killed_costs_no_run(world: World, who: str) -> None:
    """Whoever of it dies, the run that comes then succeeds, and another crew is made."""
    world.register(seeing(world))
    world.start_agent()
    crew = world.crew()
    crew.processes[who].kill()
    run = world.wait(world.run())
    assert "Success" == run.state.type, run.state.message
    world.none_left(run)
    assert world.crew().kernel_pid != crew.kernel_pid


def test_a_run_that_was_not_heard_of_gets_a_fresh_process(world: World) -> None:
    """The waiting process dies with its order unread: nothing has begun, so the run begins elsewhere."""
    world.register(seeing(world))
    world.start_agent()
    waiting = world.crew().processes["run"]
    waiting.suspend()
    run = world.run()
    # Its log is the run's from the moment on that the order is written.
    world.until((world.home / "runs" / run.id / "process.log").exists, "the run to be handed over")
    waiting.kill()
    run = world.wait(run)
    assert "Success" == run.state.type, run.state.message
    world.none_left(run)


def test_idle_crews_give_their_memory_back(world: World) -> None:
    """With no run for long there is no crew; the next run does without, and then there is one again."""
    world.register(seeing(world))
    world.environ["JUPYTER_FLOWS_SPARE_IDLE_S"] = "15"
    world.start_agent()
    crew = world.crew()
    gone(world, crew, crew.processes)
    world.until(lambda: "memory of the spare is given back" in world.agent_log(), "the agent to say so")
    run = world.wait(world.run())
    assert "Success" == run.state.type
    assert "kernel python3 started" in world.log_of(run)
    assert world.crew().directory != crew.directory


def test_an_installed_package_makes_another_crew(world: World) -> None:
    """A crew that was started before something was installed is not used."""
    packages = world.directory / "site-packages"
    packages.mkdir()
    world.start_agent("-p", str(packages))
    crew = world.crew()
    world.register("import new_package")
    (packages / "new_package.py").write_text("")
    run = world.wait(world.run())
    assert "Success" == run.state.type, run.state.message
    assert "was ready" not in world.log_of(run)
    assert world.crew().directory != crew.directory


def test_no_spares_are_made_if_none_are_wanted(world: World) -> None:
    """With spares = 0 a run starts afresh, and nothing waits."""
    world.warm = False
    world.register("1")
    world.start_agent(JUPYTER_FLOWS_SPARES="0")
    run = world.wait(world.run())
    assert "kernel python3 started" in world.log_of(run)
    assert not (world.home / "spares").exists()


def test_up_has_a_crew_too(world: World) -> None:
    """``jupyter flows up`` keeps one ready, and its first run finds it."""
    import subprocess
    import sys

    world.stop_server()
    up = subprocess.Popen(
        [sys.executable, "-m", "jupyter_flows", "up", "--port", "0"],
        env=world.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        world.crew()
        world.register("1")
        run = world.wait(world.run())
        assert "kernel python3 was ready" in world.log_of(run)
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(timeout=30)
    world.until(lambda: not list(Path(world.home, "spares").glob("*")), "its crew to go")
    world.start_server()
