"""Agents, and what they are given when they claim."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from jupyter_flows.schema.base import Count, Id, Labels, Name, OptionalName, Record, Request, UtcTime, Word
from jupyter_flows.schema.flows import FlowSpec
from jupyter_flows.schema.runs import Lease, RunRecord


class RegisterAgent(Request, frozen=True, kw_only=True):
    """An agent that begins to work."""

    name: Name
    labels: Labels = ()
    kind: Word = "local"
    host: OptionalName = ""
    pid: Count = 0
    version: OptionalName = ""
    exclusive: bool = False
    max_runs: Count = 0
    kernels: Annotated[tuple[Name, ...], Meta(max_length=100)] = ()
    python: OptionalName = ""


class AgentRecord(Record, frozen=True, kw_only=True):
    """An agent as the server knows it."""

    id: Id
    name: Name
    labels: Labels = ()
    kind: Word = "local"
    host: OptionalName = ""
    pid: Count = 0
    version: OptionalName = ""
    exclusive: bool = False
    max_runs: Count = 0
    kernels: tuple[Name, ...] = ()
    python: OptionalName = ""
    started_at: UtcTime
    last_seen_at: UtcTime
    alive: bool = True
    running: Count = 0


class AgentPage(Record, frozen=True, kw_only=True):
    """All agents seen in the last week, living ones first."""

    agents: tuple[AgentRecord, ...]


class ClaimRuns(Request, frozen=True, kw_only=True):
    """Long poll: answer as soon as a run is due that fits, at the latest after ``wait_s``.

    ``key`` makes a repeated request get the first answer's claims again.
    """

    max_claims: Annotated[int, Meta(ge=1, le=100)] = 1
    wait_s: Annotated[float, Meta(ge=0, le=60)] = 30.0
    key: Word | None = None


class Claim(Record, frozen=True, kw_only=True):
    """A run to execute: the run, the metadata of its flow, and the lease."""

    run: RunRecord
    spec: FlowSpec
    lease: Lease
    run_token: str


class ClaimAnswer(Record, frozen=True, kw_only=True):
    """The runs claimed; none if the wait ended without one."""

    claims: tuple[Claim, ...] = ()


class AgentStopped(Request, frozen=True, kw_only=True):
    """An agent says goodbye."""

    message: str = ""
