"""The database: one owner, migrated, checked when it is opened, and honest about what is wrong with it."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys

import pytest
import sqlalchemy as sa

from jupyter_flows.errors import DatabaseInUse, DatabaseUnusable, InvalidSettings, ServerUnavailable
from jupyter_flows.server.store import Conflict, Database, tables
from jupyter_flows.server.store.migrate import upgrade

from .conftest import flow_spec  # noqa: F401 - the package's fixtures are used


def shape(engine: sa.Engine) -> dict:
    """Tables with columns, keys and indexes, as the database itself tells them."""
    inspector = sa.inspect(engine)
    return {
        name: {
            "columns": {(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(name)},
            "primary": inspector.get_pk_constraint(name)["constrained_columns"],
            "foreign": {(f["name"], f["referred_table"]) for f in inspector.get_foreign_keys(name)},
            "unique": {(u["name"], tuple(u["column_names"])) for u in inspector.get_unique_constraints(name)},
            "indexes": {
                (i["name"], tuple(i["column_names"]), bool(i["unique"])) for i in inspector.get_indexes(name)
            },
        }
        for name in inspector.get_table_names()
    }


def migrated_and_made(url_a: str, url_b: str) -> tuple[dict, dict]:
    first, second = sa.create_engine(url_a), sa.create_engine(url_b)
    with first.begin() as connection:
        upgrade(connection)
    with second.begin() as connection:
        tables.metadata.create_all(connection)
    shapes = shape(first), shape(second)
    first.dispose()
    second.dispose()
    return shapes


def test_migrations_make_the_tables_that_the_code_means(tmp_path):
    by_migration, from_scratch = migrated_and_made(f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/b.db")
    assert by_migration == from_scratch


@pytest.mark.postgres
def test_migrations_make_the_same_on_postgresql(postgres):
    urls = []
    for name in ("migrated", "made"):
        postgres.psql(f'CREATE DATABASE "{name}";')
        urls.append(postgres.get_uri(name).replace("postgresql://", "postgresql+psycopg://"))
    by_migration, from_scratch = migrated_and_made(*urls)
    assert by_migration == from_scratch


def test_the_newest_revision_is_the_one_the_code_compares_with():
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    from jupyter_flows.server.store import migrate

    config = Config()
    config.set_main_option("script_location", str(migrate.Path(migrate.__file__).parent / "migrations"))
    script = ScriptDirectory.from_config(config)
    assert script.get_current_head() == tables.HEAD
    assert [entry.revision for entry in script.walk_revisions()][::-1] == list(tables.REVISIONS)


def test_a_new_file_is_its_users_alone_and_written_safely(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/deep/flows.db")
    database.open()
    with database.write() as tx:
        pragma = {name: tx.connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "foreign_keys")}  # fmt: skip
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "deep").iterdir()}
    database.close()
    assert pragma == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    assert set(modes.values()) == {0o600}
    assert {"flows.db", "flows.db-wal", "flows.db.lock"} <= set(modes)


def test_readers_cannot_write(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/flows.db")
    database.open()
    with pytest.raises(ServerUnavailable, match="readonly"), database.read() as tx:
        tx.connection.execute(sa.delete(tables.flows))
    database.close()


def test_a_second_process_is_told_who_has_the_file(tmp_path):
    """Another process holds it: refused with its pid; when that one is dead, the file is free."""
    program = (
        "import sys; from jupyter_flows.server.store import Database; d = Database(sys.argv[1]); d.open();"
        "print('open', flush=True); sys.stdin.read()"
    )
    url = f"sqlite:///{tmp_path}/flows.db"
    owner = subprocess.Popen(
        [sys.executable, "-c", program, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout.readline() == "open\n"
    with pytest.raises(DatabaseInUse, match=f"flows.db is in use by the server with pid {owner.pid};"):
        Database(url).open()
    owner.kill()
    owner.communicate()
    again = Database(url)
    again.open()
    again.close()


def open_with(tmp_path, data: bytes) -> None:
    (tmp_path / "flows.db").write_bytes(data)
    Database(f"sqlite:///{tmp_path}/flows.db").open()


def test_what_is_no_database_is_refused(tmp_path):
    with pytest.raises(DatabaseUnusable, match="flows.db cannot be opened: file is not a database"):
        open_with(tmp_path, b"not a database, but long enough to have a header " * 100)


def test_a_damaged_page_is_noticed_before_anything_is_written(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/flows.db")
    database.open()
    database.close()
    data = bytearray((tmp_path / "flows.db").read_bytes())
    data[4096 * 3 : 4096 * 9] = b"\xff" * 4096 * 6
    with pytest.raises(DatabaseUnusable, match="is damaged|cannot be opened"):
        open_with(tmp_path, bytes(data))


def test_a_newer_schema_is_refused_naming_both(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/flows.db")
    database.open()
    database.close()
    with sqlite3.connect(tmp_path / "flows.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(DatabaseUnusable, match=r"newer jupyter_flows \(schema 9999; this one knows 0002\)"):
        Database(f"sqlite:///{tmp_path}/flows.db").open()


def test_somebody_elses_tables_are_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / "flows.db") as connection:
        connection.execute("CREATE TABLE flows (x)")
    connection.close()
    with pytest.raises(DatabaseUnusable, match="has tables of something else"):
        Database(f"sqlite:///{tmp_path}/flows.db").open()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "is no address"),
        ("mysql://x/y", "SQLite and PostgreSQL are supported"),
        ("sqlite://", "names no file"),
    ],
)
def test_an_address_that_cannot_be_is_refused(url, words):
    with pytest.raises(InvalidSettings, match=words):
        Database(url)


def test_a_file_that_another_program_locks_is_told(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/flows.db")
    database.open()
    with database._writer.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=50")
    other = sqlite3.connect(tmp_path / "flows.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(ServerUnavailable, match="is locked by another program"), database.write() as tx:
        tx.connection.execute(sa.delete(tables.events))
    other.execute("ROLLBACK")
    other.close()
    with database.write() as tx:
        tx.connection.execute(sa.delete(tables.events))
    database.close()


def test_a_transaction_that_fails_leaves_nothing_and_rings_no_bell(tmp_path):
    commits = []
    database = Database(f"sqlite:///{tmp_path}/flows.db", on_commit=lambda *told: commits.append(told))
    database.open()
    with pytest.raises(ZeroDivisionError), database.write() as tx:
        tx.connection.execute(sa.insert(tables.alembic_version).values(version_num="x"))
        raise ZeroDivisionError
    with pytest.raises(Conflict), database.write() as tx:
        tx.connection.execute(sa.insert(tables.alembic_version).values(version_num=tables.HEAD))
    with database.read() as tx:
        assert (
            tx.connection.execute(sa.select(sa.func.count()).select_from(tables.alembic_version)).scalar()
            == 1
        )
    database.close()
    assert commits == []
