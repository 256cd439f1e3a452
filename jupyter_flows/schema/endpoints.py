"""The API as a table. The server binds it, the client calls it, OpenAPI is made from it.

Every row names its scope; there is no default. ``public`` rows need no token and say nothing secret.
Paths are below ``/flows/api/v1``. ``{flow}`` is an id, a name, or ``project/name`` URL-quoted;
``{run}`` is an id, a unique beginning of one (at least 6 digits), or a run's name.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from jupyter_flows.schema import agents, flows, logs, runs, server

API_PREFIX = "/flows/api/v1"

Scope = Literal[
    "public",
    "flows:read",
    "flows:write",
    "runs:read",
    "runs:write",
    "runs:claim",
    "runs:report",
    "tokens:write",
]
Method = Literal["GET", "POST", "DELETE"]


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One row: name of the function that answers, method, path, records, scope, query arguments."""

    name: str
    method: Method
    path: str
    answer: type
    scope: Scope
    request: type | None = None
    query: dict[str, type] = {}
    summary: str = ""
    waits: bool = False
    body_limit: int = 1_048_576


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        name="get_version",
        method="GET",
        path="/version",
        answer=server.VersionInfo,
        scope="public",
        summary="Who answers here.",
    ),
    Endpoint(
        name="register_flow",
        method="POST",
        path="/flows",
        request=flows.RegisterFlow,
        answer=flows.RegisterResult,
        scope="flows:write",
        body_limit=32 * 1_048_576,
        summary="Keep a flow's metadata; unchanged content makes no new version.",
    ),
    Endpoint(
        name="list_flows",
        method="GET",
        path="/flows",
        answer=flows.FlowPage,
        scope="flows:read",
        query={"project": str, "after": str, "limit": int},
        summary="Flows by name.",
    ),
    Endpoint(
        name="get_flow",
        method="GET",
        path="/flows/{flow}",
        answer=flows.FlowDetail,
        scope="flows:read",
        query={"version": int},
        summary="One flow, its newest (or given) version and last runs.",
    ),
    Endpoint(
        name="delete_flow",
        method="DELETE",
        path="/flows/{flow}",
        answer=server.Nothing,
        scope="flows:write",
        summary="Forget a flow, its versions and ended runs.",
    ),
    Endpoint(
        name="pause_flow",
        method="POST",
        path="/flows/{flow}/pause",
        answer=flows.FlowSummary,
        scope="flows:write",
        summary="Stop making scheduled runs; those not started are withdrawn.",
    ),
    Endpoint(
        name="resume_flow",
        method="POST",
        path="/flows/{flow}/resume",
        answer=flows.FlowSummary,
        scope="flows:write",
        summary="Make scheduled runs again, from now on.",
    ),
    Endpoint(
        name="explain_flow",
        method="GET",
        path="/flows/{flow}/explain",
        answer=flows.Explanation,
        scope="flows:read",
        summary="Where the code is, who runs it, and why it does not start.",
    ),
    Endpoint(
        name="create_run",
        method="POST",
        path="/flows/{flow}/runs",
        request=runs.CreateRun,
        answer=runs.RunRecord,
        scope="runs:write",
        summary="Ask for a run, now or at a time.",
    ),
    Endpoint(
        name="list_runs",
        method="GET",
        path="/runs",
        answer=runs.RunPage,
        scope="runs:read",
        query={"flow": str, "state": str, "before": str, "limit": int},
        summary="Runs, newest first.",
    ),
    Endpoint(
        name="get_run",
        method="GET",
        path="/runs/{run}",
        answer=runs.RunRecord,
        scope="runs:read",
        summary="One run, with why it waits.",
    ),
    Endpoint(
        name="get_run_spec",
        method="GET",
        path="/runs/{run}/spec",
        answer=flows.FlowSpec,
        scope="runs:read",
        summary="The metadata of the flow version that a run runs (its graph).",
    ),
    Endpoint(
        name="list_task_runs",
        method="GET",
        path="/runs/{run}/tasks",
        answer=tuple[runs.TaskRunRecord, ...],
        scope="runs:read",
        summary="The states of a run's tasks.",
    ),
    Endpoint(
        name="list_run_states",
        method="GET",
        path="/runs/{run}/states",
        answer=tuple[runs.StateEvent, ...],
        scope="runs:read",
        summary="A run's history.",
    ),
    Endpoint(
        name="list_logs",
        method="GET",
        path="/runs/{run}/logs",
        answer=logs.LogPage,
        scope="runs:read",
        query={"after": int, "limit": int},
        summary="Lines of a run's log.",
    ),
    Endpoint(
        name="cancel_run",
        method="POST",
        path="/runs/{run}/cancel",
        request=runs.CancelRun,
        answer=runs.RunRecord,
        scope="runs:write",
        summary="Stop a run.",
    ),
    Endpoint(
        name="retry_run",
        method="POST",
        path="/runs/{run}/retry",
        request=runs.RetryRun,
        answer=runs.RunRecord,
        scope="runs:write",
        summary="Run an ended run again.",
    ),
    Endpoint(
        name="register_agent",
        method="POST",
        path="/agents",
        request=agents.RegisterAgent,
        answer=agents.AgentRecord,
        scope="runs:claim",
        summary="An agent begins to work.",
    ),
    Endpoint(
        name="list_agents",
        method="GET",
        path="/agents",
        answer=agents.AgentPage,
        scope="flows:read",
        summary="Agents, with labels and when they were last seen.",
    ),
    Endpoint(
        name="stop_agent",
        method="POST",
        path="/agents/{agent}/stop",
        request=agents.AgentStopped,
        answer=agents.AgentRecord,
        scope="runs:claim",
        summary="An agent says goodbye.",
    ),
    Endpoint(
        name="claim_runs",
        method="POST",
        path="/agents/{agent}/claim",
        request=agents.ClaimRuns,
        answer=agents.ClaimAnswer,
        scope="runs:claim",
        waits=True,
        summary="Long poll for due runs.",
    ),
    Endpoint(
        name="start_run",
        method="POST",
        path="/runs/{run}/start",
        request=runs.StartRun,
        answer=runs.Lease,
        scope="runs:report",
        summary="The start gate.",
    ),
    Endpoint(
        name="heartbeat_run",
        method="POST",
        path="/runs/{run}/heartbeat",
        request=runs.Heartbeat,
        answer=runs.HeartbeatAnswer,
        scope="runs:report",
        summary="Renew a lease; learn of a cancel.",
    ),
    Endpoint(
        name="report_run",
        method="POST",
        path="/runs/{run}/report",
        request=runs.Report,
        answer=runs.ReportAnswer,
        scope="runs:report",
        body_limit=4 * 1_048_576,
        summary="Deliver states, logs and the end, in order, each once.",
    ),
    Endpoint(
        name="hand_back_run",
        method="POST",
        path="/runs/{run}/hand_back",
        request=runs.HandBack,
        answer=runs.RunRecord,
        scope="runs:report",
        summary="Give a run back unfinished.",
    ),
    Endpoint(
        name="list_tokens",
        method="GET",
        path="/tokens",
        answer=server.TokenPage,
        scope="tokens:write",
        summary="Tokens by name, without their secrets.",
    ),
    Endpoint(
        name="create_token",
        method="POST",
        path="/tokens",
        request=server.CreateToken,
        answer=server.NewToken,
        scope="tokens:write",
        summary="Make a token; its secret is shown once.",
    ),
    Endpoint(
        name="revoke_token",
        method="DELETE",
        path="/tokens/{token}",
        answer=server.Nothing,
        scope="tokens:write",
        summary="Make a token useless at once.",
    ),
)
"""Every row but the event stream, which is not request and answer: ``GET /events`` (scope ``runs:read``,
query ``run``, ``flow``; server-sent events; header ``Last-Event-ID``)."""

BY_NAME: dict[str, Endpoint] = {row.name: row for row in ENDPOINTS}
