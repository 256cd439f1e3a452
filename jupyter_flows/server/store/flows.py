"""Flows and their versions: rows in, records out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache

import msgspec
import sqlalchemy as sa

from jupyter_flows.errors import NotFound
from jupyter_flows.schema.base import from_json, new_id
from jupyter_flows.schema.flows import FlowSpec, FlowVersion
from jupyter_flows.server.store.database import Transaction
from jupyter_flows.server.store.tables import (
    events,
    flows,
    logs,
    run_states,
    run_tokens,
    runs,
    schedules,
    task_runs,
    versions,
)

HIDDEN_ROLES = frozenset({"setup", "parameters"})


class FlowRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``flows``."""

    id: str
    project: str
    name: str
    version: int
    paused: bool
    paused_by_person: bool
    created_at: datetime


def find_flow(tx: Transaction, name: str) -> FlowRow:
    """Return the flow with this id, ``project/name``, or name.

    Raises
    ------
    NotFound : none, or the name stands in several projects.
    """
    query = sa.select(flows)
    project, slash, rest = name.partition("/")
    rows = (
        tx.connection.execute(
            query.where(
                sa.or_(
                    flows.c.id == name,
                    flows.c.name == name,
                    sa.and_(flows.c.project == project, flows.c.name == rest) if slash else sa.false(),
                )
            )
        )
        .mappings()
        .all()
    )
    exact = [row for row in rows if row["id"] == name]
    if not exact and slash:
        exact = [row for row in rows if (row["project"], row["name"]) == (project, rest)]
    found = exact or rows
    if not found:
        raise NotFound(f"there is no flow {name[:100]!r}; see `jupyter flows ls`")
    if len(found) > 1:
        several = ", ".join(sorted(f"{row['project']}/{row['name']}" for row in found))
        raise NotFound(f"{name!r} is the name of {len(found)} flows: say which one: {several}")
    return _flow(found[0])


def named_flow(tx: Transaction, *, project: str, name: str) -> FlowRow | None:
    """Return the flow of this name, locked until the transaction ends, or None."""
    row = (
        tx.connection.execute(
            sa.select(flows).where(flows.c.project == project, flows.c.name == name).with_for_update()
        )
        .mappings()
        .first()
    )
    return None if row is None else _flow(row)


def add_flow(tx: Transaction, *, project: str, name: str, paused: bool) -> FlowRow:
    """Insert a flow without a version yet."""
    row = FlowRow(
        id=new_id(),
        project=project,
        name=name,
        version=0,
        paused=paused,
        paused_by_person=False,
        created_at=tx.now,
    )
    tx.connection.execute(sa.insert(flows).values(**msgspec.structs.asdict(row)))
    return row


def update_flow(
    tx: Transaction,
    flow: FlowRow,
    *,
    version: int | None = None,
    paused: bool | None = None,
    by_person: bool = False,
) -> FlowRow:
    """Change a flow; return it as it is then."""
    new = msgspec.structs.replace(
        flow,
        version=flow.version if version is None else version,
        paused=flow.paused if paused is None else paused,
        paused_by_person=flow.paused_by_person if paused is None else (paused and by_person),
    )
    tx.connection.execute(
        sa.update(flows)
        .where(flows.c.id == flow.id)
        .values(version=new.version, paused=new.paused, paused_by_person=new.paused_by_person)
    )
    return new


def list_flows(
    tx: Transaction, *, project: str | None, after: tuple[str, str] | None, limit: int
) -> list[FlowRow]:
    """Return flows by name (then project), later than *after*."""
    query = sa.select(flows).order_by(flows.c.name, flows.c.project).limit(limit)
    if project is not None:
        query = query.where(flows.c.project == project)
    if after is not None:
        name, in_project = after
        query = query.where(
            sa.or_(flows.c.name > name, sa.and_(flows.c.name == name, flows.c.project > in_project))
        )
    return [_flow(row) for row in tx.connection.execute(query).mappings()]


def delete_flow(tx: Transaction, flow: FlowRow) -> None:
    """Delete a flow with its versions, schedules, runs and all that hangs on them."""
    connection = tx.connection
    of_flow = sa.select(runs.c.id).where(runs.c.flow_id == flow.id)
    for table in (run_tokens, task_runs, run_states, logs):
        connection.execute(sa.delete(table).where(table.c.run_id.in_(of_flow)))
    connection.execute(sa.delete(events).where(events.c.flow_id == flow.id))
    for table in (runs, schedules, versions):
        connection.execute(sa.delete(table).where(table.c.flow_id == flow.id))
    connection.execute(sa.delete(flows).where(flows.c.id == flow.id))


def add_version(
    tx: Transaction, flow: FlowRow, *, spec: FlowSpec, encoded: bytes, digest: str, registered_by: str
) -> FlowVersion:
    """Insert the next version of a flow; *encoded* is its spec's canonical JSON, *digest* that of it."""
    version = FlowVersion(
        id=new_id(),
        flow_id=flow.id,
        version=flow.version + 1,
        digest=digest,
        spec=spec,
        registered_at=tx.now,
        registered_by=registered_by,
    )
    tx.connection.execute(
        sa.insert(versions).values(
            id=version.id,
            flow_id=flow.id,
            version=version.version,
            digest=digest,
            spec=encoded.decode(),
            total_tasks=len(visible(spec)),
            registered_at=tx.now,
            registered_by=registered_by,
        )
    )
    return version


def get_version(tx: Transaction, flow: FlowRow, *, version: int | None = None) -> FlowVersion:
    """Return the newest, or the given, version.

    Raises
    ------
    NotFound : the flow has no such version.
    """
    number = flow.version if version is None else version
    row = (
        tx.connection.execute(
            sa.select(versions).where(versions.c.flow_id == flow.id, versions.c.version == number)
        )
        .mappings()
        .first()
    )
    if row is None:
        raise NotFound(f"{flow.name} has no version {number}; its newest is {flow.version}")
    return _version(row)


def version_by_id(tx: Transaction, version_id: str) -> FlowVersion:
    """Return a version by its id, which a run carries."""
    return _version(
        tx.connection.execute(sa.select(versions).where(versions.c.id == version_id)).mappings().one()
    )


def version_numbers(tx: Transaction, flow: FlowRow) -> tuple[int, ...]:
    """Return the numbers of a flow's versions, newest first."""
    query = sa.select(versions.c.version).where(versions.c.flow_id == flow.id)
    return tuple(tx.connection.scalars(query.order_by(versions.c.version.desc())))


def newest_specs(tx: Transaction, found: Iterable[FlowRow]) -> dict[str, FlowVersion]:
    """Return the newest version of each flow, by flow id."""
    ids = [flow.id for flow in found]
    query = (
        sa.select(versions)
        .join(flows, sa.and_(flows.c.id == versions.c.flow_id, flows.c.version == versions.c.version))
        .where(flows.c.id.in_(ids))
    )
    return {row["flow_id"]: _version(row) for row in tx.connection.execute(query).mappings()}


def visible(spec: FlowSpec) -> frozenset[str]:
    """Return the slugs of the tasks that people count: not those of setup and parameters cells."""
    return frozenset(task.slug for task in spec.tasks if task.role not in HIDDEN_ROLES)


def visible_slugs(tx: Transaction, version_id: str) -> frozenset[str]:
    """Return :func:`visible` of a version by id; specs do not change, so it is remembered."""
    remembered = _SLUGS.get(version_id)
    if remembered is None:
        remembered = visible(version_by_id(tx, version_id).spec)
        if len(_SLUGS) > 500:
            _SLUGS.clear()
        _SLUGS[version_id] = remembered
    return remembered


_SLUGS: dict[str, frozenset[str]] = {}


@lru_cache(maxsize=200)
def _spec(text: str) -> FlowSpec:
    return from_json(text, FlowSpec)


def _flow(row: sa.RowMapping) -> FlowRow:
    return FlowRow(**row)


def _version(row: sa.RowMapping) -> FlowVersion:
    values = dict(row)
    del values["total_tasks"]
    return FlowVersion(**{**values, "spec": _spec(values["spec"])})
