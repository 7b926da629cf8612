"""Checks that read a snapshot, or a standby: what is only older there is no finding, and damage is one."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import sqlalchemy as sa

from dual_write.check import FULL_SPEED, Vantage, run_check
from dual_write.check_flow import flow_between
from dual_write.database import open_engine
from dual_write.digest_reader import SideReader
from dual_write.errors import CheckFailed, SchemaError
from dual_write.standby import await_replay
from migration import doctor_databases
from migration.demo.servers import PostgreSQLServer
from tests.integration.dual_write.sides import PAIRS, database
from tests.servers.standby import standby

ROWS = 300
SNAPSHOT = Vantage(snapshot=True)


def write(engine: sa.Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def filled(engine: sa.Engine, key: str = " PRIMARY KEY") -> None:
    rows = ", ".join(f"({number}, 'first')" for number in range(ROWS))
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    write(engine, f"CREATE TABLE item (id integer{key}, note text)", f"INSERT INTO item VALUES {rows}")


@pytest.fixture(params=PAIRS, ids="-".join)
def engines(request, tmp_path, postgresql_database):
    with ExitStack() as stack:
        yield [stack.enter_context(database(kind, tmp_path, postgresql_database)) for kind in request.param]


@pytest.mark.parametrize("key", [" PRIMARY KEY", ""], ids=["by key", "without keys"])
def test_what_changes_on_both_sides_during_a_snapshot_is_no_finding(engines, key):
    source, target = engines
    for engine in engines:
        filled(engine, key)
    waiting = ["UPDATE item SET note = 'second' WHERE id > 200"]

    def meanwhile(*_) -> None:
        while waiting:
            statement = waiting.pop()
            write(source, statement)  # the target's snapshot is older, and so is the source's
            write(target, statement)

    flow = flow_between(source, target, "item")
    result = run_check(
        source, target, [flow], progress=meanwhile, chunk_rows=50, manners=FULL_SPEED, vantage=SNAPSHOT
    )
    assert result.clean
    assert not waiting
    assert "each side in one snapshot" in result.covers
    write(target, "UPDATE item SET note = 'wrong' WHERE id = 7")
    assert len(run_check(source, target, [flow], manners=FULL_SPEED, vantage=SNAPSHOT).findings) in {1, 2}


def test_a_snapshot_is_as_of_one_moment(postgresql_database):
    source, target = (open_engine(postgresql_database()) for _ in range(2))
    for engine in (source, target):
        filled(engine)
    moved = ["INSERT INTO item VALUES (1000, 'new')"]

    def meanwhile(*_) -> None:
        while moved:
            statement = moved.pop()
            write(source, statement)
            write(target, statement)

    flow = flow_between(source, target, "item")
    how = {"progress": meanwhile, "chunk_rows": 50, "manners": FULL_SPEED}
    assert run_check(source, target, [flow], **how, vantage=SNAPSHOT).rows == ROWS
    moved.append("INSERT INTO item VALUES (1001, 'new')")
    assert run_check(source, target, [flow], **how).rows == ROWS + 2
    for engine in (source, target):
        engine.dispose()


def test_a_snapshot_outlives_a_statement_that_fails(postgresql_database):
    """The servers' own casts refuse a value, and the rows are compared here, as of the same moment."""
    source, target = (open_engine(postgresql_database()) for _ in range(2))
    for engine in (source, target):
        write(engine, "CREATE TABLE item (id integer PRIMARY KEY, note json)")
        write(engine, """INSERT INTO item VALUES (1, '{"a": 1}'), (2, '"\\u0000"')""")
    result = run_check(source, target, [flow_between(source, target, "item")], vantage=SNAPSHOT)
    assert (result.clean, result.rows) == (True, 2)
    for engine in (source, target):
        engine.dispose()


def test_a_snapshot_that_would_have_writers_wait_is_refused(tmp_path):
    with ExitStack() as stack:
        source, target = (stack.enter_context(database("sqlite", tmp_path, None)) for _ in range(2))
        for engine in (source, target):
            write(engine, "CREATE TABLE item (id integer PRIMARY KEY, note text)")
        with pytest.raises(CheckFailed, match=r"writers wait; set PRAGMA journal_mode = WAL"):
            run_check(source, target, [flow_between(source, target, "item")], vantage=SNAPSHOT)


@pytest.fixture(scope="module")
def cluster(postgresql_programs) -> Iterator[tuple[PostgreSQLServer, sa.URL]]:
    with PostgreSQLServer(killable=True) as primary, standby(primary) as copy:
        yield primary, copy


@pytest.fixture
def replicated(cluster) -> Iterator[tuple[sa.Engine, sa.Engine, sa.Engine]]:
    """A filled source, its replica, and a target that is its equal."""
    primary, copy = cluster
    with ExitStack() as stack:

        def engine_on(url: str | sa.URL) -> sa.Engine:
            engine = open_engine(url)
            stack.callback(engine.dispose)
            return engine

        source, target = (engine_on(made_in(primary, stack)) for _ in range(2))
        # Until the copy has replayed that the databases were made, nobody can connect to them there.
        await_replay(engine_on(primary.url()), engine_on(copy), 30.0)
        replica = engine_on(copy.set(database=source.url.database))
        for engine in (source, target):
            filled(engine)
        await_replay(source, replica, 30.0)
        yield source, replica, target


def made_in(primary: PostgreSQLServer, stack: ExitStack) -> str:
    url = primary.create_database()
    stack.callback(primary.drop_database, url)
    return url


def replay(replica: sa.Engine, *, paused: bool) -> None:
    with replica.connect() as connection:
        connection.exec_driver_sql(f"SELECT pg_wal_replay_{'pause' if paused else 'resume'}()")


def test_what_the_replica_does_not_have_yet_is_no_finding(replicated):
    source, replica, target = replicated
    waiting = ["UPDATE item SET note = 'second' WHERE id > 200"]

    def meanwhile(*_) -> None:
        while waiting:
            statement = waiting.pop()
            replay(replica, paused=True)
            write(source, statement)
            write(target, statement, "UPDATE item SET note = 'wrong' WHERE id = 299")

    flow = flow_between(source, target, "item")
    vantage = Vantage(source=replica)
    try:
        result = run_check(
            source, target, [flow], progress=meanwhile, chunk_rows=50, manners=FULL_SPEED, vantage=vantage
        )
        assert [finding.key for finding in result.findings] == [(299,)]
        assert "from a replica of the source" in result.covers
        with pytest.raises(CheckFailed, match=r"had not replayed within 0 s"):
            await_replay(source, replica, 0.2)
    finally:
        replay(replica, paused=False)


def test_a_check_waits_until_the_replica_has_replayed_what_was_there_before(replicated):
    """Else both the replica and the target could be old, and pass."""
    source, replica, target = replicated
    replay(replica, paused=True)
    write(source, "UPDATE item SET note = 'second' WHERE id = 5")
    resumed = threading.Timer(0.5, replay, (replica,), {"paused": False})
    resumed.start()
    result = run_check(
        source, target, [flow_between(source, target, "item")], vantage=Vantage(source=replica)
    )
    resumed.join()
    assert [finding.key for finding in result.findings] == [(5,)]


def test_rows_are_read_from_the_replica(replicated):
    source, replica, target = replicated
    flow = flow_between(source, target, "item")
    asked: list[str] = []
    original = SideReader.ask

    def watched(self, statement, **how):
        asked.append(self._name)
        return original(self, statement, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SideReader, "ask", watched)
        assert run_check(source, target, [flow], vantage=Vantage(source=replica)).clean
    assert str(replica.url.port) in asked[0]
    assert not any(f":{source.url.port}/{source.url.database}" in name for name in asked)


def test_what_is_no_standby_of_the_database_is_refused(replicated, tmp_path):
    source, replica, target = replicated
    with pytest.raises(SchemaError, match="is no physical standby"):
        await_replay(source, target, 1.0)
    with pytest.raises(SchemaError, match="only PostgreSQL has standbys"):
        await_replay(open_engine(f"sqlite:///{tmp_path}/a.db"), replica, 1.0)
    another = open_engine(replica.url.set(database="postgres"))
    with pytest.raises(SchemaError, match=r"shows another database than 'strangler_\w+'; name that"):
        await_replay(source, another, 1.0)
    another.dispose()


def test_the_doctor_says_whether_checks_can_read_from_a_replica(replicated):
    source, replica, target = replicated
    url = replica.url.render_as_string(hide_password=False)
    said = doctor_databases.replica(source, url)
    assert (said.good, said.text.endswith("keeps up: checks read from there")) == (True, True)
    for wrong in (target.url, replica.url.set(database="postgres"), replica.url.set(port=1)):
        said = doctor_databases.replica(source, wrong.render_as_string(hide_password=False))
        assert (said.good, said.fatal) == (False, True)
    replay(replica, paused=True)
    try:
        write(source, "UPDATE item SET note = 'third' WHERE id = 5")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(doctor_databases, "_REPLAY_SECONDS", 0.2)
            said = doctor_databases.replica(source, url)
    finally:
        replay(replica, paused=False)
    assert (said.good, said.fatal) == (False, False)
    assert "had not replayed within" in said.text
