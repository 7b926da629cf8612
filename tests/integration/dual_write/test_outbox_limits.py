"""What the outbox does not log: what never happened, and what it refuses because it cannot see it."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from dual_write import outbox
from dual_write.errors import SchemaError, UncapturedError
from tests.integration.dual_write.applications import (
    Application,
    Child,
    Item,
    application,
    items,
)
from tests.integration.dual_write.conftest import Pair, mapped


@pytest.fixture
def app(like_pair: Pair) -> Iterator[Application]:
    with application(like_pair) as made:
        yield made


OWN = items.c.id == sa.bindparam("own")


def test_nothing_is_logged_of_what_is_rolled_back(app: Application) -> None:
    before = app.log("outbox")
    with Session(app.engine) as session:
        session.add(Item(name="gone"))
        session.flush()
        session.execute(sa.update(Item).values(price=0))
        session.rollback()
    assert app.log("outbox") == before
    with Session(app.engine) as session:
        kept = Item(name="kept")
        session.add(kept)
        with session.begin_nested() as savepoint:
            session.add(Item(name="gone"))
            session.flush()
            savepoint.rollback()
        session.flush()
        key = f"[{kept.id}]"
        session.commit()
    assert app.log("outbox")[len(before) :] == [("items", key)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE items SET price = 0",
        'DELETE FROM "Order Lines"',
        "INSERT INTO /* now */ items (name) VALUES ('x')",
        "WITH few AS (SELECT 1) UPDATE items SET price = 0",
    ],
)
def test_text_that_writes_to_a_captured_table_is_refused(app: Application, statement: str) -> None:
    for made in (lambda c: c.execute(sa.text(statement)), lambda c: c.exec_driver_sql(statement)):
        with (
            app.engine.begin() as connection,
            pytest.raises(UncapturedError, match=r"given as text.*insert\(\)"),
        ):
            made(connection)
    with app.engine.begin() as connection:
        assert connection.execute(sa.text("SELECT 'UPDATE items' FROM items")).all()
        connection.execute(sa.text("UPDATE parents SET id = id"))


def test_text_may_be_let_through_with_a_warning(app: Application, caplog: pytest.LogCaptureFixture) -> None:
    engine = sa.create_engine(app.engine.url)
    outbox.install(engine, text="warn")
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE items SET price = 0"))
    engine.dispose()
    assert "given as text" in caplog.text


def test_what_cannot_be_logged_exactly_is_refused(app: Application) -> None:
    nested = sa.select(items.delete().returning(items.c.id).cte("gone"))
    many = items.update().where(OWN).values(id=items.c.id + sa.bindparam("by"))
    statements = [(many, [{"own": 1, "by": 10}, {"own": 2, "by": 10}], "the database computes")]
    if app.dialect == "sqlite":
        replaced = items.insert().prefix_with("OR REPLACE").values(id=1, name="2")
        statements.append((replaced, {}, "on_conflict_do_update"))  # type: ignore[arg-type] # no parameters
    else:
        statements.append((nested, {}, "given as text"))  # type: ignore[arg-type] # a select
    moved = app.upsert(items).values(id=50, name="3")
    moved = moved.on_conflict_do_update(index_elements=["name"], set_={"id": moved.excluded.id})
    statements.append((moved, {}, "sets its key"))  # type: ignore[arg-type] # no parameters
    for statement, parameters, said in statements:
        with app.engine.connect() as connection, pytest.raises(UncapturedError, match=said):
            connection.execute(statement, parameters)
    with (
        app.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        pytest.raises(UncapturedError, match="autocommit"),
    ):
        connection.execute(items.insert().values(name="x"))
    with Session(app.engine) as session:
        session.execute(sa.update(Child).where(Child.id == 2).values(above=1))
        with pytest.raises(UncapturedError, match="leads back to the same table"):
            session.execute(sa.delete(Child).where(Child.id == 1))


def test_a_table_that_replaces_by_itself_is_left_to_triggers(sqlite_pair: Pair) -> None:
    sqlite_pair.define("CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT UNIQUE ON CONFLICT REPLACE)")
    with pytest.raises(SchemaError, match="ON CONFLICT REPLACE"):
        sqlite_pair.replication(mapped("t", ("id",), "n"), outbox=True).install()
