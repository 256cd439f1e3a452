"""Agents: they come, claim runs, and go."""

from __future__ import annotations

from jupyter_flows.core import transitions
from jupyter_flows.core.labels import matches, validate_labels
from jupyter_flows.errors import Refused
from jupyter_flows.schema.agents import (
    AgentPage,
    AgentRecord,
    AgentStopped,
    Claim,
    ClaimAnswer,
    ClaimRuns,
    RegisterAgent,
)
from jupyter_flows.schema.runs import Lease
from jupyter_flows.server import auth
from jupyter_flows.server.api.call import Call
from jupyter_flows.server.store import Transaction
from jupyter_flows.server.store import agents as store
from jupyter_flows.server.store import flows as flow_store
from jupyter_flows.server.store import runs as run_store
from jupyter_flows.server.store import tokens as token_store
from jupyter_flows.server.store.agents import AgentRow
from jupyter_flows.server.store.runs import RunRow


def register_agent(call: Call, request: RegisterAgent) -> AgentRecord:
    """Say that an agent begins to work; a second one of a name that is asking gets a suffix."""
    validate_labels(request.labels)
    name, number = request.name, 1
    while _is_somebody_else(call, request, name):
        number += 1
        name = f"{request.name[:190]}-{number}"
    row = store.put_agent(call.tx, request, name=name, token_id=call.principal.token_id)
    running = run_store.held_by(call.tx, [row.id]).get(row.id, 0)
    return store.record(row, now=call.tx.now, running=running)


def _is_somebody_else(call: Call, request: RegisterAgent, name: str) -> bool:
    """Tell whether *name* is an agent's that lives: one that asks just now, or is on another machine.

    An agent that was killed and restarted keeps its name: its connection closed when it died.
    """
    row = store.agent_named(call.tx, name)
    if row is None:
        return False
    if (row.host, row.pid) == (request.host, request.pid) and row.pid:
        return False
    if call.server.is_polling(row.id):
        return True
    alive = store.record(row, now=call.tx.now).alive
    return alive and row.host != request.host


def list_agents(call: Call) -> AgentPage:
    """Return agents, with labels and when they were last seen."""
    return AgentPage(agents=store.list_agents(call.tx))


def stop_agent(call: Call, request: AgentStopped, *, agent: str) -> AgentRecord:
    """Say goodbye for an agent."""
    del request
    row = _own(call, agent)
    running = run_store.held_by(call.tx, [row.id]).get(row.id, 0)
    return store.record(store.gone(call.tx, row), now=call.tx.now, running=running)


def claim_runs(call: Call, request: ClaimRuns, *, agent: str) -> ClaimAnswer:
    """Give an agent the due runs that fit; once, without waiting (the binding waits)."""
    tx = call.tx
    row = _own(call, agent)
    store.seen(tx, row)
    if request.key is not None:
        again = run_store.claimed_with(tx, agent_id=row.id, key=request.key)
        if again:
            return ClaimAnswer(claims=tuple(_claim(call, run) for run in again))
    claimed = []
    for run in run_store.due_runs(tx, labels=fitting_labels(tx, row), limit=_room(tx, row, request)):
        taken = call.leases.advance(tx, run, transitions.Claim(agent=row.name))
        run_store.note_holder(
            tx, taken.id, agent_id=row.id, token_id=call.principal.token_id, key=request.key
        )
        claimed.append(_claim(call, taken))
    if claimed:
        store.tell(tx, row)
    return ClaimAnswer(claims=tuple(claimed))


def has_work(tx: Transaction, *, agent: str, request: ClaimRuns) -> bool:
    """Tell, reading only, whether a claim would be given something."""
    row = store.find_agent(tx, agent)
    if request.key is not None and run_store.claimed_with(tx, agent_id=row.id, key=request.key):
        return True
    return bool(fitting_labels(tx, row)) and _room(tx, row, request) > 0


def fitting_labels(tx: Transaction, agent: AgentRow) -> list[str]:
    """Return the label sets of due runs that an agent offers, as stored."""
    offered = agent.label_set
    return [
        text
        for text, labels in run_store.waiting_labels(tx)
        if matches(labels, offered, exclusive=agent.exclusive)
    ]


def _room(tx: Transaction, agent: AgentRow, request: ClaimRuns) -> int:
    if not agent.max_runs:
        return request.max_claims
    held = run_store.held_by(tx, [agent.id]).get(agent.id, 0)
    return max(0, min(request.max_claims, agent.max_runs - held))


def _claim(call: Call, run: RunRow) -> Claim:
    secret = auth.mint("run")
    token_store.add_run_token(call.tx, digest=auth.token_hash(secret), run_id=run.id, token=run.token)
    return Claim(
        run=run.record(),
        spec=flow_store.version_by_id(call.tx, run.version_id).spec,
        lease=lease(call, run),
        run_token=secret,
    )


def lease(call: Call, run: RunRow) -> Lease:
    """Return the right that a run's holder has."""
    settings = call.server.settings
    return Lease(run_id=run.id, token=run.token, ttl_s=settings.lease_ttl_s, heartbeat_s=settings.heartbeat_s)


def _own(call: Call, agent: str) -> AgentRow:
    row = store.find_agent(call.tx, agent)
    if row.token_id != call.principal.token_id:
        raise Refused(f"agent {row.name} registered with another token; register first")
    return row
