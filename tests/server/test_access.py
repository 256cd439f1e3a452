"""Who may do what: every row of the endpoint table against every kind of token. Made from the table."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import urllib3

from jupyter_flows.schema.agents import ClaimRuns, RegisterAgent
from jupyter_flows.schema.endpoints import API_PREFIX, ENDPOINTS
from jupyter_flows.schema.flows import RegisterFlow
from jupyter_flows.schema.runs import CreateRun
from jupyter_flows.schema.server import CreateToken
from jupyter_flows.server import auth

from .conftest import flow_spec

PEOPLE = ("viewer", "operator", "author", "admin")
IDENTITIES = (
    "nobody", "nonsense", "expired", "revoked", *PEOPLE, "agent", "other agent", "run", "other run", "stale run",
)  # fmt: skip
READ = {"viewer", "operator", "author", "admin"}
ALLOWED = {
    "public": set(IDENTITIES),
    "flows:read": READ,
    "flows:write": {"author", "admin"},
    "runs:read": READ,
    "runs:write": {"operator", "author", "admin"},
    "runs:claim": {"agent", "other agent"},
    "tokens:write": {"admin"},
}
UNKNOWN = {"nobody", "nonsense", "expired", "revoked"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A server with a run that an agent holds, another run, and a token of every kind."""
    from dataclasses import replace

    from jupyter_flows.client import connect
    from jupyter_flows.server.standalone import start_server_thread
    from jupyter_flows.settings import load_settings

    home = tmp_path_factory.mktemp("home")
    settings = replace(load_settings({"JUPYTER_FLOWS_HOME": str(home)}), submit_deadline_s=600.0)
    running = start_server_thread(settings, port=0)
    api, agent_api = connect(settings), connect(settings, role="agent")
    api.register_flow(RegisterFlow(spec=flow_spec()))
    runs = [api.create_run("etl", CreateRun()) for _ in range(3)]
    agent = agent_api.register_agent(RegisterAgent(name="lab"))
    claims = {
        claim.run.id: claim
        for claim in agent_api.claim_runs(agent.id, ClaimRuns(max_claims=3, wait_s=0)).claims
    }
    held, other, stale = (claims[run.id] for run in runs)
    # A run whose lease went to somebody else since: its first token is stale.
    api.cancel_run(stale.run.id)
    from jupyter_flows.schema.runs import HandBack, RetryRun

    agent_api.with_token(stale.run_token).hand_back_run(stale.run.id, HandBack(token=stale.lease.token))
    api.retry_run(stale.run.id, RetryRun())
    agent_api.claim_runs(agent.id, ClaimRuns(wait_s=0))
    tokens = {
        "nobody": "",
        "nonsense": auth.mint("admin"),
        "agent": agent_api._transport.token,
        "run": held.run_token,
        "other run": other.run_token,
        "stale run": stale.run_token,
    }
    for kind in PEOPLE:
        tokens[kind] = api.create_token(CreateToken(kind=kind, name=f"{kind} of the matrix")).token
    tokens["other agent"] = api.create_token(CreateToken(kind="agent", name="other")).token
    made = api.create_token(CreateToken(kind="admin", name="gone"))
    tokens["revoked"] = made.token
    api.revoke_token(made.record.id)
    tokens["expired"] = api.create_token(CreateToken(kind="admin", name="old", expires_in_days=1)).token
    _expire(running, "old")
    yield running.url, tokens, held.run.id, agent.id
    running.stop()


def _expire(running, name):
    """Move a token's end into the past, in the file of the running server's own connection."""
    import gc

    import sqlalchemy as sa

    from jupyter_flows.server.service import FlowsService
    from jupyter_flows.server.store import tables

    (service,) = (
        thing
        for thing in gc.get_objects()
        if type(thing) is FlowsService and thing.settings is running.settings
    )
    with service._database.write() as tx:
        tx.connection.execute(
            sa.update(tables.tokens)
            .where(tables.tokens.c.name == name)
            .values(expires_at=tx.now - timedelta(seconds=1))
        )


def request(url, method, path, token, *, body="{}", **headers):
    headers = {"Content-Type": "application/json", **headers}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    answer = urllib3.request(
        method, url + API_PREFIX + path, headers=headers, body=body if method == "POST" else None,
        retries=False, timeout=10, redirect=False,
    )  # fmt: skip
    return answer.status, json.loads(answer.data)


def expected(row, identity):
    """What the status must be, from the scopes alone: 401, 403, or let through."""
    if row.scope == "public":
        return "in"
    if identity in UNKNOWN:
        return 401
    by_run = "{run}" in row.path and row.scope in {"runs:read", "runs:report"}
    if by_run and identity in {"run", "agent"}:
        return "in"
    if row.scope != "runs:report" and identity in ALLOWED[row.scope]:
        return "in"
    return 403


@pytest.mark.parametrize("row", ENDPOINTS, ids=lambda row: row.name)
def test_every_row_lets_in_whom_its_scope_names_and_nobody_else(world, row):
    """All cells of a row. Bodies are empty, so a call that is let in may be refused for its content: 400, 404, 409."""
    url, tokens, run, agent = world
    path = row.path.format(flow="no-such-flow", run=run, agent=agent, token="no-such-token")
    body = '{"token": 999}' if row.scope == "runs:report" else "{}"
    if row.name == "claim_runs":
        body = '{"wait_s": 0}'
    found = {}
    for identity in IDENTITIES:
        if row.name in {"cancel_run", "retry_run"} and expected(row, identity) == "in":
            path = row.path.format(run="no-such-run")
        status, answer = request(url, row.method, path, tokens[identity], body=body)
        found[identity] = status if status in {401, 403} else "in"
        if status >= 400:
            assert set(answer) == {"code", "message"}, answer
            assert not any(token and token in answer["message"] for token in tokens.values())
    assert found == {identity: expected(row, identity) for identity in IDENTITIES}


def test_the_stream_needs_to_read_runs(world):
    url, tokens, *_ = world
    found = {}
    for identity in IDENTITIES:
        headers = {"Authorization": f"Bearer {tokens[identity]}"} if tokens[identity] else {}
        answer = urllib3.request(
            "GET",
            url + API_PREFIX + "/events",
            headers=headers,
            preload_content=False,
            retries=False,
            timeout=10,
        )
        found[identity] = answer.status
        answer.close()
    assert found == {i: 200 if i in READ else 401 if i in UNKNOWN else 403 for i in IDENTITIES}


@pytest.mark.parametrize(
    "path", ["/version/", "/flows/health", "/health", "/flows/..%2fversion", "//version"]
)
def test_no_ending_of_a_path_opens_a_door(world, path):
    url, *_ = world
    assert request(url, "GET", path, "")[0] in {401, 403, 404}


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "PATCH", "TRACE"])
def test_other_methods_do_nothing(world, method):
    url, tokens, *_ = world
    answer = urllib3.request(
        method,
        url + API_PREFIX + "/flows",
        headers={"Authorization": f"Bearer {tokens['admin']}"},
        retries=False,
    )
    assert answer.status == 405
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_foreign_pages_and_rebound_names_are_refused(world):
    url, tokens, *_ = world
    admin = tokens["admin"]
    assert request(url, "GET", "/flows", admin, Host="evil.example")[0] == 403
    assert request(url, "GET", "/flows", admin, Origin="http://evil.example")[0] == 403
    assert request(url, "GET", "/flows", admin, Origin=url)[0] == 200
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert request(url, "POST", "/agents", admin, body="a=b", **form)[0] == 415


def test_a_token_in_the_address_is_no_token(world):
    url, tokens, *_ = world
    assert request(url, "GET", f"/flows?token={tokens['admin']}", "")[0] == 401


def test_answers_carry_what_keeps_browsers_careful(world):
    url, *_ = world
    answer = urllib3.request("GET", url + API_PREFIX + "/version")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "Server" not in answer.headers
    assert "Access-Control-Allow-Origin" not in answer.headers


# -- limits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "[", "{", "null", "[]", "\x00", '{"parameters": {"a": NaN}}', '{"parameters": {"a": 1e999}}',
        '{"parameters": {"a": 99999999999999999999}}', '{"parameters": {"a": {"b": 1}}}', '{"nope": 1}',
        '{"name": "\\ud800"}', '{"labels": ["my label"]}', '{"parameters": ' + "[" * 100_000, '{"version": -1}',
        '{"parameters": {"a": "' + "x" * 3000 + '"}}', '{"scheduled_at": "2030-01-01T00:00:00"}', "{} {}",
    ],
)  # fmt: skip
def test_malformed_bodies_are_refused_never_a_mistake_of_the_server(world, body):
    url, tokens, *_ = world
    status, answer = request(url, "POST", "/flows/etl/runs", tokens["admin"], body=body.encode())
    assert (status, answer["code"]) == (400, "invalid_request")


def test_a_large_body_is_refused(world):
    url, tokens, *_ = world
    status, answer = request(url, "POST", "/flows/etl/runs", tokens["admin"], body=b" " * 1_100_000)
    assert status == 413
    assert "at most 1048576 bytes" in answer["message"]


def test_a_compressed_body_is_refused(world):
    url, tokens, *_ = world
    packed = {"Content-Encoding": "gzip"}
    assert request(url, "POST", "/flows/etl/runs", tokens["admin"], body=b"x", **packed)[0] == 415


@pytest.mark.parametrize(
    "query",
    ["?limit=x", "?limit=-1", "?limit=99999999999999999999", "?nope=1", "?after=" + "x" * 600],
)
def test_wrong_arguments_are_refused(world, query):
    url, tokens, *_ = world
    assert request(url, "GET", "/flows" + query, tokens["admin"])[0] == 400


@pytest.mark.parametrize(
    "name", ["%27%20OR%201=1%20--", "%25", "_", "%00", "x" * 3000, "%ff%fe", "..%2f..%2fetc"]
)
def test_odd_names_are_not_found(world, name):
    url, tokens, *_ = world
    for path in (f"/flows/{name}", f"/runs/{name}", f"/runs/{name}/logs"):
        assert request(url, "GET", path, tokens["admin"])[0] in {400, 404}
