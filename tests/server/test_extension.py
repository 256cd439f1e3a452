"""The Jupyter coat: same endpoints behind Jupyter's login; one server a home, whoever started it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import urllib3

from jupyter_flows.client import FlowsApi, connect
from jupyter_flows.errors import NotAuthorised
from jupyter_flows.schema.agents import ClaimRuns, RegisterAgent
from jupyter_flows.schema.flows import RegisterFlow
from jupyter_flows.schema.runs import CreateRun
from jupyter_flows.settings import Settings, load_settings

from .conftest import flow_spec

TOKEN = "secret-of-jupyter"


class Jupyter:
    """A real ``jupyter server`` with our extension, at a base URL, as a process."""

    def __init__(self, home: Path, directory: Path, **env: str) -> None:
        self.home = home
        config = directory / "config"
        config.mkdir(parents=True, exist_ok=True)
        settings = {
            "ServerApp": {"jpserver_extensions": {"jupyter_flows": True, "jupyterlab": False, "notebook_shim": False},
                          "base_url": "/user/x/", "ip": "127.0.0.1", "root_dir": str(directory), "allow_root": True, "port": 0,
                          "open_browser": False},
            "IdentityProvider": {"token": TOKEN},
        }  # fmt: skip
        (config / "jupyter_server_config.json").write_text(json.dumps(settings))
        self.log = directory / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyter_server"],
                env={
                    **os.environ, "JUPYTER_CONFIG_DIR": str(config), "JUPYTER_RUNTIME_DIR": str(directory / "runtime"),
                    "JUPYTER_DATA_DIR": str(directory / "data"), "JUPYTER_FLOWS_HOME": str(home), **env,
                },
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self.url = until(self._url)
        until(lambda: "starting" not in str(self.get("/version")[1]))

    def _url(self) -> str:
        for file in (self.log.parent / "runtime").glob("jpserver-*.json"):
            try:
                return json.loads(file.read_text())["url"].rstrip("/")
            except (ValueError, OSError):
                continue
        assert self.process.poll() is None, self.log.read_text()
        return ""

    def get(self, path: str, *, token: str | None = f"token {TOKEN}", **headers: str):
        return self.ask("GET", path, token=token, **headers)

    def ask(self, method: str, path: str, *, token: str | None = f"token {TOKEN}", body=None, **headers: str):
        if token:
            headers["Authorization"] = token
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        data = None if body is None else json.dumps(body)
        answer = urllib3.request(
            method,
            self.url + "/flows/api/v1" + path,
            headers=headers,
            body=data,
            retries=False,
            redirect=False,
            timeout=20,
        )
        try:
            return answer.status, json.loads(answer.data)
        except ValueError:
            return answer.status, answer.data

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(timeout=20)


def until(condition, tries: int = 1500):
    """Wait for what another process does."""
    for _ in range(tries):
        try:
            found = condition()
        except (urllib3.exceptions.HTTPError, OSError):
            found = None
        if found:
            return found
        threading.Event().wait(0.02)
    raise AssertionError("it did not come about")


@pytest.fixture
def start_jupyter(home: Settings, tmp_path: Path):
    started: list[Jupyter] = []

    def start(name: str = "one", **env: str) -> Jupyter:
        started.append(Jupyter(home.home, tmp_path / name, **env))
        return started[-1]

    yield start
    for jupyter in started:
        jupyter.stop(signal.SIGKILL if jupyter.process.poll() is None else signal.SIGTERM)
        jupyter.process.wait()


def test_alone_it_is_the_server_and_agents_talk_to_it(start_jupyter, home):
    """An agent of the same home finds it, claims through it, and a person sees the run."""
    jupyter = start_jupyter()
    assert jupyter.get("/version")[1]["kind"] == "jupyter"
    told = json.loads((home.home / "server.json").read_text())
    assert (told["kind"], told["pid"], told["url"]) == ("jupyter", jupyter.process.pid, jupyter.url)
    api, agents = connect(home), connect(home, role="agent")
    api.register_flow(RegisterFlow(spec=flow_spec()))
    lab = agents.register_agent(RegisterAgent(name="lab"))
    claims = []
    waiting = threading.Thread(
        target=lambda: claims.extend(agents.claim_runs(lab.id, ClaimRuns(wait_s=30)).claims)
    )
    waiting.start()
    status, run = jupyter.ask("POST", "/flows/etl/runs", body={})
    assert status == 200
    waiting.join(timeout=20)
    assert [claim.run.id for claim in claims] == [run["id"]]
    stream = api.events(after=0)
    assert next(stream).body.change == "version 1 registered"
    stream.close()
    jupyter.stop()
    assert jupyter.process.returncode == 0
    assert not (home.home / "server.json").exists()


def test_who_gets_in(start_jupyter):
    """Jupyter's login makes an author; our own tokens are looked up; XSRF is Jupyter's."""
    jupyter = start_jupyter()
    admin = "Bearer " + (jupyter.home / "tokens" / "admin.token").read_text().strip()
    agent = "Bearer " + (jupyter.home / "tokens" / "agent.token").read_text().strip()
    found = {
        "nobody": jupyter.get("/flows", token=None)[0],
        "person": jupyter.get("/flows")[0],
        "person, tokens": jupyter.get("/tokens")[0],
        "person, claim": jupyter.ask("POST", "/agents", body={"name": "x"})[0],
        "admin": jupyter.get("/tokens", token=admin)[0],
        "agent": jupyter.get("/flows", token=agent)[0],
        "agent joins": jupyter.ask("POST", "/agents", token=agent, body={"name": "x"})[0],
        "nonsense of ours": jupyter.get("/flows", token="Bearer jf_admin_nonsense")[0],
        "nonsense": jupyter.get("/flows", token="Bearer nonsense")[0],
        "no such address": jupyter.get("/nothing")[0],
        "foreign host": jupyter.get("/flows", token=admin, Host="evil.example")[0],
        "form": jupyter.ask("POST", "/flows", body={}, **{"Content-Type": "text/plain"})[0],
        "stream, nobody": jupyter.get("/events", token=None)[0],
    }
    assert found == {
        "nobody": 403, "person": 200, "person, tokens": 403, "person, claim": 403, "admin": 200, "agent": 403,
        "agent joins": 200, "nonsense of ours": 401, "nonsense": 403, "no such address": 404, "foreign host": 403,
        "form": 415, "stream, nobody": 403,
    }  # fmt: skip


def test_a_cookie_needs_its_xsrf_header(start_jupyter):
    jupyter = start_jupyter()
    first = urllib3.request("GET", f"{jupyter.url}/api/status?token={TOKEN}", redirect=False)
    assert first.status == 200
    login = urllib3.request("GET", f"{jupyter.url}/login", redirect=False)
    xsrf = login.headers["Set-Cookie"].partition("_xsrf=")[2].partition(";")[0]
    form = f"password={TOKEN}&_xsrf={xsrf}"
    done = urllib3.request(
        "POST", f"{jupyter.url}/login", body=form, redirect=False,
        headers={"Content-Type": "application/x-www-form-urlencoded", "Cookie": f"_xsrf={xsrf}"},
    )  # fmt: skip
    cookies = [value.partition(";")[0] for value in done.headers.getlist("Set-Cookie")]
    cookie = "; ".join([f"_xsrf={xsrf}", *(c for c in cookies if not c.startswith("_xsrf"))])
    body = {"spec": json.loads(_json(flow_spec()))}
    assert jupyter.get("/flows", token=None, Cookie=cookie)[0] == 200
    assert jupyter.ask("POST", "/flows", token=None, body=body, Cookie=cookie)[0] == 403
    assert (
        jupyter.ask("POST", "/flows", token=None, body=body, Cookie=cookie, **{"X-XSRFToken": xsrf})[0] == 200
    )
    assert jupyter.get("/flows", token=None, Cookie=cookie, Origin="http://evil.example")[0] in {403, 404}


def _json(record) -> bytes:
    from jupyter_flows.schema.base import to_json

    return to_json(record)


def test_where_a_server_runs_it_passes_requests_on(server, start_jupyter):
    """Requests, refusals, long polls and the stream; the database has one owner throughout."""
    jupyter = start_jupyter()
    assert jupyter.get("/version")[1]["kind"] == "standalone"
    status, answer = jupyter.ask("POST", "/flows", body={"spec": json.loads(_json(flow_spec()))})
    assert (status, answer["created"]) == (200, True)
    assert jupyter.get("/flows/none")[0] == 404
    assert jupyter.get("/tokens")[0] == 403
    assert jupyter.get("/runs?state=Sleeping")[0] == 400
    assert server.api.list_flows().flows[0].name == "etl"
    through = FlowsApi.at(jupyter.url, token=server.agent_token)
    lab = through.register_agent(RegisterAgent(name="lab"))
    claims = []
    waiting = threading.Thread(
        target=lambda: claims.extend(through.claim_runs(lab.id, ClaimRuns(wait_s=30)).claims)
    )
    waiting.start()
    run = server.api.create_run("etl", CreateRun())
    waiting.join(timeout=20)
    assert [claim.run.id for claim in claims] == [run.id]
    answer = urllib3.request(
        "GET", jupyter.url + "/flows/api/v1/events?after=0", headers={"Authorization": f"token {TOKEN}"},
        preload_content=False,
    )  # fmt: skip
    text = b""
    while b'"version 1 registered"' not in text:
        text += answer.read1(4096)
    answer.close()
    with pytest.raises(NotAuthorised):
        FlowsApi.at(jupyter.url, token="jf_admin_nonsense").list_flows()
    jupyter.stop()
    assert server.api.get_run(run.id).state.type == "Submitted"


def test_when_the_other_server_stops_it_takes_its_place(server, start_jupyter):
    """And what was registered is there: it is the same database."""
    server.api.register_flow(RegisterFlow(spec=flow_spec()))
    jupyter = start_jupyter()
    assert jupyter.get("/version")[1]["kind"] == "standalone"
    server.stop()
    until(lambda: jupyter.get("/version")[0] == 200 and jupyter.get("/version")[1]["kind"] == "jupyter")
    assert jupyter.get("/flows")[1]["flows"][0]["name"] == "etl"


def test_two_jupyter_servers_share_one(start_jupyter):
    """The first is the server, the second passes on; when the first is killed, the second takes over."""
    first = start_jupyter("one")
    second = start_jupyter("two")
    first.ask("POST", "/flows", body={"spec": json.loads(_json(flow_spec()))})
    assert second.get("/flows")[1]["flows"][0]["name"] == "etl"
    ids = {entry.get("/version")[1]["server_id"] for entry in (first, second)}
    assert len(ids) == 1
    first.stop(signal.SIGKILL)
    until(lambda: second.get("/version")[0] == 200 and second.get("/version")[1]["server_id"] not in ids)
    assert second.get("/flows")[1]["flows"][0]["name"] == "etl"


def test_a_configured_server_that_is_away_is_told_and_not_replaced(start_jupyter, home):
    """A server somebody named is the one that is meant."""
    elsewhere = "http://127.0.0.1:9"
    jupyter = start_jupyter(JUPYTER_FLOWS_API_URL=elsewhere)
    status, answer = until(lambda: _told(jupyter))
    assert status == 503
    assert answer["message"].startswith(f"the jupyter_flows server at {elsewhere} does not answer")
    assert not (home.home / "flows.db").exists()


def _told(jupyter):
    status, answer = jupyter.get("/flows")
    return (status, answer) if "starting" not in answer["message"] else None


def test_settings_of_the_fixture_are_those_of_the_process(home):
    """The tests above rely on the home being named by the environment."""
    assert load_settings().home == home.home
