"""Connections, transactions, and what differs between SQLite and PostgreSQL. Knows no table's meaning."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event as sa_event
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import QueuePool, StaticPool

from jupyter_flows.errors import DatabaseUnusable, FlowsError, InvalidSettings, ServerUnavailable
from jupyter_flows.schema.base import to_json, utc_now
from jupyter_flows.schema.events import EventBody
from jupyter_flows.server.store import tables
from jupyter_flows.server.store.lock import FileLock

_EVENTS_LOCK = 0x6A66_0001
_LEADER_LOCK = 0x6A66_0002
_START_LOCK = 0x6A66_0003


class Conflict(Exception):
    """Two transactions met; nothing happened; try again."""


class Transaction:
    """One transaction: a connection, its moment, and the events it will append when it commits.

    ``now`` is the deciding clock: the database's on PostgreSQL, this process's on SQLite.
    """

    def __init__(self, connection: sa.Connection, *, now: datetime, is_postgres: bool) -> None:
        self.connection = connection
        self.now = now
        self.is_postgres = is_postgres
        self.offers = False
        """Whether a run may have become claimable: agents that wait are woken."""
        self.schedules_changed = False
        self._events: list[dict[str, Any]] = []

    def append(self, body: EventBody, *, run_id: str | None = None, flow_id: str | None = None) -> None:
        """Append an event to the stream, in this transaction."""
        self._events.append(
            {"at": self.now, "run_id": run_id, "flow_id": flow_id, "body": to_json(body).decode()}
        )

    def write_events(self) -> bool:
        """Write the appended events; tell whether there were any."""
        if not self._events:
            return False
        if self.is_postgres:
            # Ids are given at insert but seen at commit: in turn, so that no reader skips one.
            self.connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_EVENTS_LOCK)))
        self.connection.execute(sa.insert(tables.events), self._events)
        return True


class Database:
    """The database at an address. On SQLite this process becomes the only one that may open it.

    Parameters
    ----------
    url : SQLAlchemy address of SQLite or PostgreSQL.
    on_commit : called after each commit with ``(events, offers, schedules_changed)``.
    """

    def __init__(self, url: str, *, on_commit: Callable[[bool, bool, bool], None] | None = None) -> None:
        try:
            self._url = sa.make_url(url)
        except ArgumentError as error:
            raise InvalidSettings(f"database_url is no address: {error}") from None
        self.is_postgres = self._url.get_backend_name() == "postgresql"
        if self._url.get_backend_name() not in {"sqlite", "postgresql"}:
            raise InvalidSettings(
                f"database_url names {self._url.get_backend_name()}; SQLite and PostgreSQL are supported"
            )
        self._on_commit = on_commit or (lambda *_: None)
        self._write_lock = threading.Lock()
        self._file: Path | None = None
        self._file_lock: FileLock | None = None
        self._leader: sa.Connection | None = None
        if not self.is_postgres:
            if not self._url.database or self._url.database == ":memory:":
                raise InvalidSettings("database_url names no file; write it as sqlite:////path/to/flows.db")
            self._file = Path(self._url.database)

    def open(self) -> None:
        """Take the lock, connect, check, and bring the tables up to date.

        Raises
        ------
        DatabaseInUse : another process has the SQLite file.
        DatabaseUnusable : damaged, newer than this code, or cannot be opened.
        """
        if self._file is not None:
            try:
                self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise DatabaseUnusable(f"{self._file.parent} cannot be made: {error.strerror}") from error
            self._file_lock = FileLock(self._file)
            self._file_lock.take()
        try:
            self._connect()
            self._prepare()
        except BaseException as error:
            self.close()
            if isinstance(error, DBAPIError):
                raise DatabaseUnusable(f"{self.describe()} cannot be opened: {_said(error)}") from error
            raise

    def describe(self) -> str:
        """Return where the database is, without a password."""
        return str(self._file) if self._file is not None else self._url.render_as_string(hide_password=True)

    def _connect(self) -> None:
        if self.is_postgres:
            try:
                url = self._url
                if url.drivername == "postgresql":
                    url = url.set(drivername="postgresql+psycopg")
                self._writer = self._reader = sa.create_engine(
                    url,
                    pool_size=8,
                    max_overflow=8,
                    pool_pre_ping=True,
                    isolation_level="READ COMMITTED",
                    hide_parameters=True,
                    connect_args={"connect_timeout": 10},
                )
            except (ModuleNotFoundError, NoSuchModuleError) as error:
                raise InvalidSettings(
                    "PostgreSQL needs the package psycopg: pip install 'jupyter-flows[postgres]'"
                ) from error
            return
        assert self._file is not None
        previous = os.umask(0o077)
        try:
            arguments = {"check_same_thread": False, "timeout": 5.0}
            self._writer = sa.create_engine(
                self._url, poolclass=StaticPool, connect_args=arguments, hide_parameters=True
            )
            self._reader = sa.create_engine(
                self._url,
                poolclass=QueuePool,
                pool_size=4,
                max_overflow=8,
                connect_args=arguments,
                hide_parameters=True,
            )
            sa_event.listen(self._writer, "connect", _prepare_writer)
            sa_event.listen(self._writer, "begin", _begin_immediate)
            sa_event.listen(self._reader, "connect", _prepare_reader)
            sa_event.listen(self._reader, "begin", _begin_deferred)
            with self._writer.connect() as connection:
                damage = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
            if damage != "ok":
                raise DatabaseUnusable(
                    f"{self._file} is damaged ({damage}); stop, keep a copy of it, and restore a backup"
                )
        finally:
            os.umask(previous)

    def _prepare(self) -> None:
        """Create or migrate the tables; alembic is imported only if there is something to migrate."""
        with self._writer.begin() as connection:
            if self.is_postgres:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_START_LOCK)))
            found = None
            inspector = sa.inspect(connection)
            if inspector.has_table("alembic_version"):
                found = connection.execute(sa.select(tables.alembic_version.c.version_num)).scalar()
            if found is None:
                if inspector.has_table("flows"):
                    raise DatabaseUnusable(f"{self.describe()} has tables of something else")
                tables.metadata.create_all(connection)
                connection.execute(sa.insert(tables.alembic_version).values(version_num=tables.HEAD))
                return
            if found == tables.HEAD:
                return
            if found not in tables.REVISIONS:
                raise DatabaseUnusable(
                    f"{self.describe()} was written by a newer jupyter_flows (schema {found}; this one knows "
                    f"{tables.HEAD}); upgrade jupyter-flows, or restore the backup from before"
                )
            from jupyter_flows.server.store.migrate import upgrade

            upgrade(connection)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Open a transaction that reads: one consistent view."""
        with self._translated(), self._reader.connect() as connection, connection.begin():
            yield Transaction(connection, now=self._now(connection), is_postgres=self.is_postgres)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Open a transaction that writes; it commits at the end, with its events, or leaves nothing."""
        with self._translated():
            if not self.is_postgres:
                self._write_lock.acquire()
            try:
                with self._writer.connect() as connection, connection.begin():
                    transaction = Transaction(
                        connection, now=self._now(connection), is_postgres=self.is_postgres
                    )
                    yield transaction
                    has_events = transaction.write_events()
            finally:
                if not self.is_postgres:
                    self._write_lock.release()
        self._on_commit(has_events, transaction.offers, transaction.schedules_changed)

    def lead(self) -> bool:
        """Tell whether this process schedules: always on SQLite, one of several on PostgreSQL."""
        if not self.is_postgres:
            return True
        try:
            if self._leader is None:
                connection = self._writer.connect().execution_options(isolation_level="AUTOCOMMIT")
                if connection.execute(sa.select(sa.func.pg_try_advisory_lock(_LEADER_LOCK))).scalar():
                    self._leader = connection
                else:
                    connection.close()
            else:
                self._leader.execute(sa.select(1))
        except DBAPIError:
            # The connection is gone, and the lock with it.
            if self._leader is not None:
                self._leader.invalidate()
                self._leader.close()
                self._leader = None
        return self._leader is not None

    def close(self) -> None:
        """Close everything and give the lock back."""
        if self._leader is not None:
            self._leader.invalidate()
            self._leader.close()
            self._leader = None
        for name in ("_reader", "_writer"):
            engine = getattr(self, name, None)
            if engine is not None:
                engine.dispose()
        if self._file_lock is not None:
            self._file_lock.release()

    def _now(self, connection: sa.Connection) -> datetime:
        if not self.is_postgres:
            return utc_now()
        now: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
        return now

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError as error:
            raise Conflict from error
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) in {"40001", "40P01"}:
                raise Conflict from error
            raise self._unavailable(error) from error

    def _unavailable(self, error: OperationalError) -> FlowsError:
        said = _said(error)
        if "locked" in said:
            return ServerUnavailable(
                f"the database {self.describe()} is locked by another program; try again"
            )
        if "full" in said:
            return ServerUnavailable(f"no space is left for the database {self.describe()}")
        return ServerUnavailable(f"the database cannot be used now: {said}")


def _said(error: DBAPIError) -> str:
    return str(error.orig).splitlines()[0][:300] if str(error.orig) else type(error.orig).__name__


def _prepare_writer(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "mmap_size=0",
        "journal_size_limit=67108864",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _prepare_reader(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA query_only=ON").close()
    # Checkpoints come from the one connection that writes.
    connection.execute("PRAGMA wal_autocheckpoint=0").close()


def _begin_immediate(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_deferred(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN")
