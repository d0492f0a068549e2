"""The schema: migrated up and down, the same in code and in migrations, safe settings at each connect."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateTable
from tests.store.deliveries import A, draft

import apportion
from apportion.errors import Busy, DamagedFile, NewerState, NotRead, NotStored
from apportion.store import connection, locks, open_store, schema
from apportion.store.catalogue import METADATA
from apportion.store.connection import Catalogue


@pytest.fixture
def catalogue(tmp_path):
    catalogue = Catalogue(tmp_path / "catalogue.db")
    yield catalogue
    catalogue.close()


def tables(catalogue):
    """Name -> definition of everything in the database but Alembic's own table."""
    query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'alembic_version'"
    with catalogue.reading() as reading:
        return {name: clauses(sql) for name, sql in reading.exec_driver_sql(query)}


def clauses(sql):
    """The lines of a definition: columns in their order, constraints (whose order means nothing) sorted."""
    lines = [line.strip().rstrip(",") for line in sql.splitlines()]
    return sorted(
        lines, key=lambda line: (line.startswith("CONSTRAINT"), line if line.startswith("CONSTRAINT") else "")
    )


def test_the_migrations_make_exactly_the_tables_of_the_code(tmp_path, catalogue):
    schema.migrate(catalogue, schema.HEAD)
    plain = Catalogue(tmp_path / "plain.db")
    with plain.writing() as writing:
        METADATA.create_all(writing)
    assert tables(catalogue) == tables(plain)
    plain.close()


def test_the_migrations_lead_down_to_nothing_and_up_again(catalogue):
    schema.migrate(catalogue, schema.HEAD)
    before = tables(catalogue)
    schema.migrate(catalogue, "base")
    assert tables(catalogue) == {}
    schema.migrate(catalogue, schema.HEAD)
    assert tables(catalogue) == before


def test_a_migration_that_fails_leaves_nothing_behind(catalogue):
    with catalogue.writing() as writing:
        writing.exec_driver_sql("CREATE TABLE run_problems (in_the_way TEXT)")
    with pytest.raises(NotStored, match="table run_problems already exists"):
        schema.migrate(catalogue, schema.HEAD)
    assert list(tables(catalogue)) == ["run_problems"]
    with catalogue.reading() as reading:
        assert reading.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar() == 1


def test_the_code_knows_its_newest_migration():
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [schema.HEAD]


def test_every_table_is_strict_on_sqlite_and_plain_sql_on_postgresql(catalogue):
    schema.migrate(catalogue, schema.HEAD)
    found = tables(catalogue)
    for name, table in METADATA.tables.items():
        assert "STRICT" in found[name]
        text = str(CreateTable(table).compile(dialect=postgresql.dialect()))
        assert "STRICT" not in text
    assert "rows BIGINT NOT NULL" in str(
        CreateTable(METADATA.tables["snapshots"]).compile(dialect=postgresql.dialect())
    )


def test_a_word_is_no_number_of_rows(store):
    store.publish_snapshots([draft(store, A, 1)])
    with (
        pytest.raises(IntegrityError, match="cannot store TEXT value in INTEGER column"),
        store._catalogue.writing() as c,
    ):
        c.exec_driver_sql("UPDATE snapshots SET rows = 'many'")


def test_a_pointer_to_nothing_is_refused_by_the_database(store):
    with pytest.raises(IntegrityError, match="FOREIGN KEY"), store._catalogue.writing() as writing:
        writing.exec_driver_sql("INSERT INTO current_run (one, run_no) VALUES (1, 7)")


def test_a_newer_state_is_refused_and_not_touched(state):
    open_store(state).close()
    with sqlite3.connect(state / "catalogue.db") as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    before = (state / "catalogue.db").read_bytes()
    with pytest.raises(NewerState) as caught:
        open_store(state)
    assert str(caught.value) == (
        f"The state in {state} was written by a newer Apportion (schema 9999, this one knows {schema.HEAD}). "
        "Run: pip install --upgrade apportion"
    )
    assert (state / "catalogue.db").read_bytes() == before


def test_a_state_that_another_process_made_meanwhile_is_not_made_again(state, catalogue):
    state.mkdir()
    schema.migrate(catalogue, schema.HEAD)
    schema.migrate(catalogue, schema.HEAD)
    schema.ensure(catalogue, lock=state / "write.lock")


def test_a_new_state_waits_only_so_long_for_a_writer(state, monkeypatch):
    monkeypatch.setattr(schema, "_PATIENCE", 0.1)
    state.mkdir()
    with locks.writer_lock(state / "write.lock"), pytest.raises(Busy):
        open_store(state)


def test_a_catalogue_that_is_no_database_is_damaged(state):
    state.mkdir()
    (state / "catalogue.db").write_text("no database at all" * 100)
    with pytest.raises(DamagedFile) as caught:
        open_store(state)
    assert str(caught.value) == (
        f"{state}/catalogue.db is not the file that was stored. "
        "Restore it from a backup of the state folder, or import the month again into a fresh one."
    )


def test_a_catalogue_that_cannot_be_read_is_a_clean_error(state, store):
    with store._catalogue.writing() as writing:
        writing.exec_driver_sql("DROP TABLE current_run")
    with pytest.raises(NotRead) as caught:
        store.current_run()
    assert str(caught.value) == (
        f"The state could not be read: {state}/catalogue.db: no such table: current_run. "
        "Put the disk right and try again."
    )


def test_every_connection_has_the_safe_settings(store):
    for transaction in (store._catalogue.reading, store._catalogue.writing):
        with transaction() as each:
            found = {name: each.exec_driver_sql(f"PRAGMA {name}").scalar() for name in connection.SETTINGS}
            assert found == connection.SETTINGS
    assert connection.SETTINGS == {
        "busy_timeout": 10_000,
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "trusted_schema": 0,
    }


def test_a_database_that_refuses_a_setting_is_refused():
    # A database in memory cannot have a write-ahead log.
    catalogue = Catalogue(Path(":memory:"))
    with pytest.raises(NotStored, match=r"PRAGMA journal_mode is memory, not wal: is this a network file system\?"):
        schema.migrate(catalogue, schema.HEAD)
    catalogue.close()


def test_a_writing_transaction_is_alone_from_its_beginning(state, store, monkeypatch):
    monkeypatch.setitem(connection.SETTINGS, "busy_timeout", 50)
    with open_store(state) as other, store._catalogue.writing():
        with other._catalogue.reading() as reading:
            assert reading.exec_driver_sql("SELECT count(*) FROM runs").scalar() == 0
        with (
            pytest.raises(Busy, match=r"Another process has been writing to .*catalogue\.db for 50 ms"),
            other._catalogue.writing(),
        ):
            pass


def test_opening_a_current_state_is_fast_and_loads_no_alembic(state):
    open_store(state).close()
    script = (
        "import sys, time; from pathlib import Path; from apportion.store import open_store\n"
        f"open_store(Path({str(state)!r})).close(); print('alembic' in sys.modules, 'pyarrow' in sys.modules)"
    )
    path = {"PYTHONPATH": str(Path(apportion.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=path)
    assert done.stdout.split() == ["False", "False"]
    times = []
    for _ in range(5):
        start = time.perf_counter()
        open_store(state).close()
        times.append(time.perf_counter() - start)
    assert min(times) < 0.06
