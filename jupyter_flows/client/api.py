"""The server's API as methods: one for each row of the endpoint table, plus the event stream.

Knows records and rows; :mod:`~jupyter_flows.client.transport` knows HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar
from urllib.parse import quote

import msgspec

from jupyter_flows.client.transport import Transport
from jupyter_flows.errors import InvalidRequest, ServerFault
from jupyter_flows.schema.agents import (
    AgentPage,
    AgentRecord,
    AgentStopped,
    ClaimAnswer,
    ClaimRuns,
    RegisterAgent,
)
from jupyter_flows.schema.base import from_json, to_json
from jupyter_flows.schema.endpoints import BY_NAME
from jupyter_flows.schema.events import Event
from jupyter_flows.schema.flows import (
    Explanation,
    FlowDetail,
    FlowPage,
    FlowSpec,
    FlowSummary,
    RegisterFlow,
    RegisterResult,
)
from jupyter_flows.schema.logs import LogPage
from jupyter_flows.schema.runs import (
    CancelRun,
    CreateRun,
    HandBack,
    Heartbeat,
    HeartbeatAnswer,
    Lease,
    Report,
    ReportAnswer,
    RetryRun,
    RunPage,
    RunRecord,
    StartRun,
    StateEvent,
    TaskRunRecord,
)
from jupyter_flows.schema.server import CreateToken, NewToken, Nothing, TokenPage, VersionInfo

A = TypeVar("A")

KEEP_ALIVE_LIMIT_S = 45.0
"""Three times the server's keep-alive: a stream silent for longer is broken."""


class FlowsApi:
    """The API of one server, with one token. Safe to use from several threads.

    Examples
    --------
    >>> api = FlowsApi.at("http://127.0.0.1:8841", token="jf_admin_...")
    >>> api.url
    'http://127.0.0.1:8841'
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @classmethod
    def at(cls, url: str, *, token: str = "", read_timeout_s: float = 40.0) -> FlowsApi:
        """Return the API of the server at *url*."""
        return cls(Transport(url, token=token, read_timeout_s=read_timeout_s))

    @property
    def url(self) -> str:
        """Address of the server."""
        return self._transport.url

    def with_token(self, token: str) -> FlowsApi:
        """Return the same server's API, seen with another token (a run's own, say)."""
        return FlowsApi.at(self.url, token=token)

    def close(self) -> None:
        """Close idle connections."""
        self._transport.close()

    # -- the server -----------------------------------------------------------------------------

    def get_version(self) -> VersionInfo:
        """Return who answers here; needs no token."""
        return self._call("get_version", VersionInfo)

    def list_tokens(self) -> TokenPage:
        """Return all tokens, without their secrets."""
        return self._call("list_tokens", TokenPage)

    def create_token(self, request: CreateToken) -> NewToken:
        """Make a token; the answer alone carries its secret."""
        return self._call("create_token", NewToken, body=request)

    def revoke_token(self, token: str) -> Nothing:
        """Make a token, named by id or name, useless at once."""
        return self._call("revoke_token", Nothing, token=token)

    # -- flows ----------------------------------------------------------------------------------

    def register_flow(self, request: RegisterFlow) -> RegisterResult:
        """Keep a flow's metadata; unchanged content makes no new version."""
        return self._call("register_flow", RegisterResult, body=request)

    def list_flows(
        self, *, project: str | None = None, after: str | None = None, limit: int | None = None
    ) -> FlowPage:
        """Return a page of flows by name."""
        return self._call("list_flows", FlowPage, query={"project": project, "after": after, "limit": limit})

    def get_flow(self, flow: str, *, version: int | None = None) -> FlowDetail:
        """Return one flow with its newest, or the given, version."""
        return self._call("get_flow", FlowDetail, query={"version": version}, flow=flow)

    def delete_flow(self, flow: str) -> Nothing:
        """Forget a flow, its versions and its ended runs."""
        return self._call("delete_flow", Nothing, flow=flow)

    def pause_flow(self, flow: str) -> FlowSummary:
        """Stop making scheduled runs; those not started are withdrawn."""
        return self._call("pause_flow", FlowSummary, flow=flow)

    def resume_flow(self, flow: str) -> FlowSummary:
        """Make scheduled runs again, from now on."""
        return self._call("resume_flow", FlowSummary, flow=flow)

    def explain_flow(self, flow: str) -> Explanation:
        """Return where the code is, who runs it, and why it does not start."""
        return self._call("explain_flow", Explanation, flow=flow)

    # -- runs -----------------------------------------------------------------------------------

    def create_run(self, flow: str, request: CreateRun | None = None) -> RunRecord:
        """Ask for a run, now or at a time."""
        return self._call("create_run", RunRecord, body=request or CreateRun(), flow=flow)

    def list_runs(
        self,
        *,
        flow: str | None = None,
        state: str | None = None,
        before: str | None = None,
        limit: int | None = None,
    ) -> RunPage:
        """Return a page of runs, newest first."""
        query = {"flow": flow, "state": state, "before": before, "limit": limit}
        return self._call("list_runs", RunPage, query=query)

    def get_run(self, run: str) -> RunRecord:
        """Return one run, with why it waits."""
        return self._call("get_run", RunRecord, run=run)

    def get_run_spec(self, run: str) -> FlowSpec:
        """Return the metadata of the flow version that a run runs."""
        return self._call("get_run_spec", FlowSpec, run=run)

    def list_task_runs(self, run: str) -> tuple[TaskRunRecord, ...]:
        """Return the states of a run's tasks."""
        return self._call("list_task_runs", tuple[TaskRunRecord, ...], run=run)

    def list_run_states(self, run: str) -> tuple[StateEvent, ...]:
        """Return a run's history, oldest first."""
        return self._call("list_run_states", tuple[StateEvent, ...], run=run)

    def list_logs(self, run: str, *, after: int | None = None, limit: int | None = None) -> LogPage:
        """Return lines of a run's log."""
        return self._call("list_logs", LogPage, query={"after": after, "limit": limit}, run=run)

    def cancel_run(self, run: str, request: CancelRun | None = None) -> RunRecord:
        """Stop a run."""
        return self._call("cancel_run", RunRecord, body=request or CancelRun(), run=run)

    def retry_run(self, run: str, request: RetryRun | None = None) -> RunRecord:
        """Run an ended run again."""
        return self._call("retry_run", RunRecord, body=request or RetryRun(), run=run)

    # -- agents and keepers ---------------------------------------------------------------------

    def register_agent(self, request: RegisterAgent) -> AgentRecord:
        """Say that an agent begins to work; the answer's name may carry a suffix."""
        return self._call("register_agent", AgentRecord, body=request)

    def list_agents(self) -> AgentPage:
        """Return the agents seen in the last week."""
        return self._call("list_agents", AgentPage)

    def stop_agent(self, agent: str, request: AgentStopped | None = None) -> AgentRecord:
        """Say goodbye for an agent."""
        return self._call("stop_agent", AgentRecord, body=request or AgentStopped(), agent=agent)

    def claim_runs(self, agent: str, request: ClaimRuns | None = None) -> ClaimAnswer:
        """Wait for due runs that fit, at the longest ``request.wait_s``."""
        request = request or ClaimRuns()
        return self._call(
            "claim_runs", ClaimAnswer, body=request, read_timeout_s=request.wait_s + 10.0, agent=agent
        )

    def start_run(self, run: str, request: StartRun) -> Lease:
        """Pass the start gate: user code may begin after this returned."""
        return self._call("start_run", Lease, body=request, run=run)

    def heartbeat_run(self, run: str, request: Heartbeat) -> HeartbeatAnswer:
        """Renew a lease; learn of a cancel."""
        return self._call("heartbeat_run", HeartbeatAnswer, body=request, run=run)

    def report_run(self, run: str, request: Report) -> ReportAnswer:
        """Deliver states, logs and the end, in order, each once."""
        return self._call("report_run", ReportAnswer, body=request, run=run)

    def hand_back_run(self, run: str, request: HandBack) -> RunRecord:
        """Give a run back unfinished."""
        return self._call("hand_back_run", RunRecord, body=request, run=run)

    # -- the stream -----------------------------------------------------------------------------

    def events(
        self, *, run: str | None = None, flow: str | None = None, after: int | None = None
    ) -> Iterator[Event]:
        """Yield events as they happen; ends when the server closes the stream.

        Parameters
        ----------
        run, flow : only events of this run or flow.
        after : id of the last event already seen; 0: from the beginning; default: from now on.

        Raises
        ------
        ServerUnavailable : the connection broke; go on with ``after=`` the last event's id.
        """
        query = _query({"run": run, "flow": flow, "after": after})
        decode = msgspec.json.Decoder(Event).decode
        with self._transport.stream("/events", query=query, read_timeout_s=KEEP_ALIVE_LIMIT_S) as pieces:
            for data in _messages(pieces):
                try:
                    yield decode(data)
                except msgspec.DecodeError as error:
                    raise ServerFault(f"{self.url} sent an event that is none: {error}") from error

    def _call(
        self,
        name: str,
        kind: type[A],
        *,
        body: msgspec.Struct | None = None,
        query: dict[str, str | int | None] | None = None,
        read_timeout_s: float | None = None,
        **path: str,
    ) -> A:
        row = BY_NAME[name]
        where = row.path.format(**{key: quote(value, safe="") for key, value in path.items()})
        data = to_json(body) if body is not None else (b"{}" if row.method == "POST" else None)
        answer = self._transport.request(
            row.method, where, query=_query(query or {}), body=data, read_timeout_s=read_timeout_s
        )
        try:
            return from_json(answer, kind)
        except InvalidRequest as error:
            raise ServerFault(f"{self.url} gave an answer to {name} that is none: {error}") from error


def _query(given: dict[str, str | int | None]) -> dict[str, str]:
    return {key: str(value) for key, value in given.items() if value is not None}


def _messages(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the data of each server-sent event."""
    rest = b""
    for piece in pieces:
        *blocks, rest = (rest + piece).split(b"\n\n")
        for block in blocks:
            data = b"\n".join(line[5:].lstrip() for line in block.split(b"\n") if line.startswith(b"data:"))
            if data:
                yield data
