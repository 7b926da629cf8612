from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from dual_write.database import open_engine
from dual_write.errors import UnreachableError
from migration.doctor_databases import Fact, facts, foreign_triggers, reach


def found(engine: sa.Engine, *tables: str) -> list[Fact]:
    with engine.connect() as connection:
        return list(facts(connection, tables))


def triggers(engine: sa.Engine, table: str) -> list[str]:
    with engine.connect() as connection:
        return foreign_triggers(connection, table)


def run(engine: sa.Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = open_engine(f"sqlite:///{tmp_path}/shop.db")
    run(engine, "CREATE TABLE items (id INTEGER PRIMARY KEY)")
    yield engine
    engine.dispose()


@pytest.fixture
def postgresql(postgresql_database: Callable[[], str]) -> Iterator[sa.Engine]:
    engine = open_engine(postgresql_database())
    run(
        engine,
        "CREATE TABLE items (id INTEGER PRIMARY KEY)",
        'CREATE TABLE "Odd Name" (id INTEGER PRIMARY KEY)',
    )
    yield engine
    engine.dispose()


@pytest.fixture
def stranger(postgresql: sa.Engine) -> Iterator[sa.Engine]:
    """A connection of a role that owns nothing."""
    run(
        postgresql,
        "DROP ROLE IF EXISTS strangler_stranger",
        "CREATE ROLE strangler_stranger LOGIN PASSWORD 'x'",
    )
    engine = open_engine(postgresql.url.set(username="strangler_stranger", password="x"))
    yield engine
    engine.dispose()
    run(postgresql, "DROP OWNED BY strangler_stranger", "DROP ROLE strangler_stranger")


def test_a_rollback_journal_is_a_warning_and_wal_is_not(sqlite: sa.Engine) -> None:
    (before,) = found(sqlite, "items")
    assert not before.good
    assert not before.fatal
    assert "PRAGMA journal_mode = WAL" in before.remedy
    run(sqlite, "PRAGMA journal_mode = WAL")
    (after,) = found(sqlite, "items")
    assert after.good


def test_a_database_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="no database file"):
        reach(open_engine(f"sqlite:///{tmp_path}/none.db"))
    assert not (tmp_path / "none.db").exists()
    with pytest.raises(UnreachableError, match="does not answer"):
        reach(open_engine("postgresql://ann:hunter2@127.0.0.1:1/shop"))


def test_an_owner_may_do_everything(postgresql: sa.Engine) -> None:
    assert all(fact.good for fact in found(postgresql, "items", "Odd Name"))


def test_whoever_does_not_own_the_tables_is_told_whose_they_are(stranger: sa.Engine) -> None:
    schema, *tables = [fact for fact in found(stranger, "items", "Odd Name") if fact.fatal]
    assert "schema `strangler`" in schema.text
    assert [fact.text.split("'")[1] for fact in tables] == ["items", "Odd Name"]
    assert all(" TO strangler_stranger" in fact.remedy for fact in tables)


def test_who_is_a_member_of_the_owner_lacks_only_what_a_superuser_could_add(
    postgresql: sa.Engine, stranger: sa.Engine
) -> None:
    run(
        postgresql,
        "DROP ROLE IF EXISTS strangler_shop",
        "CREATE ROLE strangler_shop",
        "ALTER TABLE items OWNER TO strangler_shop",
        "GRANT strangler_shop TO strangler_stranger",
        f'GRANT CREATE ON DATABASE "{postgresql.url.database}" TO strangler_stranger',
    )
    (left,) = [fact for fact in found(stranger, "items") if not fact.good]
    assert not left.fatal
    assert "GRANT SET ON PARAMETER session_replication_role" in left.remedy
    run(postgresql, "DROP OWNED BY strangler_shop", "DROP ROLE strangler_shop")


def test_a_tables_own_triggers_are_found_and_the_toolkits_are_not(
    sqlite: sa.Engine, postgresql: sa.Engine
) -> None:
    for name in ("remove_stale", "strangler_capture_x"):
        run(sqlite, f"CREATE TRIGGER {name} AFTER DELETE ON items BEGIN SELECT 1; END")
        run(
            postgresql,
            "CREATE OR REPLACE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
            f"CREATE TRIGGER {name} AFTER DELETE ON items FOR EACH ROW EXECUTE FUNCTION nothing()",
        )
    assert triggers(sqlite, "Items") == ["remove_stale"]
    assert triggers(postgresql, "items") == ["remove_stale"]
    assert triggers(postgresql, "Odd Name") == []
