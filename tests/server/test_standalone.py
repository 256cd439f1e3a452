"""The stand-alone coat: starts, waits without polling, streams, and stops while everybody is connected."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
import urllib3

from jupyter_flows.client import FlowsApi, connect
from jupyter_flows.errors import CannotListen, DatabaseInUse, NotAuthorised, ServerNotRunning, StaleLease
from jupyter_flows.schema.agents import ClaimRuns, RegisterAgent
from jupyter_flows.schema.base import utc_now
from jupyter_flows.schema.events import FlowChanged, LogsWritten, RunChanged
from jupyter_flows.schema.flows import RegisterFlow
from jupyter_flows.schema.runs import CreateRun, Heartbeat, Report, StartRun
from jupyter_flows.server.standalone import start_server_thread

from .conftest import every, finish, flow_spec, line, report, task


def test_a_first_start_makes_a_home_that_is_its_users_alone(server):
    home = server.settings.home
    modes = {
        str(path.relative_to(home)): stat.S_IMODE(path.stat().st_mode) for path in (home, *home.rglob("*"))
    }
    assert {name: mode for name, mode in modes.items() if mode & 0o077} == {}
    assert {"server.json", "tokens/admin.token", "tokens/agent.token", "flows.db"} <= set(modes)
    told = json.loads((home / "server.json").read_text())
    assert (told["url"], told["pid"], told["kind"]) == (server.url, os.getpid(), "standalone")


def test_tokens_outlive_restarts_and_lost_files_are_made_anew(server):
    first = server.agent_token
    server.stop()
    assert not (server.settings.home / "server.json").exists()
    (server.settings.home / "tokens" / "admin.token").unlink()
    server.start()
    assert server.agent_token == first
    assert server.api.list_flows().flows == ()


def test_the_whole_way_over_http(server):
    server.api.register_flow(RegisterFlow(spec=flow_spec()))
    run = server.api.create_run("etl", CreateRun())
    agent = server.agent_api.register_agent(RegisterAgent(name="lab"))
    (claim,) = server.agent_api.claim_runs(agent.id, ClaimRuns(wait_s=5)).claims
    assert claim.spec == flow_spec()
    keeper = server.api.with_token(claim.run_token)
    lease = keeper.start_run(run.id, StartRun(token=claim.lease.token))
    assert (lease.ttl_s, lease.heartbeat_s) == (60.0, 10.0)
    assert keeper.heartbeat_run(run.id, Heartbeat(token=1)).cancel is False
    keeper.report_run(run.id, report(1, task("extract", "Success"), line("hello"), finish()))
    assert server.api.get_run(run.id).state.type == "Success"
    with pytest.raises(StaleLease):
        keeper.report_run(run.id, Report(token=0, items=()))
    with pytest.raises(NotAuthorised):
        keeper.list_flows()


def test_a_waiting_agent_is_given_a_run_as_soon_as_it_is_asked_for(server):
    """The long poll ends by the run, not by its time: both threads meet without any sleep."""
    server.api.register_flow(RegisterFlow(spec=flow_spec()))
    agent = server.agent_api.register_agent(RegisterAgent(name="lab"))
    answers = []
    waiting = threading.Thread(
        target=lambda: answers.append(server.agent_api.claim_runs(agent.id, ClaimRuns(wait_s=60)))
    )
    waiting.start()
    run = server.api.create_run("etl", CreateRun())
    waiting.join(timeout=10)
    assert [claim.run.id for claim in answers[0].claims] == [run.id]


def test_a_waiting_agent_is_given_a_scheduled_run_when_it_is_due(server):
    server.api.register_flow(RegisterFlow(spec=flow_spec(schedules=(every(1),))))
    agent = server.agent_api.register_agent(RegisterAgent(name="lab"))
    (claim,) = server.agent_api.claim_runs(agent.id, ClaimRuns(wait_s=30)).claims
    assert claim.run.auto_scheduled
    assert claim.run.scheduled_at <= utc_now() + timedelta(seconds=1)
    server.api.pause_flow("etl")


def test_a_poll_of_a_dead_agent_is_given_nothing(server):
    """The connection closes while it waits: the next run goes to the agent that lives."""
    server.api.register_flow(RegisterFlow(spec=flow_spec()))
    dead = server.agent_api.register_agent(RegisterAgent(name="dead"))
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            f"POST /flows/api/v1/agents/{dead.id}/claim HTTP/1.1\r\nHost: {host}:{port}\r\n"
            f"Authorization: Bearer {server.agent_token}\r\nContent-Type: application/json\r\n"
            'Content-Length: 14\r\n\r\n{"wait_s": 60}'.encode()
        )
        _until(lambda: _polls(server, dead.id))
    _until(lambda: not _polls(server, dead.id))
    run = server.api.create_run("etl", CreateRun())
    alive = server.agent_api.register_agent(RegisterAgent(name="alive"))
    (claim,) = server.agent_api.claim_runs(alive.id, ClaimRuns(wait_s=5)).claims
    assert (claim.run.id, claim.run.agent) == (run.id, "alive")


def _polls(server, agent_id) -> bool:
    """A second registering of the name tells whether the first is asking at this moment."""
    (agent,) = [entry for entry in server.api.list_agents().agents if entry.id == agent_id]
    probe = server.agent_api.register_agent(RegisterAgent(name=agent.name, host=agent.host, pid=0))
    return probe.name != agent.name


def _until(condition, tries: int = 500) -> None:
    for _ in range(tries):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not come about")


# -- the stream --------------------------------------------------------------------------------------


def test_the_stream_tells_each_event_once_across_reconnects(server):
    api = server.api
    stream = api.events()
    api.register_flow(RegisterFlow(spec=flow_spec()))
    first = next(iter(api.events(after=0)))
    assert isinstance(first.body, FlowChanged)
    run = api.create_run("etl", CreateRun())
    seen = []
    for event in api.events(after=first.id, run=run.id):
        seen.append(event)
        if len(seen) == 1:
            api.cancel_run(run.id)
        if isinstance(event.body, RunChanged) and event.body.run.state.type == "Cancelled":
            break
    again = []
    for event in api.events(after=seen[0].id, run=run.id):
        again.append(event)
        if event.id == seen[-1].id:
            break
    assert again == seen[1:]
    assert [event.id for event in seen] == sorted({event.id for event in seen})
    stream.close()


def test_event_ids_grow_across_restarts(server):
    server.api.register_flow(RegisterFlow(spec=flow_spec()))
    before = next(iter(server.api.events(after=0))).id
    server.stop()
    server.start()
    server.api.pause_flow("etl")
    after = next(iter(server.api.events(after=before)))
    assert after.id > before
    assert after.body.change == "paused"


def test_a_slow_reader_of_many_lines_gets_all_of_them(server):
    """20,000 lines while the reader has not begun to read: nothing is queued for it, nothing is lost."""
    server.api.register_flow(RegisterFlow(spec=flow_spec()))
    run = server.api.create_run("etl", CreateRun())
    agent = server.agent_api.register_agent(RegisterAgent(name="lab"))
    (claim,) = server.agent_api.claim_runs(agent.id, ClaimRuns(wait_s=5)).claims
    keeper = server.api.with_token(claim.run_token)
    keeper.start_run(run.id, StartRun(token=1))
    reader = server.api.events(run=run.id, after=0)
    next(reader)
    for batch in range(20):
        lines = [line(f"{batch}.{n} " + "x" * 200) for n in range(1000)]
        keeper.report_run(run.id, report(1, *lines, first=1 + batch * 1000))
    keeper.report_run(run.id, report(1, finish(), first=20_001))
    count = 0
    for event in reader:
        if isinstance(event.body, LogsWritten):
            count += len(event.body.logs)
        if isinstance(event.body, RunChanged) and event.body.run.state.type == "Success":
            break
    assert count == 20_000


def test_last_event_id_is_honoured(server):
    server.api.register_flow(RegisterFlow(spec=flow_spec()))
    server.api.pause_flow("etl")
    token = (server.settings.home / "tokens" / "admin.token").read_text().strip()
    answer = urllib3.request(
        "GET",
        server.url + "/flows/api/v1/events?after=0",
        headers={"Authorization": f"Bearer {token}", "Last-Event-ID": "1"},
        preload_content=False,
    )
    text = b""
    while text.count(b"\n\n") < 2:
        text += answer.read1(4096)
    answer.close()
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert b"\nid: 2\n" in text
    assert b"id: 1\n" not in text


# -- starting and stopping ---------------------------------------------------------------------------


def test_it_stops_at_once_with_everybody_connected(server):
    """Long polls are answered, streams end: nobody is left hanging and nobody is cut."""
    agent = server.agent_api.register_agent(RegisterAgent(name="lab"))
    ends, ready = [], threading.Barrier(3)

    def poll():
        ready.wait()
        ends.append(server.agent_api.claim_runs(agent.id, ClaimRuns(wait_s=60)).claims)

    def read():
        stream = server.api.events(after=0)
        next(stream)
        ready.wait()
        list(stream)
        ends.append("stream")

    threads = [threading.Thread(target=poll), threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    ready.wait()
    _until(lambda: _polls_now(server, agent.id))
    server.running.stop()
    for thread in threads:
        thread.join(timeout=5)
    assert sorted(map(str, ends)) == ["()", "stream"]


def _polls_now(server, agent_id) -> bool:
    return _polls(server, agent_id)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_cleanly(tmp_path, number):
    """As people start it: with an open stream it ends by itself, code 0, and leaves no file that lies."""
    home = tmp_path / "home"
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyter_flows", "server", "start", "--port", "0"],
        env={**os.environ, "JUPYTER_FLOWS_HOME": str(home), "PYTHONWARNINGS": "error"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    url = process.stdout.readline().split()[1]
    token = (home / "tokens" / "admin.token").read_text().strip()
    FlowsApi.at(url, token=token).register_flow(RegisterFlow(spec=flow_spec()))
    stream = FlowsApi.at(url, token=token).events(after=0)
    next(stream)
    process.send_signal(number)
    assert list(stream) == []
    _out, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (0, "")
    assert not (home / "server.json").exists()


def test_a_second_server_of_one_home_is_refused(server):
    with pytest.raises(DatabaseInUse, match=f"in use by the server with pid {os.getpid()}"):
        start_server_thread(server.settings, port=0)
    assert server.api.list_flows().flows == ()


def test_a_port_that_is_taken_is_told(home):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=f"port {port} of 127.0.0.1 is taken"):
            start_server_thread(home, port=port)
        with pytest.raises(CannotListen):
            start_server_thread(replace(home, port=port))


def test_the_default_port_is_only_a_habit(home, monkeypatch, caplog):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr("jupyter_flows.server.standalone.DEFAULT_PORT", port)
        with caplog.at_level(logging.WARNING):
            running = start_server_thread(replace(home, port=port))
        assert running.port != port
        assert f"port {port} is taken; listening on {running.port}" in caplog.text
        running.stop()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_it_does_not_listen_to_the_world_unless_a_proxy_is_named(home, host):
    with pytest.raises(CannotListen, match="--behind-proxy"):
        start_server_thread(home, host=host, port=0)


def test_behind_a_proxy_it_listens_and_takes_any_host_name(home):
    running = start_server_thread(replace(home, behind_proxy=True), host="0.0.0.0", port=0)
    try:
        answer = urllib3.request(
            "GET", running.url + "/flows/api/v1/version", headers={"Host": "flows.example.org"}
        )
        assert answer.status == 200
    finally:
        running.stop()


def test_the_front_page_says_what_this_is(server):
    answer = urllib3.request("GET", server.url + "/")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert b"the server of notebooks as workflows" in answer.data
    assert urllib3.request("GET", server.url + "/healthz").data == b"ok\n"
    assert urllib3.request("GET", server.url + "/admin").status == 404


def test_its_log_has_no_bodies_and_no_tokens(server, caplog):
    with caplog.at_level(logging.DEBUG):
        server.api.register_flow(RegisterFlow(spec=flow_spec(name="canary-in-a-body")))
        with pytest.raises(NotAuthorised):
            FlowsApi.at(server.url, token="jf_admin_canary").list_flows()
    ours = "\n".join(
        record.getMessage() for record in caplog.records if record.name.startswith("jupyter_flows")
    )
    assert "POST /flows/api/v1/flows 200" in ours
    assert "canary" not in ours


def test_a_server_that_is_gone_is_told_with_the_way_out(server):
    api = connect(server.settings)
    server.stop()
    with pytest.raises(
        ServerNotRunning, match="start one with `jupyter flows up`, or set JUPYTER_FLOWS_API_URL"
    ):
        api.list_flows()
    with pytest.raises(ServerNotRunning, match="no server is running for"):
        connect(server.settings)
