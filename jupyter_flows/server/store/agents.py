"""Agents as the server knows them."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa

from jupyter_flows.errors import NotFound
from jupyter_flows.schema.agents import AgentRecord, RegisterAgent
from jupyter_flows.schema.base import new_id, to_json
from jupyter_flows.schema.events import AgentChanged
from jupyter_flows.server.store.database import Transaction
from jupyter_flows.server.store.runs import held_by
from jupyter_flows.server.store.tables import agents

SILENT_AFTER = timedelta(seconds=90)
"""An idle agent asks every 30 s (60 at the most): three missed questions and it is silent."""
FORGOTTEN_AFTER = timedelta(days=7)
_decode_words = msgspec.json.Decoder(tuple[str, ...]).decode


class AgentRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``agents``; ``present`` until it said goodbye or fell silent."""

    id: str
    name: str
    labels: str
    kind: str
    host: str
    pid: int
    version: str
    exclusive: bool
    max_runs: int
    kernels: str
    python: str
    token_id: str
    started_at: datetime
    last_seen_at: datetime
    present: bool

    @property
    def label_set(self) -> tuple[str, ...]:
        """The labels it offers."""
        return _decode_words(self.labels)


def put_agent(tx: Transaction, request: RegisterAgent, *, name: str, token_id: str) -> AgentRow:
    """Write an agent under *name*, in the place of an earlier one of that name."""
    old = tx.connection.execute(sa.select(agents.c.id).where(agents.c.name == name)).scalar()
    row = AgentRow(
        id=old or new_id(),
        name=name,
        labels=to_json(sorted(set(request.labels))).decode(),
        kind=request.kind,
        host=request.host,
        pid=request.pid,
        version=request.version,
        exclusive=request.exclusive,
        max_runs=request.max_runs,
        kernels=to_json(request.kernels).decode(),
        python=request.python,
        token_id=token_id,
        started_at=tx.now,
        last_seen_at=tx.now,
        present=True,
    )
    values = msgspec.structs.asdict(row)
    if old is None:
        tx.connection.execute(sa.insert(agents).values(**values))
    else:
        tx.connection.execute(sa.update(agents).where(agents.c.id == old).values(**values))
    tell(tx, row)
    return row


def find_agent(tx: Transaction, name: str) -> AgentRow:
    """Return the agent with this id or name.

    Raises
    ------
    NotFound : none.
    """
    row = (
        tx.connection.execute(sa.select(agents).where(sa.or_(agents.c.id == name, agents.c.name == name)))
        .mappings()
        .first()
    )
    if row is None:
        raise NotFound(f"there is no agent {name[:100]!r}")
    return AgentRow(**row)


def agent_named(tx: Transaction, name: str) -> AgentRow | None:
    """Return the agent of this name, or None."""
    row = tx.connection.execute(sa.select(agents).where(agents.c.name == name)).mappings().first()
    return None if row is None else AgentRow(**row)


def seen(tx: Transaction, agent: AgentRow) -> None:
    """Note that an agent asked."""
    tx.connection.execute(
        sa.update(agents).where(agents.c.id == agent.id).values(last_seen_at=tx.now, present=True)
    )
    if not agent.present:
        tell(tx, msgspec.structs.replace(agent, last_seen_at=tx.now, present=True))


def gone(tx: Transaction, agent: AgentRow) -> AgentRow:
    """Note that an agent said goodbye, or fell silent."""
    row = msgspec.structs.replace(agent, present=False)
    tx.connection.execute(sa.update(agents).where(agents.c.id == agent.id).values(present=False))
    tell(tx, row)
    return row


def silent_agents(tx: Transaction) -> list[AgentRow]:
    """Return agents that should have asked, and did not."""
    query = sa.select(agents).where(agents.c.present, agents.c.last_seen_at < tx.now - SILENT_AFTER)
    return [AgentRow(**row) for row in tx.connection.execute(query).mappings()]


def list_agents(tx: Transaction) -> tuple[AgentRecord, ...]:
    """Return the agents seen in the last week, living ones first."""
    query = sa.select(agents).where(agents.c.last_seen_at >= tx.now - FORGOTTEN_AFTER)
    rows = [AgentRow(**row) for row in tx.connection.execute(query.order_by(agents.c.name)).mappings()]
    held = held_by(tx, [row.id for row in rows])
    records = [record(row, now=tx.now, running=held.get(row.id, 0)) for row in rows]
    return tuple(sorted(records, key=lambda agent: (not agent.alive, agent.name)))


def record(row: AgentRow, *, now: datetime, running: int = 0) -> AgentRecord:
    """Return an agent as others see it."""
    return AgentRecord(
        id=row.id,
        name=row.name,
        labels=row.label_set,
        kind=row.kind,
        host=row.host,
        pid=row.pid,
        version=row.version,
        exclusive=row.exclusive,
        max_runs=row.max_runs,
        kernels=_decode_words(row.kernels),
        python=row.python,
        started_at=row.started_at,
        last_seen_at=row.last_seen_at,
        alive=row.present and row.last_seen_at >= now - SILENT_AFTER,
        running=running,
    )


def tell(tx: Transaction, row: AgentRow) -> None:
    """Append the event that an agent changed."""
    running = held_by(tx, [row.id]).get(row.id, 0)
    tx.append(AgentChanged(agent=record(row, now=tx.now, running=running)))
