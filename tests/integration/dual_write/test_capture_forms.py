"""Changes that come about in odd ways, and what capture leaves behind when it is taken away: nothing."""

import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from flags.side import Side
from tests.integration.dual_write.conftest import Pair, mapped, settle


def test_truncate_that_cascades(postgresql_pair: Pair) -> None:
    pair = postgresql_pair
    pair.define(
        "CREATE TABLE parents (id integer PRIMARY KEY)",
        "CREATE TABLE children (id integer PRIMARY KEY, parent integer REFERENCES parents)",
    )
    replication = pair.started(mapped("children", ("id",), "parent"), mapped("parents", ("id",)))
    pair.monolith.run("INSERT INTO parents VALUES (1), (2)", "INSERT INTO children VALUES (1, 1), (2, 2)")
    settle(replication)
    pair.monolith.run("TRUNCATE parents CASCADE", "INSERT INTO parents VALUES (3)")
    settle(replication)
    assert pair.service.query("SELECT * FROM parents") == [(3,)]
    assert pair.service.query("SELECT * FROM children") == []


def test_partitions_that_come_and_go(postgresql_pair: Pair) -> None:
    """Rows that a partition brings or takes are no writes: the next check finds them."""
    pair = postgresql_pair
    pair.define(
        "CREATE TABLE logs (id bigint, day integer, body text, PRIMARY KEY (id, day)) "
        "PARTITION BY LIST (day)",
        "CREATE TABLE logs_1 PARTITION OF logs FOR VALUES IN (1)",
        "CREATE TABLE logs_rest PARTITION OF logs DEFAULT PARTITION BY LIST (day)",
        "CREATE TABLE logs_2 PARTITION OF logs_rest FOR VALUES IN (2)",
    )
    replication = pair.started(mapped("logs", ("id", "day"), "body"))
    pair.monolith.run(
        "INSERT INTO logs VALUES (1, 1, 'a'), (2, 2, 'b')",
        "UPDATE logs_2 SET body = 'direct' WHERE id = 2",
        "DELETE FROM logs_1",
        "CREATE TABLE logs_3 (id bigint, day integer, body text, PRIMARY KEY (id, day))",
        "ALTER TABLE logs_rest ATTACH PARTITION logs_3 FOR VALUES IN (3)",
    )
    pair.service.run(
        "CREATE TABLE logs_3 (id bigint, day integer, body text, PRIMARY KEY (id, day))",
        "ALTER TABLE logs_rest ATTACH PARTITION logs_3 FOR VALUES IN (3)",
    )
    pair.monolith.run("INSERT INTO logs_3 VALUES (3, 3, 'new')", "UPDATE logs SET day = 1 WHERE id = 3")
    settle(replication)
    pair.assert_equal("logs")
    assert len(pair.rows(Side.SERVICE, "logs")) == 2
    pair.monolith.run("INSERT INTO logs VALUES (4, 3, 'leaves')")
    settle(replication)
    pair.monolith.run("ALTER TABLE logs_rest DETACH PARTITION logs_3", "UPDATE logs_3 SET body = 'alone'")
    settle(replication)
    assert pair.service.query("SELECT body FROM logs WHERE id = 4") == [("leaves",)]


def test_a_child_by_inheritance_is_a_table_of_its_own(postgresql_pair: Pair) -> None:
    pair = postgresql_pair
    pair.define(
        "CREATE TABLE notes (id integer PRIMARY KEY, body text)",
        "CREATE TABLE memos (PRIMARY KEY (id)) INHERITS (notes)",
    )
    replication = pair.started(mapped("notes", ("id",), "body"), mapped("memos", ("id",), "body"))
    pair.monolith.run(
        "INSERT INTO notes VALUES (1, 'a')",
        "INSERT INTO memos VALUES (2, 'b')",
        "UPDATE notes SET body = 'c'",
    )
    settle(replication)
    assert pair.service.query("SELECT * FROM ONLY notes") == [(1, "c")]
    assert pair.service.query("SELECT * FROM memos") == [(2, "c")]


def test_what_the_monoliths_triggers_and_views_do(postgresql_pair: Pair) -> None:
    pair = postgresql_pair
    pair.define(
        "CREATE TABLE orders (id integer PRIMARY KEY, total integer)",
        "CREATE TABLE totals (id integer PRIMARY KEY, orders integer)",
        "CREATE FUNCTION doubled() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN NEW.id := NEW.id + 100; NEW.total := NEW.total * 2; RETURN NEW; END'",
        "CREATE TRIGGER doubled BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION doubled()",
        "CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO totals VALUES (1, 1) ON CONFLICT (id) "
        "DO UPDATE SET orders = totals.orders + 1; RETURN NULL; END'",
        "CREATE TRIGGER counted AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION counted()",
        "CREATE FUNCTION kept() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER kept BEFORE DELETE ON totals FOR EACH ROW EXECUTE FUNCTION kept()",
        "CREATE VIEW plain AS SELECT id, total FROM orders",
        "CREATE VIEW counts AS SELECT count(*) AS n FROM orders",
        "CREATE FUNCTION put() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO orders VALUES (NEW.n, 0); RETURN NEW; END'",
        "CREATE TRIGGER put INSTEAD OF INSERT ON counts FOR EACH ROW EXECUTE FUNCTION put()",
    )
    replication = pair.started(mapped("orders", ("id",), "total"), mapped("totals", ("id",), "orders"))
    pair.monolith.run(
        "INSERT INTO orders VALUES (1, 5), (2, 6)",
        "INSERT INTO plain VALUES (3, 7)",
        "INSERT INTO counts VALUES (4)",
        "UPDATE plain SET total = 1 WHERE id = 101",
        "DELETE FROM totals",
    )
    settle(replication)
    pair.assert_equal("orders", "totals")
    assert pair.service.query("SELECT * FROM totals") == [(1, 4)]
    assert [row[0] for row in pair.rows(Side.SERVICE, "orders")] == [101, 102, 103, 104]


ODD = 'odd "name" %s ?, ü'


def test_names_that_need_quotes(like_pair: Pair) -> None:
    quoted = '"' + ODD.replace('"', '""') + '"'
    like_pair.define(
        f'CREATE TABLE {quoted} ("Key ?" INTEGER, "%s" TEXT, "select" TEXT, PRIMARY KEY ("Key ?", "%s"))'
    )
    replication = like_pair.started(mapped(ODD, ("Key ?", "%s"), "select"))
    like_pair.monolith.run(
        f"INSERT INTO {quoted} VALUES (1, '%', 'a'), (2, '?', 'b')",
        f'UPDATE {quoted} SET "%s" = \'%s?\' WHERE "Key ?" = 1',
        f'DELETE FROM {quoted} WHERE "Key ?" = 2',
    )
    settle(replication)
    like_pair.assert_equal(quoted)
    assert len(like_pair.rows(Side.SERVICE, quoted)) == 1


def test_every_form_of_upsert_and_replace_on_sqlite(sqlite_pair: Pair) -> None:
    pair = sqlite_pair
    pair.define(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, mail TEXT UNIQUE ON CONFLICT REPLACE, "
        "nick TEXT, n INTEGER)",
        "CREATE UNIQUE INDEX nick ON users (nick) WHERE n > 0",
        "CREATE TABLE bare (k TEXT PRIMARY KEY, v TEXT UNIQUE) WITHOUT ROWID",
        "CREATE VIEW people AS SELECT id, mail FROM users",
        "CREATE TRIGGER people_put INSTEAD OF INSERT ON people "
        "BEGIN INSERT INTO users (id, mail) VALUES (NEW.id, NEW.mail); END",
    )
    replication = pair.started(mapped("users", ("id",), "mail", "nick", "n"), mapped("bare", ("k",), "v"))
    pair.monolith.run(
        "INSERT INTO users VALUES (1, 'a', 'x', 1), (2, 'b', 'y', 1), (3, 'c', 'z', 0)",
        "INSERT INTO bare VALUES ('a', '1'), ('b', '2'), ('c', '3')",
    )
    settle(replication)
    pair.monolith.run(
        "INSERT INTO users VALUES (4, 'a', 'w', 1)",
        "REPLACE INTO users VALUES (5, 'e', 'y', 1)",
        "INSERT OR REPLACE INTO bare VALUES ('d', '2')",
        "UPDATE OR REPLACE bare SET v = '3' WHERE k = 'a'",
        "INSERT INTO bare VALUES ('d', '9') ON CONFLICT (k) DO UPDATE SET v = excluded.v",
        "INSERT OR IGNORE INTO bare VALUES ('d', '10')",
        "UPDATE OR IGNORE bare SET v = '9' WHERE k = 'a'",
        "INSERT INTO people VALUES (6, 'c')",
    )
    settle(replication)
    pair.assert_equal("users", "bare")
    assert [row[0] for row in pair.rows(Side.SERVICE, "users")] == [4, 5, 6]
    assert not replication.parked(Side.SERVICE)


def dumped(url: str) -> str:
    """The whole schema in PostgreSQL's own words, without the token that each dump makes up."""
    tool = shutil.which("pg_dump") or str(next(Path("/usr/lib/postgresql").glob("*/bin/pg_dump"), ""))
    if not tool:
        pytest.skip("needs pg_dump: install PostgreSQL's client, `apt-get install postgresql-client`")
    plain = make_url(url).set(drivername="postgresql", query={}).render_as_string(hide_password=False)
    said = subprocess.run(
        [tool, "--schema-only", "--dbname", plain], check=True, capture_output=True, text=True
    )
    return "\n".join(line for line in said.stdout.splitlines() if not line.startswith("\\"))


@pytest.mark.parametrize("outbox", [False, True], ids=["trigger", "outbox"])
def test_removed_without_a_trace(postgresql_pair: Pair, outbox: bool) -> None:
    pair = postgresql_pair
    pair.define(
        'CREATE SCHEMA "Shop"',
        'CREATE TABLE "Shop"."Order" ("Id" uuid PRIMARY KEY, n serial)',
        "CREATE TABLE logs (id bigint PRIMARY KEY) PARTITION BY HASH (id)",
        "CREATE TABLE logs_0 PARTITION OF logs FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
    )
    before = [dumped(pair[side].url) for side in Side]
    replication = pair.started(mapped("Shop.Order", ("Id",), "n"), mapped("logs", ("id",)), outbox=outbox)
    pair.monolith.run("INSERT INTO logs VALUES (1)")
    settle(replication)
    assert [dumped(pair[side].url) for side in Side] != before
    replication.uninstall()
    assert [dumped(pair[side].url) for side in Side] == before


def test_installing_gives_way_to_a_writer_and_tries_again(postgresql_pair: Pair) -> None:
    """A trigger needs a lock that waits for writers, and makes other writers wait meanwhile: not for long."""
    pair = postgresql_pair
    pair.define("CREATE TABLE t (id integer PRIMARY KEY)")
    replication = pair.replication(mapped("t", ("id",)))
    installing = threading.Thread(target=replication.install)
    with pair.monolith.transaction() as run:
        run("INSERT INTO t VALUES (1)")
        installing.start()
        waiting = (
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE query LIKE 'CREATE TRIGGER%' AND wait_event_type = 'Lock'"
        )
        while pair.monolith.query(waiting) == [(0,)]:
            assert installing.is_alive()
        while pair.monolith.query(waiting) != [(0,)]:
            assert installing.is_alive()
        pair.monolith.run("INSERT INTO t VALUES (2)")
    installing.join(timeout=30)
    assert not installing.is_alive()
    replication.open(Side.SERVICE, 1)
    assert replication.backfill(lambda _: None, lambda: False)
    pair.monolith.run("INSERT INTO t VALUES (3)")
    settle(replication)
    assert len(pair.service.query("SELECT * FROM t")) == 3
