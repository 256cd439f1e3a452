"""The Jupyter coat asks Jupyter's authorizer, and closes with ``allow_unauthenticated_access=False``."""

from __future__ import annotations

import json

import pytest
from tornado.httpclient import HTTPClientError

pytest_plugins = ["pytest_jupyter.jupyter_server"]
# Another extension's endpoint, not ours, is what Jupyter warns of.
pytestmark = pytest.mark.filterwarnings("ignore:Extension endpoints without:Warning")


@pytest.fixture
def jp_server_config(tmp_path, monkeypatch):
    from jupyter_server.auth.authorizer import Authorizer

    class ReadersOnly(Authorizer):
        def is_authorized(self, handler, user, action, resource):
            if resource == "flows":
                asked.append(action)
                return action == "read"
            return True

    asked: list[str] = []
    monkeypatch.setenv("JUPYTER_FLOWS_HOME", str(tmp_path / "flows-home"))
    return {
        "ServerApp": {
            "jpserver_extensions": {"jupyter_flows": True},
            "authorizer_class": ReadersOnly,
            "allow_unauthenticated_access": False,
        }
    }


async def refused(fetch, *parts, **options) -> tuple[int, str]:
    with pytest.raises(HTTPClientError) as caught:
        await fetch(*parts, **options)
    answer = json.loads(caught.value.response.body)
    return caught.value.code, answer["message"]


async def test_an_authorizer_may_narrow_what_a_person_may(jp_fetch, jp_serverapp):
    """Reading is allowed, running and registering are not; the sentence says which."""
    await jp_serverapp.extension_manager.start_all_extensions()
    answer = await jp_fetch("flows", "api", "v1", "flows")
    assert json.loads(answer.body) == {"flows": [], "next": None}
    post = {"method": "POST", "body": "{}", "headers": {"Content-Type": "application/json"}}
    assert await refused(jp_fetch, "flows", "api", "v1", "flows", "etl", "runs", **post) == (
        403, "this Jupyter server does not let you execute flows",
    )  # fmt: skip
    assert await refused(jp_fetch, "flows", "api", "v1", "flows", **post) == (
        403, "this Jupyter server does not let you write flows",
    )  # fmt: skip


async def test_without_a_login_nothing_answers(http_server_client, jp_base_url):
    for path in ("version", "flows", "events", "nothing"):
        code, message = await refused(http_server_client.fetch, f"{jp_base_url}flows/api/v1/{path}")
        assert (code, message) == (403, "this is not allowed")


async def test_the_servers_own_log_says_little(jp_fetch, jp_serverapp, caplog):
    """A request that works leaves no warning."""
    await jp_serverapp.extension_manager.start_all_extensions()
    await jp_fetch("flows", "api", "v1", "runs")
    assert [
        record for record in caplog.records if record.levelno >= 30 and "flows" in record.getMessage()
    ] == []
