"""A phase whose monolith logs its own changes: the guarantees of trigger capture, without its triggers."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import sessionmaker

from dual_write import outbox
from dual_write.errors import DataError, LockedError
from dual_write.replication import Replication
from flags.side import Side
from tests.integration.dual_write.conftest import Pair, mapped, settle, switch

SHOP = sa.MetaData()
ORDERS = sa.Table(
    "Orders",
    SHOP,
    sa.Column("Id", sa.Integer, primary_key=True),
    sa.Column("state", sa.Text),
)
MAPPING = mapped("Orders", ("Id",), "state")


@pytest.fixture
def pair(like_pair: Pair) -> Pair:
    for side in Side:
        engine = sa.create_engine(like_pair[side].url)
        SHOP.create_all(engine)
        engine.dispose()
    return like_pair


@pytest.fixture
def monolith(pair: Pair) -> Iterator[sa.Engine]:
    engine = sa.create_engine(pair.monolith.url)
    outbox.install(engine)
    yield engine
    engine.dispose()


def write(engine: sa.Engine, *statements: sa.Executable) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(statement)


def until(pair: Pair, question: str) -> None:
    deadline = time.monotonic() + 20
    while pair.monolith.query(question) != [(True,)]:
        assert time.monotonic() < deadline, question


def test_i2_there_and_back_and_nothing_left(pair: Pair, monolith: sa.Engine) -> None:
    write(monolith, ORDERS.insert().values(state="before"))
    before = pair.monolith.schema(), pair.service.schema()
    replication = pair.started(MAPPING, outbox=True)
    write(monolith, ORDERS.insert().values(state="new"), ORDERS.update().values(state="seen"))
    assert settle(replication) == 3
    pair.assert_equal('"Orders"')
    switch(replication, Side.SERVICE, 2)
    with pytest.raises(sa.exc.DBAPIError, match=r"owned by service \(epoch 2\)"):
        write(monolith, ORDERS.update().values(state="stray"))
    pair.service.run("UPDATE \"Orders\" SET state = 'moved'")
    assert settle(replication, Side.MONOLITH) == 2
    pair.assert_equal('"Orders"')
    switch(replication, Side.MONOLITH, 3)
    write(monolith, ORDERS.delete().where(ORDERS.c.state == "moved"), ORDERS.insert().values(state="last"))
    settle(replication)
    pair.assert_equal('"Orders"')
    assert [state for _, state in pair.rows(Side.SERVICE, '"Orders"')] == ["last"]
    replication.uninstall()
    assert (pair.monolith.schema(), pair.service.schema()) == before
    write(monolith, ORDERS.insert().values(state="after"))


def test_i4_replicated_writes_are_not_logged_by_it(pair: Pair, monolith: sa.Engine) -> None:
    replication = pair.started(MAPPING, outbox=True)
    switch(replication, Side.SERVICE, 2)
    pair.service.run("INSERT INTO \"Orders\" VALUES (1, 'own')")
    assert settle(replication, Side.MONOLITH) == 1
    assert replication.accounts(Side.SERVICE).captured == 0


def test_the_log_is_one_whatever_writes(pair: Pair, monolith: sa.Engine) -> None:
    """Only SQLAlchemy's writes are seen; nothing on the monolith logs but the application."""
    replication = pair.started(MAPPING, outbox=True)
    pair.monolith.run("INSERT INTO \"Orders\" VALUES (1, 'past the engine')")
    assert settle(replication) == 0
    write(monolith, ORDERS.update().values(state="through it"))
    assert settle(replication) == 1
    pair.assert_equal('"Orders"')


async def test_asynchronous_sessions_and_engines(pair: Pair) -> None:
    driver = "postgresql+psycopg" if pair.monolith.is_postgresql else "sqlite+aiosqlite"
    engine = create_async_engine(sa.make_url(pair.monolith.url).set(drivername=driver))
    factory = async_sessionmaker(engine, class_=AsyncSession)
    outbox.install(factory)
    replication = pair.started(MAPPING, outbox=True)
    try:
        async with factory.begin() as session:
            await session.execute(ORDERS.insert(), [{"state": "a"}, {"state": "b"}])
            made = await session.execute(ORDERS.insert().values(state="c").returning(ORDERS.c.Id))
            assert made.scalar_one()
        async with engine.begin() as connection:
            await connection.execute(ORDERS.update().where(ORDERS.c.state == "a").values(Id=70))
        async with factory() as session:
            await session.execute(ORDERS.delete())
            await session.rollback()
    finally:
        await engine.dispose()
    assert settle(replication) == 5
    pair.assert_equal('"Orders"')
    assert len(pair.rows(Side.SERVICE, '"Orders"')) == 3


def test_i2_a_transaction_open_while_it_is_installed_is_waited_for(postgresql_pair: Pair) -> None:
    """It asked what to log before there was anything."""
    pair = postgresql_pair
    pair.define('CREATE TABLE "Orders" ("Id" INTEGER PRIMARY KEY, state TEXT)', "CREATE TABLE t (id INTEGER)")
    engine = sa.create_engine(pair.monolith.url)
    outbox.install(sessionmaker(engine))
    replication = pair.replication(MAPPING, outbox=True)
    done = threading.Event()

    def install() -> None:
        replication.install()
        done.set()

    with engine.connect() as connection:
        connection.execute(sa.insert(sa.table("t", sa.column("id"))).values(id=1))
        installing = threading.Thread(target=install)
        installing.start()
        until(pair, "SELECT count(*) > 0 FROM pg_description WHERE description LIKE 'outbox%'")
        assert not done.is_set()
        connection.execute(ORDERS.insert().values(Id=1, state="unlogged"))
        assert not done.is_set()
        connection.commit()
    installing.join(timeout=30)
    assert done.is_set()
    replication.open(Side.SERVICE, 1)
    assert replication.backfill(lambda _: None, lambda: False)
    pair.assert_equal('"Orders"')
    engine.dispose()


def test_i3_rows_that_another_transaction_changes_meanwhile(postgresql_pair: Pair) -> None:
    """An update by criteria waits for a row, and what it then changes is what it has logged."""
    pair = postgresql_pair
    pair.define('CREATE TABLE "Orders" ("Id" INTEGER PRIMARY KEY, state TEXT)')
    pair.monolith.run("INSERT INTO \"Orders\" VALUES (1, 'open'), (2, 'open'), (3, 'shut')")
    engine = sa.create_engine(pair.monolith.url)
    outbox.install(engine)
    replication = pair.started(MAPPING, outbox=True)

    def close_all() -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql("SET LOCAL application_name = 'closing'")
            connection.execute(ORDERS.update().where(ORDERS.c.state == "open").values(state="closed"))

    with engine.begin() as connection:
        connection.execute(ORDERS.update().where(ORDERS.c.Id == 1).values(state="shut"))
        connection.execute(ORDERS.update().where(ORDERS.c.Id == 3).values(state="open"))
        closing = threading.Thread(target=close_all)
        closing.start()
        until(
            pair,
            "SELECT count(*) > 0 FROM pg_stat_activity "
            "WHERE application_name = 'closing' AND wait_event_type = 'Lock'",
        )
    closing.join(timeout=30)
    settle(replication)
    pair.assert_equal('"Orders"')
    engine.dispose()


def test_a_user_without_rights_on_the_bookkeeping_logs(postgresql_pair: Pair) -> None:
    pair = postgresql_pair
    pair.define('CREATE TABLE "Orders" ("Id" INTEGER PRIMARY KEY, state TEXT)')
    replication = pair.started(MAPPING, outbox=True)
    name = f"app_{pair.monolith.url.rpartition('_')[2]}"
    pair.monolith.run(f"CREATE ROLE {name}", f'GRANT ALL ON "Orders" TO {name}')
    engine = sa.create_engine(pair.monolith.url)
    outbox.install(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"SET LOCAL ROLE {name}")
        connection.execute(ORDERS.insert().values(Id=1))
        connection.execute(ORDERS.update().values(Id=2))
    engine.dispose()
    assert settle(replication) == 3
    pair.assert_equal('"Orders"')
    pair.monolith.run(f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def test_tables_that_follow_are_logged_too(pair: Pair, monolith: sa.Engine) -> None:
    replication = pair.started(mapped("Orders", ("Id",), "state", follow=True), outbox=True)
    write(monolith, ORDERS.insert().values(state="x"))
    assert settle(replication) == 1
    pair.assert_equal('"Orders"')


def test_an_outbox_that_nobody_can_be_told_to_wait_for(postgresql_pair: Pair) -> None:
    pair = postgresql_pair
    pair.define('CREATE TABLE "Orders" ("Id" INTEGER PRIMARY KEY, state TEXT)')
    replication: Replication = pair.replication(MAPPING, outbox=True)
    source = replication._adapters[Side.MONOLITH]
    source.create_bookkeeping()
    with pair.monolith.transaction() as run:
        run("SELECT 1")
        captured = replication._towards(Side.SERVICE)[0].stream.captured()
        with pytest.raises(LockedError, match="1 transactions that began before"):
            source.capture(captured, 0.1)
    replication.install()


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (sessionmaker, "leads to no engine"),
        (lambda: "sqlite://", "leads to no engine"),
        (lambda: sa.create_mock_engine("sqlite://", print), "leads to no engine"),
    ],
)
def test_a_target_without_an_engine_is_refused(target: Callable[[], object], said: str) -> None:
    with pytest.raises(DataError, match=said):
        outbox.install(target())


LIGHT = """
import sys, dual_write.outbox
heavy = {"psycopg", "pydantic", "fastapi", "httpx", "kafka", "migration", "facade", "flags", "uvicorn"}
print(*sorted({name.partition(".")[0] for name in sys.modules} & heavy))
"""


def test_importing_it_brings_nothing_of_the_toolkit_into_the_application() -> None:
    said = subprocess.run([sys.executable, "-c", LIGHT], check=True, capture_output=True, text=True)
    assert said.stdout.strip() == ""
