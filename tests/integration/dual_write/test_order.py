"""The order in which changes are read, and what happens to those that come late."""

import time

import pytest
import sqlalchemy as sa

from dual_write.adapter import KEPT
from dual_write.apply import Work
from dual_write.errors import DataError, DrainTimeout
from flags.side import Side
from tests.integration.dual_write.conftest import Pair, mapped, settle, switch

T = "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT)"
MAPPING = mapped("t", ("id",), "n")


def test_i2_a_transaction_that_commits_late_is_not_skipped(postgresql_pair: Pair) -> None:
    """It drew its numbers first; a cursor over ids alone would have passed them."""
    postgresql_pair.define(T)
    replication = postgresql_pair.started(MAPPING)
    with postgresql_pair.monolith.transaction() as slow:
        slow("INSERT INTO t VALUES (1, 'slow')")
        postgresql_pair.monolith.run("INSERT INTO t VALUES (2, 'quick')")
        assert settle(replication) == 0
        lag = replication.lag(Side.SERVICE)
        assert lag.changes == 1
        assert lag.horizon_seconds > 0
    assert settle(replication) == 2
    postgresql_pair.assert_equal("t")


def test_i3_two_sequences_committed_in_the_other_order(postgresql_pair: Pair) -> None:
    """The transaction with the older id writes the row last: reading order is not commit order."""
    postgresql_pair.define(T)
    replication = postgresql_pair.started(MAPPING)
    postgresql_pair.monolith.run("INSERT INTO t VALUES (1, 'start')")
    with postgresql_pair.monolith.transaction() as older:
        older("INSERT INTO t VALUES (9, 'draws its transaction id')")
        postgresql_pair.monolith.run("UPDATE t SET n = 'first' WHERE id = 1")
        older("UPDATE t SET n = 'second' WHERE id = 1")
    while replication.step(Side.SERVICE, limit=1):
        pass
    assert postgresql_pair.service.query("SELECT n FROM t WHERE id = 1") == [("second",)]
    postgresql_pair.assert_equal("t")


def test_i3_a_delete_followed_by_a_late_update(like_pair: Pair) -> None:
    """The log names keys, not rows: an update read after the row is gone finds nothing to bring back."""
    like_pair.define(T)
    replication = like_pair.started(MAPPING)
    like_pair.monolith.run("INSERT INTO t VALUES (1, 'a')", "UPDATE t SET n = 'b'")
    like_pair.monolith.run("DELETE FROM t")
    while replication.step(Side.SERVICE, limit=1):
        like_pair.assert_equal("t")
    like_pair.monolith.run("INSERT INTO t VALUES (1, 'again')")
    settle(replication)
    like_pair.assert_equal("t")


def test_i3_an_older_version_never_wins(like_pair: Pair) -> None:
    like_pair.define(T)
    replication = like_pair.started(MAPPING)
    like_pair.monolith.run("INSERT INTO t VALUES (1, 'new')")
    settle(replication)
    [channel] = [channel for channel in replication._channels if channel.stream.to is Side.SERVICE]
    with channel.target.writing() as session:
        name = channel.stream.name
        for epoch, sequence, fresh in (
            (1, 1, False),
            (0, 99, False),
            (1, 2, True),
            (2, 1, True),
            (1, 50, False),
        ):
            claimed = channel.target.claim(session, name, "t", epoch, [("[1]", sequence, False)])
            assert bool(claimed) is fresh, (epoch, sequence)


def test_i3_a_batch_that_is_delivered_again_changes_nothing(like_pair: Pair) -> None:
    """As from a position that was not kept; what came first is not brought back, nor what was deleted."""
    like_pair.define(T)
    replication = like_pair.started(MAPPING)
    like_pair.monolith.run("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    like_pair.monolith.run("UPDATE t SET n = 'c' WHERE id = 1", "DELETE FROM t WHERE id = 2")
    settle(replication)
    before = _versions(like_pair)
    for limit in (1, 2, 1000):
        like_pair.service.run(f"UPDATE {_name(like_pair, 'inbox')} SET at_xid = 0, at_id = 0")
        while replication.step(Side.SERVICE, limit):
            like_pair.assert_equal("t")
        assert _versions(like_pair) == before


@pytest.mark.parametrize("newer", ["DELETE FROM t", "UPDATE t SET n = 'new'"])
def test_i3_a_change_that_arrives_late_finds_a_newer_version(like_pair: Pair, newer: str) -> None:
    """The row as an older batch carried it, written after a newer batch: delayed, or in another order."""
    like_pair.define(T)
    replication = like_pair.started(MAPPING)
    like_pair.monolith.run("INSERT INTO t VALUES (1, 'old')")
    settle(replication)
    like_pair.monolith.run(newer)
    settle(replication)
    [channel] = [channel for channel in replication._channels if channel.stream.to is Side.SERVICE]
    with channel.target.writing() as session:
        for rows in ({("t", "[1]"): (1, "old")}, {}):
            assert channel.applier.apply(session, 1, [Work("t", "[1]", 1, 1)], rows) == []
    like_pair.assert_equal("t")


def _name(pair: Pair, table: str) -> str:
    return f"strangler.{table}" if pair.service.is_postgresql else f"strangler_{table}"


def _versions(pair: Pair) -> list[tuple[object, ...]]:
    return pair.service.query(f"SELECT * FROM {_name(pair, 'version')} ORDER BY 1, 2, 3")


def test_a_switch_does_not_wait_for_an_unrelated_transaction(postgresql_pair: Pair) -> None:
    postgresql_pair.define(T, "CREATE TABLE other (id INTEGER)")
    replication = postgresql_pair.started(MAPPING)
    with postgresql_pair.monolith.transaction() as unrelated:
        unrelated("INSERT INTO other VALUES (1)")
        postgresql_pair.monolith.run("INSERT INTO t VALUES (1, 'a')", "INSERT INTO t VALUES (2, 'b')")
        assert settle(replication) == 0
        replication.guard(Side.MONOLITH, Side.SERVICE, 2, 5.0)
        assert replication.drain(Side.SERVICE, time.monotonic() + 5) == 2
        postgresql_pair.assert_equal("t")
        replication.unguard(Side.MONOLITH, 5.0)
        # Its transaction id is older than all that was drained; what it writes now must not be passed over.
        unrelated("INSERT INTO t VALUES (3, 'from an old transaction')")
    assert settle(replication) == 1
    postgresql_pair.assert_equal("t")
    accounts = replication.accounts(Side.SERVICE)
    assert (accounts.captured, accounts.applied, accounts.pending) == (3, 3, 0)
    replication.purge()
    assert replication.accounts(Side.SERVICE) == accounts


def test_i2_what_was_read_ahead_is_read_anew_after_others_went_on(like_pair: Pair) -> None:
    """A full batch has the next one read; before it is written another relay and a newer row overtake it."""
    like_pair.define(T)
    replication = like_pair.started(MAPPING)
    other = like_pair.replication(MAPPING)
    like_pair.monolith.run("INSERT INTO t VALUES (1, 'a')", "INSERT INTO t VALUES (2, 'a')")
    assert replication.step(Side.SERVICE, limit=1) == 1
    like_pair.monolith.run("UPDATE t SET n = 'b' WHERE id = 2")
    assert settle(other) == 2
    like_pair.monolith.run("INSERT INTO t VALUES (3, 'c')")
    assert replication.step(Side.SERVICE) == 1
    like_pair.assert_equal("t")
    accounts = replication.accounts(Side.SERVICE)
    assert accounts.captured == accounts.applied == 4


def test_i1_what_was_read_ahead_for_an_epoch_that_is_over_is_dropped(like_pair: Pair) -> None:
    like_pair.define(T)
    replication = like_pair.started(MAPPING)
    like_pair.monolith.run("INSERT INTO t VALUES (1, 'a')", "INSERT INTO t VALUES (2, 'a')")
    assert replication.step(Side.SERVICE, limit=1) == 1
    replication.close(Side.SERVICE, 2)
    replication.open(Side.SERVICE, 3)
    like_pair.monolith.run("UPDATE t SET n = 'b' WHERE id = 2")
    assert settle(replication) == 2
    like_pair.assert_equal("t")


def test_a_log_keeps_its_newest_entries_for_the_last_look_of_a_switch(pair: Pair) -> None:
    pair.define(T)
    replication = pair.started(MAPPING)
    for number in range(3):
        values = ", ".join(f"({number * KEPT + each}, 'a')" for each in range(KEPT))
        pair.monolith.run(f"INSERT INTO t VALUES {values}")
        settle(replication)
    assert replication.purge() == 2 * KEPT
    changed = replication.changed_last(Side.SERVICE, MAPPING.towards(Side.SERVICE), 2)
    assert [key for (key,) in changed] == [3 * KEPT - 1, 3 * KEPT - 2]
    accounts = replication.accounts(Side.SERVICE)
    assert (accounts.captured, accounts.applied) == (3 * KEPT, 3 * KEPT)


def test_a_log_is_purged_little_by_little_from_its_old_end(pair: Pair) -> None:
    pair.define(T)
    replication = pair.started(MAPPING)
    values = ", ".join(f"({number}, 'a')" for number in range(KEPT + 50))
    pair.monolith.run(f"INSERT INTO t VALUES {values}")
    settle(replication)
    log = "strangler.change" if pair.monolith.is_postgresql else "strangler_change"
    left = []
    for _ in range(3):
        assert replication.purge(limit=20) in {20, 10}
        left += pair.monolith.query(f"SELECT count(*), max(id) - min(id) FROM {log}")
    assert left == [(KEPT + more, KEPT + more - 1) for more in (30, 10, 0)]
    assert replication.purge(limit=20) == 0
    accounts = replication.accounts(Side.SERVICE)
    assert accounts.captured == accounts.applied == KEPT + 50


def test_i10_what_commits_late_behind_a_drain_is_purged_too(postgresql_pair: Pair) -> None:
    """Its transaction is older than those that were purged before it."""
    postgresql_pair.define(T, "CREATE TABLE other (id INTEGER)")
    replication = postgresql_pair.started(MAPPING)
    with postgresql_pair.monolith.transaction() as old:
        old("INSERT INTO other VALUES (1)")
        postgresql_pair.monolith.run(f"INSERT INTO t SELECT n, 'a' FROM generate_series(1, {KEPT + 5}) AS n")
        replication.guard(Side.MONOLITH, Side.SERVICE, 2, 5.0)
        replication.drain(Side.SERVICE, time.monotonic() + 5)
        replication.unguard(Side.MONOLITH, 5.0)
        assert replication.purge() == 5
        old("INSERT INTO t VALUES (0, 'late')")
    settle(replication)
    assert replication.purge() == 1
    postgresql_pair.assert_equal("t")
    accounts = replication.accounts(Side.SERVICE)
    assert accounts.captured == accounts.applied == KEPT + 6


def test_a_parked_key_is_tried_again_while_others_never_stop(like_pair: Pair) -> None:
    """Full batches are read ahead one after the other; only what is read anew looks for what is parked."""
    like_pair.define(T)
    like_pair.service.run("CREATE UNIQUE INDEX u ON t (n)")
    replication = like_pair.started(MAPPING)
    like_pair.monolith.run("INSERT INTO t VALUES (1, 'a'), (2, 'a')")
    settle(replication)
    assert len(replication.parked(Side.SERVICE)) == 1
    like_pair.service.run("DROP INDEX u")
    deadline, number = time.monotonic() + 20, 3
    while replication.parked(Side.SERVICE):
        assert time.monotonic() < deadline
        values = ", ".join(f"({each}, 'b')" for each in range(number, number + 4))
        like_pair.monolith.run(f"INSERT INTO t VALUES {values}")
        assert replication.step(Side.SERVICE, limit=2) == 2
        number += 4
    settle(replication)
    like_pair.assert_equal("t")


def test_drain_asks_for_the_guard(like_pair: Pair) -> None:
    like_pair.define(T)
    replication = like_pair.started(MAPPING)
    with pytest.raises(DataError, match="guard it first"):
        replication.drain(Side.SERVICE, time.monotonic() + 1)


def test_drain_says_what_is_parked(like_pair: Pair) -> None:
    like_pair.define(T)
    like_pair.service.run("CREATE UNIQUE INDEX u ON t (n)")
    replication = like_pair.started(MAPPING)
    like_pair.monolith.run("INSERT INTO t VALUES (1, 'a'), (2, 'a')")
    replication.guard(Side.MONOLITH, Side.SERVICE, 2, 5.0)
    with pytest.raises(DrainTimeout, match=r"1 keys are parked.*'t'"):
        replication.drain(Side.SERVICE, time.monotonic() + 0.1)
    like_pair.service.run("DROP INDEX u")
    replication.drain(Side.SERVICE, time.monotonic() + 5)
    like_pair.assert_equal("t")


def test_what_a_log_held_before_a_newer_epoch_is_not_applied(like_pair: Pair) -> None:
    """A stray row on the service from before it was guarded stays out of the monolith's way."""
    like_pair.define(T)
    replication = like_pair.replication(MAPPING)
    replication.install()
    like_pair.service.run("INSERT INTO t VALUES (5, 'stray')")
    like_pair.monolith.run("INSERT INTO t VALUES (1, 'a')")
    replication.guard(Side.SERVICE, Side.MONOLITH, 1, 5.0)
    replication.open(Side.SERVICE, 1)
    assert replication.backfill(lambda _: None, lambda: False)
    settle(replication)
    like_pair.assert_equal("t")
    switch(replication, Side.SERVICE, 2)
    assert replication.lag(Side.MONOLITH).changes == 0
    like_pair.service.run("INSERT INTO t VALUES (6, 'own')")
    replication.open(Side.MONOLITH, 2)
    assert settle(replication, Side.MONOLITH) == 1
    like_pair.assert_equal("t")
    accounts = replication.accounts(Side.MONOLITH)
    assert accounts.captured == accounts.applied == 2


def test_purge_keeps_numbering_and_position(like_pair: Pair) -> None:
    like_pair.define(T)
    replication = like_pair.started(MAPPING)
    for number in range(3):
        like_pair.monolith.run(
            f"INSERT INTO t VALUES ({number}, 'a')", f"UPDATE t SET n = 'b' WHERE id = {number}"
        )
        settle(replication)
        replication.purge()
    like_pair.assert_equal("t")
    accounts = replication.accounts(Side.SERVICE)
    assert (accounts.captured, accounts.applied) == (6, 6)
    assert replication.purge() == 0


def test_i1_the_guard_waits_for_open_writers(postgresql_pair: Pair) -> None:
    postgresql_pair.define(T)
    replication = postgresql_pair.started(MAPPING)
    with postgresql_pair.monolith.transaction() as writer:
        writer("INSERT INTO t VALUES (1, 'open')")
        with pytest.raises(DataError, match="still open"):
            replication.guard(Side.MONOLITH, Side.SERVICE, 2, 0.05)
        assert not replication.guarded(Side.MONOLITH)
        postgresql_pair.monolith.run("INSERT INTO t VALUES (2, 'not refused')")
    replication.guard(Side.MONOLITH, Side.SERVICE, 2, 1.0)
    replication.drain(Side.SERVICE, time.monotonic() + 5)
    postgresql_pair.assert_equal("t")


def test_i1_a_transaction_that_began_before_the_guard_is_refused_too(postgresql_pair: Pair) -> None:
    postgresql_pair.define(T)
    replication = postgresql_pair.started(MAPPING)
    with postgresql_pair.monolith.transaction() as early:
        early("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        early("SELECT * FROM t")
        replication.guard(Side.MONOLITH, Side.SERVICE, 2, 1.0)
        with pytest.raises(sa.exc.DBAPIError, match="owned by service"):
            early("INSERT INTO t VALUES (1, 'late')")
    with pytest.raises(sa.exc.DBAPIError, match="owned by service"):
        postgresql_pair.monolith.run("INSERT INTO t VALUES (1, 'late')")
    with pytest.raises(sa.exc.DBAPIError, match="owned by service"):
        postgresql_pair.monolith.run("TRUNCATE t")


def test_i1_the_guard_needs_no_lock_on_the_table(postgresql_pair: Pair) -> None:
    """A long report or a vacuum would else hold up the switch."""
    postgresql_pair.define(T)
    replication = postgresql_pair.started(MAPPING)
    with postgresql_pair.monolith.transaction() as report:
        report("SELECT * FROM t")
        report("LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE")
        replication.guard(Side.MONOLITH, Side.SERVICE, 2, 0.5)
        replication.unguard(Side.MONOLITH, 0.5)


def test_i1_sqlite_waits_for_an_open_writer(sqlite_pair: Pair) -> None:
    sqlite_pair.define(T)
    replication = sqlite_pair.started(MAPPING)
    with sqlite_pair.monolith.transaction() as writer:
        writer("INSERT INTO t VALUES (1, 'open')")
        with pytest.raises(DataError, match="locked"):
            replication.guard(Side.MONOLITH, Side.SERVICE, 2, 0.05)
    assert not replication.guarded(Side.MONOLITH)
    for statement in ("INSERT OR IGNORE INTO t VALUES (2, '')", "INSERT OR REPLACE INTO t VALUES (1, '')"):
        replication.guard(Side.MONOLITH, Side.SERVICE, 2, 1.0)
        with pytest.raises(sa.exc.DBAPIError, match=r'strangler: table "t" is owned by service \(epoch 2\)'):
            sqlite_pair.monolith.run(statement)


def test_sequences_are_handed_over(pair: Pair) -> None:
    for database in (pair.monolith, pair.service):
        identity = "serial" if database.is_postgresql else "INTEGER"
        suffix = "" if database.is_postgresql else " AUTOINCREMENT"
        database.run(f"CREATE TABLE t (id {identity} PRIMARY KEY{suffix}, n TEXT)")
    replication = pair.started(MAPPING)
    for _ in range(3):
        pair.monolith.run("INSERT INTO t (n) VALUES ('m')")
    pair.monolith.run("DELETE FROM t WHERE id = 3")
    switch(replication, Side.SERVICE, 2)
    pair.service.run("INSERT INTO t (n) VALUES ('s')")
    assert pair.service.query("SELECT max(id) FROM t") == [(4,)]
    switch(replication, Side.MONOLITH, 3)
    pair.monolith.run("INSERT INTO t (n) VALUES ('m')")
    assert pair.monolith.query("SELECT max(id) FROM t") == [(5,)]


def test_identity_columns_that_are_always_generated(postgresql_pair: Pair) -> None:
    postgresql_pair.define("CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n TEXT)")
    postgresql_pair.monolith.run("INSERT INTO t (n) VALUES ('backfilled')")
    replication = postgresql_pair.started(MAPPING)
    postgresql_pair.monolith.run("INSERT INTO t (n) VALUES ('relayed')")
    switch(replication, Side.SERVICE, 2)
    postgresql_pair.service.run("INSERT INTO t (n) VALUES ('own')")
    assert postgresql_pair.rows(Side.SERVICE, "t") == [(1, "backfilled"), (2, "relayed"), (3, "own")]


def test_a_unique_value_that_two_rows_exchange(like_pair: Pair) -> None:
    like_pair.define("CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT UNIQUE)")
    replication = like_pair.started(MAPPING)
    like_pair.monolith.run("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    settle(replication)
    like_pair.monolith.run(
        "UPDATE t SET n = 'c' WHERE id = 1",
        "UPDATE t SET n = 'a' WHERE id = 2",
        "UPDATE t SET n = 'b' WHERE id = 1",
    )
    like_pair.monolith.run("DELETE FROM t WHERE id = 2", "INSERT INTO t VALUES (3, 'a')")
    settle(replication)
    like_pair.assert_equal("t")
    assert not replication.parked(Side.SERVICE)


def test_changes_of_a_transaction_rolled_back_to_a_savepoint_are_read_in_place(postgresql_pair: Pair) -> None:
    postgresql_pair.define(T)
    replication = postgresql_pair.started(MAPPING)
    with postgresql_pair.monolith.transaction() as run:
        run("INSERT INTO t VALUES (1, 'a')")
        run("SAVEPOINT s")
        run("UPDATE t SET n = 'undone'")
        run("ROLLBACK TO s")
        run("INSERT INTO t VALUES (2, 'b')")
    assert settle(replication) == 2
    postgresql_pair.assert_equal("t")


def test_recently_changed_keys_are_told_as_the_driver_delivers_them(pair: Pair) -> None:
    pair.define("CREATE TABLE t (id INTEGER, part TEXT, n TEXT, PRIMARY KEY (id, part))")
    mapping = mapped("t", ("id", "part"), "n")
    replication = pair.started(mapping)
    for number in range(3):
        pair.monolith.run(f"INSERT INTO t VALUES ({number}, 'p', 'x')")
        settle(replication)
    flow = mapping.towards(Side.SERVICE)
    assert sorted(replication.changed_last(Side.SERVICE, flow, 2)) == [(1, "p"), (2, "p")]
    pair.monolith.run("UPDATE t SET n = 'y'")
    assert replication.settle(Side.SERVICE, 5.0)
    pair.assert_equal("t")
