"""Capture sees every change, however it is made."""

import pytest

from dual_write.mapping import TableMapping
from dual_write.replication import Replication
from flags.side import Side
from tests.integration.dual_write.conftest import Pair, bare, mapped, settle, switch


def test_composite_and_text_keys(pair: Pair) -> None:
    pair.define("CREATE TABLE lines (doc TEXT, no INTEGER, body TEXT, PRIMARY KEY (doc, no))")
    replication = pair.started(mapped("lines", ("doc", "no"), "body"))
    pair.monolith.run(
        """INSERT INTO lines VALUES ('a"b', 1, 'x'), ('é\n\t\\', 2, 'y'), ('', 3, NULL), ('["1"]', 4, '')""",
        "UPDATE lines SET no = 20 WHERE no = 2",
        "UPDATE lines SET doc = 'moved' WHERE no = 3",
        "DELETE FROM lines WHERE no = 4",
    )
    settle(replication)
    pair.assert_equal("lines")
    assert len(pair.rows(Side.SERVICE, "lines")) == 3
    assert not replication.parked(Side.SERVICE)


def test_blob_real_and_mixed_keys_without_rowid(sqlite_pair: Pair) -> None:
    sqlite_pair.define("CREATE TABLE things (k PRIMARY KEY, v) WITHOUT ROWID")
    sqlite_pair.monolith.run("INSERT INTO things VALUES (x'00ff', 'backfilled')")
    replication = sqlite_pair.started(mapped("things", ("k",), "v"))
    sqlite_pair.monolith.run(
        "INSERT INTO things VALUES (x'', 1), ('text', 2.5), (7, x'01'), (0.1, NULL), (1e300, 'big')",
        "INSERT INTO things VALUES ('7', 's')",
        "UPDATE things SET v = 'changed' WHERE k = x'00ff'",
        "UPDATE things SET k = x'aa' WHERE k = 7",
        "DELETE FROM things WHERE k = '7'",
    )
    settle(replication)
    types = "typeof(k), typeof(v), k, v"
    assert sqlite_pair.rows(Side.SERVICE, "things", types) == sqlite_pair.rows(Side.MONOLITH, "things", types)
    assert len(sqlite_pair.rows(Side.SERVICE, "things")) == 6


def test_keys_that_differ_only_in_case(sqlite_pair: Pair) -> None:
    sqlite_pair.monolith.run("CREATE TABLE tags (name TEXT COLLATE NOCASE PRIMARY KEY, n INTEGER)")
    sqlite_pair.service.run("CREATE TABLE tags (name TEXT PRIMARY KEY, n INTEGER)")
    replication = sqlite_pair.started(mapped("tags", ("name",), "n"))
    sqlite_pair.monolith.run("INSERT INTO tags VALUES ('a', 1)")
    settle(replication)
    sqlite_pair.monolith.run("UPDATE tags SET name = 'A'", "INSERT OR REPLACE INTO tags VALUES ('a', 2)")
    sqlite_pair.monolith.run("UPDATE tags SET name = 'A'")
    settle(replication)
    sqlite_pair.assert_equal("tags")


def test_replace_that_removes_other_rows(sqlite_pair: Pair) -> None:
    sqlite_pair.define("CREATE TABLE users (id INTEGER PRIMARY KEY, mail TEXT UNIQUE)")
    replication = sqlite_pair.started(mapped("users", ("id",), "mail"))
    sqlite_pair.monolith.run("INSERT INTO users VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    settle(replication)
    sqlite_pair.monolith.run(
        "INSERT OR REPLACE INTO users VALUES (4, 'a')", "UPDATE OR REPLACE users SET mail = 'b' WHERE id = 3"
    )
    settle(replication)
    sqlite_pair.assert_equal("users")
    assert sqlite_pair.rows(Side.SERVICE, "users", "id, mail") == [(3, "b"), (4, "a")]


def test_upserts_rollbacks_and_the_monoliths_last_row_id(sqlite_pair: Pair) -> None:
    sqlite_pair.define("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)")
    replication = sqlite_pair.started(mapped("t", ("id",), "n"))
    with sqlite_pair.monolith.engine.begin() as connection:
        cursor = connection.exec_driver_sql("INSERT INTO t (n) VALUES (5)")
        assert cursor.lastrowid == 1
        assert connection.exec_driver_sql("SELECT changes()").scalar() == 1
        connection.exec_driver_sql(
            "INSERT INTO t VALUES (1, 6) ON CONFLICT (id) DO UPDATE SET n = excluded.n"
        )
    with sqlite_pair.monolith.transaction() as run:
        run("SAVEPOINT s")
        run("INSERT INTO t VALUES (2, 0)")
        run("ROLLBACK TO s")
    assert settle(replication) == 2
    assert sqlite_pair.rows(Side.SERVICE, "t", "id, n") == [(1, 6)]


def test_what_the_monoliths_own_trigger_changes_is_captured_and_its_copy_sleeps(sqlite_pair: Pair) -> None:
    """isso deletes threads without comments by a trigger; the service's database has the same one."""
    sqlite_pair.define(
        "CREATE TABLE threads (id INTEGER PRIMARY KEY, uri TEXT UNIQUE)",
        "CREATE TABLE comments (tid REFERENCES threads(id), id INTEGER PRIMARY KEY, body TEXT, voters BLOB)",
        "CREATE TRIGGER remove_stale_threads AFTER DELETE ON comments "
        "BEGIN DELETE FROM threads WHERE id NOT IN (SELECT tid FROM comments); END",
    )
    before = sqlite_pair.service.schema()
    replication = sqlite_pair.started(
        mapped("comments", ("id",), "tid", "body", "voters"), mapped("threads", ("id",), "uri")
    )
    sqlite_pair.monolith.run("INSERT INTO threads VALUES (1, '/a'), (2, '/b')")
    sqlite_pair.monolith.run("INSERT INTO comments VALUES (1, 1, 'x', x'0001'), (2, 2, 'y', x'')")
    settle(replication)
    sqlite_pair.assert_equal("threads", "comments")
    sqlite_pair.monolith.run("DELETE FROM comments WHERE id = 1", "INSERT INTO threads VALUES (3, '/empty')")
    settle(replication)
    sqlite_pair.assert_equal("threads", "comments")
    assert sqlite_pair.rows(Side.SERVICE, "threads", "id, uri") == [(2, "/b"), (3, "/empty")]
    assert [name for kind, name, *_ in sqlite_pair.service.schema() if kind == "trigger" and "stale" in name]
    replication.uninstall()
    assert sqlite_pair.service.schema() == before


def test_triggers_fire_on_request(like_pair: Pair) -> None:
    like_pair.define("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)", "CREATE TABLE seen (id INTEGER)")
    if like_pair.service.is_postgresql:
        like_pair.service.run(
            "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN INSERT INTO seen VALUES (NEW.id); RETURN NULL; END'",
            "CREATE TRIGGER see AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION see()",
        )
    else:
        like_pair.service.run(
            "CREATE TRIGGER see AFTER INSERT ON t BEGIN INSERT INTO seen VALUES (NEW.id); END"
        )
    quiet = like_pair.started(mapped("t", ("id",), "n"))
    like_pair.monolith.run("INSERT INTO t VALUES (1, 1)")
    settle(quiet)
    quiet.uninstall()
    loud = like_pair.started(mapped("t", ("id",), "n", suppress_triggers=False))
    like_pair.monolith.run("INSERT INTO t VALUES (2, 1)")
    settle(loud)
    like_pair.assert_equal("t")
    assert (1,) not in like_pair.service.query("SELECT id FROM seen WHERE id = 1")[1:]
    assert (2,) in like_pair.service.query("SELECT id FROM seen")


def test_cascades_follow_the_monolith(like_pair: Pair) -> None:
    like_pair.define(
        "CREATE TABLE parents (id INTEGER PRIMARY KEY)",
        "CREATE TABLE children (id INTEGER PRIMARY KEY, pid INTEGER REFERENCES parents ON DELETE CASCADE)",
    )
    replication = like_pair.started(mapped("children", ("id",), "pid"), mapped("parents", ("id",)))
    with like_pair.monolith.engine.connect() as connection:
        if not like_pair.monolith.is_postgresql:
            connection.exec_driver_sql("PRAGMA foreign_keys = ON")
        connection.exec_driver_sql("INSERT INTO parents VALUES (1), (2)")
        connection.exec_driver_sql("INSERT INTO children VALUES (1, 1), (2, 2), (3, 1)")
        connection.exec_driver_sql("DELETE FROM parents WHERE id = 1")
        connection.commit()
    settle(replication)
    assert like_pair.rows(Side.SERVICE, "children", "id, pid") == [(2, 2)]
    assert like_pair.service.query("SELECT id FROM parents") == [(2,)]


@pytest.fixture
def shop(postgresql_pair: Pair) -> tuple[Pair, Replication]:
    postgresql_pair.define(
        'CREATE SCHEMA "Shop"',
        "CREATE TYPE mood AS ENUM ('ok', 'bad')",
        "CREATE DOMAIN amount AS numeric CHECK (VALUE >= 0)",
        'CREATE TABLE "Shop"."Order" ("Id" uuid, at timestamptz, kind mood, tags text[], doc jsonb, '
        "raw bytea, price amount, span interval, twice numeric GENERATED ALWAYS AS (price * 2) STORED, "
        'PRIMARY KEY ("Id", at))',
    )
    mapping = mapped("Shop.Order", ("Id", "at"), "kind", "tags", "doc", "raw", "price", "span")
    return postgresql_pair, postgresql_pair.started(mapping)


ROW = (
    "INSERT INTO \"Shop\".\"Order\" VALUES (gen_random_uuid(), '2024-02-03 04:05:06.789+02', 'ok', "
    "'{a,\"b,c\",NULL}', '{\"x\": [1, null, 1.10]}', '\\x00ff', 1.50, '1 day 02:03')"
)


def test_schemas_mixed_case_and_the_types_of_postgresql(shop: tuple[Pair, Replication]) -> None:
    pair, replication = shop
    pair.monolith.run(ROW, ROW)
    with pair.monolith.transaction() as run:
        run("SET LOCAL timezone = 'Asia/Tokyo'")
        run("SET LOCAL bytea_output = escape")
        run(ROW)
        run("UPDATE \"Shop\".\"Order\" SET at = at + interval '1 s', raw = '\\x010203', tags = NULL")
    settle(replication)
    pair.assert_equal('"Shop"."Order"')
    assert len(pair.rows(Side.SERVICE, '"Shop"."Order"')) == 3
    pair.monolith.run('DELETE FROM "Shop"."Order" WHERE kind = \'ok\'')
    settle(replication)
    assert not pair.rows(Side.SERVICE, '"Shop"."Order"')


def test_truncate(shop: tuple[Pair, Replication]) -> None:
    pair, replication = shop
    pair.monolith.run(ROW, ROW)
    settle(replication)
    pair.monolith.run('TRUNCATE "Shop"."Order"', ROW)
    settle(replication)
    pair.assert_equal('"Shop"."Order"')
    assert len(pair.rows(Side.SERVICE, '"Shop"."Order"')) == 1
    accounts = replication.accounts(Side.SERVICE)
    assert accounts.captured == accounts.applied == 4


def test_partitions_and_copy(postgresql_pair: Pair) -> None:
    postgresql_pair.define(
        "CREATE TABLE logs (id bigint, day date, body text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)",
        "CREATE TABLE logs_2024 PARTITION OF logs FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')",
        "CREATE TABLE logs_2025 PARTITION OF logs FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
    )
    postgresql_pair.monolith.run("INSERT INTO logs VALUES (1, '2024-05-05', 'before')")
    replication = postgresql_pair.started(mapped("logs", ("id", "day"), "body"))
    with postgresql_pair.monolith.engine.begin() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        with driver.cursor().copy("COPY logs FROM STDIN") as copy:
            copy.write("2\t2024-06-01\tcopied\n3\t2025-06-01\tcopied\n")
    postgresql_pair.monolith.run(
        "INSERT INTO logs_2024 VALUES (4, '2024-07-01', 'direct')",
        "UPDATE logs SET day = '2025-02-02' WHERE id = 1",
        "INSERT INTO logs VALUES (3, '2025-06-01', 'x') "
        "ON CONFLICT (id, day) DO UPDATE SET body = 'upserted'",
    )
    settle(replication)
    postgresql_pair.assert_equal("logs")
    assert len(postgresql_pair.rows(Side.SERVICE, "logs")) == 4


def test_a_user_without_rights_on_the_bookkeeping_is_captured(postgresql_pair: Pair) -> None:
    postgresql_pair.define("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    replication = postgresql_pair.started(mapped("t", ("id",)))
    name = f"app_{postgresql_pair.monolith.url.rpartition('_')[2]}"
    postgresql_pair.monolith.run(f"CREATE ROLE {name}", f"GRANT ALL ON t TO {name}")
    with postgresql_pair.monolith.transaction() as run:
        run(f"SET LOCAL ROLE {name}")
        run("INSERT INTO t VALUES (1)")
    assert settle(replication) == 1
    postgresql_pair.monolith.run(f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def test_follow_tables_flow_in_every_stage_and_are_never_guarded(like_pair: Pair) -> None:
    like_pair.define(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, n TEXT)",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT)",
    )
    replication = like_pair.started(mapped("users", ("id",), "n", follow=True), mapped("t", ("id",), "n"))
    like_pair.monolith.run("INSERT INTO users VALUES (1, 'a')", "INSERT INTO t VALUES (1, 'a')")
    switch(replication, Side.SERVICE, 2)
    like_pair.monolith.run("INSERT INTO users VALUES (2, 'b')")
    like_pair.service.run("INSERT INTO t VALUES (2, 'b')")
    assert settle(replication, Side.SERVICE) == 1
    assert settle(replication, Side.MONOLITH) == 1
    like_pair.assert_equal("users", "t")
    replication.close(Side.MONOLITH, 2)
    replication.retire()
    like_pair.monolith.run("UPDATE users SET n = 'c'")
    settle(replication, Side.SERVICE)
    like_pair.assert_equal("users")
    assert replication.guarded(Side.MONOLITH)


def test_mapping_runs_both_ways(pair: Pair) -> None:
    pair.monolith.run("CREATE TABLE saved (id INTEGER PRIMARY KEY, owner_id INTEGER, name TEXT, legacy TEXT)")
    pair.service.run("CREATE TABLE queries (qid INTEGER PRIMARY KEY, user_id INTEGER, label TEXT, kind TEXT)")
    mapping = TableMapping(
        "saved",
        "queries",
        ("id",),
        ("qid",),
        tuple(
            type(bare("x")[0])(target, expression, source)
            for target, expression, source in (
                ("qid", '"id"', "id"),
                ("user_id", '"owner_id"', "owner_id"),
                ("label", "lower(name || '%?')", None),
                ("kind", "'saved'", None),
            )
        ),
        tuple(
            type(bare("x")[0])(target, expression, source)
            for target, expression, source in (
                ("id", '"qid"', "qid"),
                ("owner_id", '"user_id"', "user_id"),
                ("name", "upper(replace(label, '%?', ''))", None),
            )
        ),
    )
    pair.monolith.run("INSERT INTO saved VALUES (1, 7, 'ABC', 'kept')")
    replication = pair.started(mapping)
    assert pair.service.query("SELECT * FROM queries") == [(1, 7, "abc%?", "saved")]
    pair.monolith.run("INSERT INTO saved VALUES (2, 8, 'D', NULL)")
    settle(replication)
    switch(replication, Side.SERVICE, 2)
    pair.service.run(
        "INSERT INTO queries VALUES (3, 9, 'new%?', 'saved')", "UPDATE queries SET user_id = 70 WHERE qid = 1"
    )
    settle(replication, Side.MONOLITH)
    assert pair.rows(Side.MONOLITH, "saved") == [
        (1, 70, "ABC", "kept"),
        (2, 8, "D", None),
        (3, 9, "NEW", None),
    ]
