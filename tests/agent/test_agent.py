"""Real agents, keepers, run processes and kernels: what happens when things die, and what is told."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.agent.conftest import World, waits_for

pytestmark = pytest.mark.parametrize("world", ["cold", "warm"], indirect=True)


def test_a_notebook_runs_headless(world: World) -> None:
    """States arrive per task, the executed notebook is reported, nothing is left behind."""
    world.register("%%task one\nx = 1", "%%task two\nprint(x + 1)")
    world.start_agent()
    run = world.wait(world.run())
    assert "Success" == run.state.type, run.state.message
    assert {"one": "Success", "two": "Success"} == _by_name(world, run)
    assert run.result is not None
    executed = json.loads(Path(run.result.location).read_text())
    assert "2\n" in str(executed["cells"][-1]["outputs"]).replace("\\n", "\n")
    assert "Success" in executed["cells"][0]["source"]
    world.none_left(run)


def _by_name(world: World, run) -> dict[str, str]:
    return {task.name: task.state.type for task in world.api.list_task_runs(run.id)}


def test_a_failed_task_fails_the_run_and_spares_other_branches(world: World) -> None:
    """Dependents of a failed cell are not run; a branch beside it is."""
    world.register("%%task bad\ny = 1 / 0", "%%task after\nprint(y)", "%%task beside\nz = 1")
    world.start_agent()
    run = world.wait(world.run())
    assert "Failed" == run.state.type
    assert {"bad": "Failed", "after": "TriggerFailed", "beside": "Success"} == _by_name(world, run)
    messages = {task.name: task.state.message for task in world.api.list_task_runs(run.id)}
    assert "ZeroDivisionError in cell bad, line 2" == messages["bad"]
    trace = (world.home / "runs" / run.id / "traceback.txt").read_text()
    assert "division by zero" in trace


def test_agent_killed_run_goes_on(world: World) -> None:
    """kill -9 of the agent hurts no run, and a new agent leaves it alone (A1)."""
    go = world.directory / "go"
    world.register(waits_for(go, world.directory / "seen"))
    agent = world.start_agent()
    run = world.run()
    world.touched("seen")
    agent.kill()
    agent.wait()
    world.start_agent()
    world.until(lambda: "waits for runs" in world.agent_log(1), "the new agent")
    go.touch()
    done = world.wait(run)
    assert "Success" == done.state.type, done.state.message
    assert 1 == done.attempt
    world.none_left(run)


def test_keeper_killed_is_told_at_once(world: World) -> None:
    """The run dies with its keeper, is swept, and fails with the reason, long before its lease ends (A2)."""
    world.register(waits_for(world.directory / "never", world.directory / "seen"))
    world.start_agent()
    run = world.run()
    world.touched("seen")
    world.keeper_of(run).kill()
    began = time.monotonic()
    done = world.wait(run)
    assert "Failed" == done.state.type
    assert "supervisor was killed (killed by signal 9)" in done.state.message
    assert time.monotonic() - began < 3.5
    world.none_left(run)


def test_everything_killed_is_found_by_the_next_agent(world: World) -> None:
    """Agent, keeper and run killed together: the next agent sweeps the kernel and tells the end (A3)."""
    world.register(waits_for(world.directory / "never", world.directory / "seen"))
    agent = world.start_agent()
    run = world.run()
    world.touched("seen")
    agent.kill()
    agent.wait()
    world.keeper_of(run).kill()
    world.start_agent()
    done = world.wait(run)
    assert "Failed" == done.state.type
    world.none_left(run)


@pytest.mark.parametrize(
    "body",
    [
        "time.sleep(1000)",
        "while True: pass",
        "import ctypes; ctypes.PyDLL(None).sleep(1000)",
        "while True:\n    try:\n        time.sleep(1)\n    except KeyboardInterrupt:\n        pass",
    ],
    ids=["sleeping", "looping", "holding the GIL in C", "deaf to interrupts"],
)
def test_cancel_ends_any_cell(world: World, body: str) -> None:
    """Whatever a cell does, a cancel ends it, and nothing stays (A17)."""
    seen = world.directory / "seen"
    world.register(f"import pathlib, time\npathlib.Path({str(seen)!r}).touch()\n{body}")
    world.start_agent()
    run = world.run()
    world.touched("seen")
    world.api.cancel_run(run.id)
    done = world.wait(run)
    assert "Cancelled" == done.state.type
    world.none_left(run)


def test_agent_told_to_stop_lets_runs_finish(world: World) -> None:
    """SIGTERM: no new runs, a short one finishes, exit code 0, no traceback (A15)."""
    go = world.directory / "go"
    world.register(waits_for(go, world.directory / "seen"))
    agent = world.start_agent(JUPYTER_FLOWS_AGENT_GRACE_S="30")
    run = world.run()
    world.touched("seen")
    agent.send_signal(signal.SIGTERM)
    world.until(lambda: "still under way" in world.agent_log(), "the agent to hear it")
    later = world.run()
    go.touch()
    assert "Success" == world.wait(run).state.type
    assert 0 == agent.wait(timeout=20)
    assert "Scheduled" == world.api.get_run(later.id).state.type
    assert "Traceback" not in world.agent_log()


@pytest.mark.parametrize(("on_lost", "state"), [("fail", "Failed"), ("rerun", "Scheduled")])
def test_agent_stopped_with_a_long_run(world: World, on_lost: str, state: str) -> None:
    """After the grace a run is stopped: handed back if it may be rerun, else failed, and told why (A15)."""
    world.register(waits_for(world.directory / "never", world.directory / "seen"), on_lost=on_lost)
    agent = world.start_agent()
    run = world.run()
    world.touched("seen")
    agent.send_signal(signal.SIGHUP)
    assert 0 == agent.wait(timeout=30)
    done = world.api.get_run(run.id)
    assert state == done.state.type
    assert "agent was stopped" in done.state.message
    world.none_left(run)


def test_server_restart_during_a_run_loses_nothing(world: World) -> None:
    """States made while the server is away arrive, in order, when it is back (D2)."""
    go = world.directory / "go"
    world.register("%%task one\nx = 1", f"%%task two\ny = x\n{waits_for(go, world.directory / 'seen')}")
    world.start_agent()
    run = world.run()
    world.touched("seen")
    world.stop_server()
    go.touch()
    executed = world.home / "runs" / run.id / "executed.ipynb"
    world.until(lambda: executed.exists() and '"ended_at"' in executed.read_text(), "the run's own end")
    world.start_server()
    done = world.wait(run)
    assert "Success" == done.state.type, done.state.message
    assert {"one": "Success", "two": "Success"} == _by_name(world, run)
    assert 1 == world.agent_log().count("does not answer")


def test_undelivered_end_is_delivered_by_the_next_agent(world: World) -> None:
    """The keeper too dies while the server is away: what the run said is on disk and arrives (A8)."""
    go = world.directory / "go"
    world.register(waits_for(go, world.directory / "seen"))
    agent = world.start_agent()
    run = world.run()
    world.touched("seen")
    world.stop_server()
    agent.kill()
    agent.wait()
    go.touch()
    spool = world.home / "runs" / run.id
    world.until(lambda: not world.processes_of(run), "the run's process to end")
    keeper = world.keeper_of(run)
    world.until(lambda: b'"finish"' in next(spool.glob("spool-*/states.spool")).read_bytes(), "the finish")
    keeper.kill()
    world.start_server()
    world.start_agent()
    assert "Success" == world.wait(run).state.type


def test_code_changed_after_registering_is_refused(world: World) -> None:
    """Both digests and the place are named, and nothing has run (C1)."""
    ran = world.directory / "ran"
    path = world.register(f"open({str(ran)!r}, 'w')")
    path.write_bytes(path.read_bytes() + b"\n")
    world.start_agent()
    done = world.wait(world.run())
    assert "Failed" == done.state.type
    assert f"Code at {path} has sha256 " in done.state.message
    assert "register again or restore it" in done.state.message
    assert not ran.exists()


def test_kernel_missing_names_those_that_are(world: World) -> None:
    """The agent's kernels are named, and what to do (C10)."""
    world.register("1", kernel="julia-9.9")
    world.start_agent()
    done = world.wait(world.run())
    assert "Failed" == done.state.type
    assert "kernel 'julia-9.9' is not installed" in done.state.message
    assert "python3" in done.state.message


def test_a_run_over_its_total_timeout_is_stopped(world: World) -> None:
    """The limit of the flow holds, and is named."""
    world.register("import time\ntime.sleep(1000)", total_timeout_s=2.0)
    world.start_agent()
    run = world.run()
    done = world.wait(run)
    assert "Failed" == done.state.type
    assert "total timeout of 2 s" in done.state.message
    world.none_left(run)


def test_kernel_that_exits_is_told_with_its_cause(world: World) -> None:
    """``os._exit`` in a cell is a failed task, in words (A9)."""
    world.register("%%task leave\nimport os\nos._exit(3)")
    world.start_agent()
    run = world.wait(world.run())
    assert "Failed" == run.state.type
    [task] = [task for task in world.api.list_task_runs(run.id) if task.name == "leave"]
    assert "the kernel died: exit code 3" in task.state.message


def test_what_a_cell_leaves_is_swept(world: World) -> None:
    """Children, sessions of their own and daemons without environment end with the run (A14)."""
    pids = world.directory / "pids"
    world.register(
        "import os, subprocess\n"
        "one = subprocess.Popen(['sleep', '1000'])\n"
        "two = subprocess.Popen(['sleep', '1000'], start_new_session=True, env={})\n"
        # Nobody's child but the keeper's, which adopts it: the kernel knows nothing of it when it ends.
        "daemon = 'setsid sleep 1000 > /dev/null 2>&1 & echo $!'\n"
        "three = subprocess.run(daemon, shell=True, env={'PATH': os.defpath}, capture_output=True).stdout\n"
        f"open({str(pids)!r}, 'w').write(f'{{one.pid}} {{two.pid}} {{int(three)}}')"
    )
    world.start_agent()
    run = world.wait(world.run())
    assert "Success" == run.state.type, run.state.message
    world.none_left(run)
    for pid in pids.read_text().split():
        world.until(lambda pid=pid: not Path(f"/proc/{pid}").exists(), f"process {pid} to go")
    assert any("left behind" in line.message for line in world.api.list_logs(run.id).logs)


def test_most_runs_at_once_also_after_a_restart(world: World) -> None:
    """--max-runs holds, and counts the runs of an earlier agent."""
    go = world.directory / "go"
    world.register(waits_for(go, world.directory / "seen"))
    agent = world.start_agent("--max-runs", "1")
    first = world.run()
    world.touched("seen")
    agent.kill()
    agent.wait()
    second = world.run()
    world.start_agent("--max-runs", "1")
    time.sleep(1.5)  # an absence is only seen by waiting
    assert "Scheduled" == world.api.get_run(second.id).state.type
    go.touch()
    assert "Success" == world.wait(first).state.type
    assert "Success" == world.wait(second).state.type


def test_variables_and_the_lack_of_our_token(world: World) -> None:
    """Cells get the agent's and the run config's variables, and no way to the server."""
    from jupyter_flows.run_configs import LocalRun

    out = world.directory / "out.json"
    world.register(
        f"import json, os\njson.dump(dict(os.environ), open({str(out)!r}, 'w'))",
        run_config=LocalRun(env={"B": "flow"}, working_dir=str(world.directory)).to_ref(),
    )
    token = (world.home / "tokens" / "agent.token").read_text().strip()
    world.start_agent("-e", "A=agent", "-e", "B=agent", JUPYTER_FLOWS_API_TOKEN=token)
    run = world.wait(world.run())
    assert "Success" == run.state.type, run.state.message
    seen = json.loads(out.read_text())
    assert ("agent", "flow", run.id) == (seen["A"], seen["B"], seen["JUPYTER_FLOWS_RUN_ID"])
    assert not any("jf_" in value for value in seen.values())


def test_files_of_a_run_are_private(world: World) -> None:
    """Nobody else of the machine reads what a run leaves (S3)."""
    os.umask(0o000)
    try:
        world.register("1")
        world.start_agent()
        run = world.wait(world.run())
    finally:
        os.umask(0o022)
    world.none_left(run)
    for path in (world.home / "runs").rglob("*"):
        assert 0 == path.stat().st_mode & 0o077, path
