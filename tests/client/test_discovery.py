"""Which server, with which token: the configured one, else the one of this home, else how to get one."""

import json
import os
from dataclasses import replace

import pytest

from jupyter_flows.client import connect
from jupyter_flows.client.discovery import find_token, find_url
from jupyter_flows.errors import NotAuthorised, ServerNotRunning


def write_server_file(home, url="http://127.0.0.1:1234"):
    home.mkdir(parents=True, exist_ok=True)
    record = {"url": url, "pid": os.getpid(), "started_at": "2030-01-01T00:00:00Z", "kind": "standalone"}
    (home / "server.json").write_text(json.dumps(record))


def test_the_configured_address_wins(home):
    write_server_file(home.home)
    assert find_url(replace(home, api_url="https://flows.example.org/")) == "https://flows.example.org"
    assert find_url(home) == "http://127.0.0.1:1234"


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"url": 3}'])
def test_without_a_readable_file_it_says_how_to_start_one(home, text):
    home.home.mkdir(parents=True)
    if text is not None:
        (home.home / "server.json").write_text(text)
    with pytest.raises(ServerNotRunning) as caught:
        connect(home)
    assert str(caught.value) == (
        f"no server is running for {home.home}; start one with `jupyter flows up`, or set JUPYTER_FLOWS_API_URL"
    )


def test_tokens_are_those_of_the_role(server):
    tokens = {role: find_token(server.settings, role=role) for role in ("admin", "agent")}
    assert tokens["admin"].startswith("jf_admin_")
    assert tokens["agent"].startswith("jf_agent_")
    assert find_token(replace(server.settings, api_token="mine"), role="agent") == "mine"


def test_a_missing_token_names_the_file_and_the_way_out(home):
    with pytest.raises(
        NotAuthorised, match=r"admin.token cannot be read; set JUPYTER_FLOWS_API_TOKEN .* create"
    ):
        connect(replace(home, api_url="http://127.0.0.1:1"))
