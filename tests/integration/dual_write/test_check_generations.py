"""What changes behind a check that has passed it is compared again, and a check may begin there."""

import pytest

from dual_write.check import run_check
from flags.side import Side
from tests.integration.dual_write.conftest import Pair, mapped
from tests.integration.dual_write.test_check_live import corrupt

ACCOUNT = mapped("account", ("id",), "balance")
FLOW = ACCOUNT.towards(Side.SERVICE)
ROWS = 40


@pytest.fixture
def started(pair: Pair):
    pair.define("CREATE TABLE account (id integer PRIMARY KEY, balance integer NOT NULL)")
    pair.monolith.run(*(f"INSERT INTO account VALUES ({key}, 0)" for key in range(ROWS)))
    return pair, pair.started(ACCOUNT)


def small(pair: Pair):
    pair.define("CREATE TABLE account (id integer PRIMARY KEY, balance integer NOT NULL)")
    pair.monolith.run("INSERT INTO account VALUES (1, 0), (2, 0)")
    return pair, pair.started(ACCOUNT)


def check(pair: Pair, replication, *, meanwhile=lambda: None, since=None):
    """Compare in small chunks; ``meanwhile`` happens once, when half of the rows are behind."""
    waiting = [meanwhile]

    def progress(_: str, rows: int, __: int) -> None:
        if rows >= ROWS // 2 and waiting:
            waiting.pop()()

    return run_check(
        pair.monolith.engine,
        pair.service.engine,
        [FLOW],
        settle=lambda: replication.settle(Side.SERVICE, 30.0),
        progress=progress,
        chunk_rows=10,
        changes=replication.changes(Side.SERVICE),
        since=since,
    )


def test_what_changed_behind_the_check_is_found(started):
    pair, replication = started

    def meanwhile() -> None:
        pair.monolith.run("UPDATE account SET balance = 1 WHERE id IN (0, 1)")
        replication.settle(Side.SERVICE, 30.0)
        corrupt(pair, "UPDATE account SET balance = 7 WHERE id = 1")

    result = check(pair, replication, meanwhile=meanwhile)
    assert [(each.kind.value, each.key) for each in result.findings] == [("different", (1,))]
    assert result.rows == ROWS
    assert "as of change" in result.covers
    assert "2 keys that had changed" in result.covers


def test_what_was_found_and_mended_since_is_no_finding(started):
    pair, replication = started
    corrupt(pair, "UPDATE account SET balance = 7 WHERE id = 1")

    def meanwhile() -> None:
        pair.monolith.run("UPDATE account SET balance = 1 WHERE id = 1")

    assert check(pair, replication, meanwhile=meanwhile).clean


def test_a_write_of_the_followers_own_is_looked_at(started):
    pair, replication = started
    replication.unguard(Side.SERVICE, 5.0)
    result = check(pair, replication, meanwhile=lambda: pair.service.run("DELETE FROM account WHERE id = 2"))
    assert [(each.kind.value, each.key) for each in result.findings] == [("missing", (2,))]


def test_one_that_goes_on_compares_only_what_changed(started):
    pair, replication = started
    before = check(pair, replication)
    assert before.clean
    assert before.mark is not None
    pair.monolith.run("UPDATE account SET balance = 1 WHERE id IN (3, 4)", "DELETE FROM account WHERE id = 5")
    replication.settle(Side.SERVICE, 30.0)
    replication.purge()
    corrupt(
        pair,
        "UPDATE account SET balance = 9 WHERE id = 4",
        "INSERT INTO account VALUES (5, 5)",
        "UPDATE account SET balance = 9 WHERE id = 20",
    )
    result = check(pair, replication, since=before.mark)
    assert {(each.kind.value, each.key) for each in result.findings} == {("different", (4,)), ("extra", (5,))}
    assert result.rows == 3
    assert "what changed since change" in result.covers
    assert check(pair, replication, since=result.mark).rows == 0


def test_a_truncated_table_is_compared_whole(postgresql_pair: Pair):
    pair, replication = small(postgresql_pair)
    before = check(pair, replication)
    pair.monolith.run("TRUNCATE account")
    replication.settle(Side.SERVICE, 30.0)
    corrupt(pair, "INSERT INTO account VALUES (9, 9)")
    result = check(pair, replication, since=before.mark)
    assert [(each.kind.value, each.key) for each in result.findings] == [("extra", (9,))]


def test_no_position_is_named_while_a_transaction_may_write_behind_it(postgresql_pair: Pair, monkeypatch):
    pair, replication = small(postgresql_pair)
    monkeypatch.setattr("dual_write.changes._PATIENCE_SECONDS", 0.0)
    with pair.monolith.transaction() as run:
        run("UPDATE account SET balance = 1 WHERE id = 1")
        result = check(pair, replication)
    assert result.mark is None
    assert "no position can be named" in result.covers


def test_what_an_early_transaction_commits_late_is_not_missed(postgresql_pair: Pair):
    pair, replication = small(postgresql_pair)
    before = check(pair, replication)
    early = pair.monolith.transaction()
    run = early.__enter__()
    run("UPDATE account SET balance = 1 WHERE id = 1")  # its place in the log comes first
    pair.monolith.run("UPDATE account SET balance = 1 WHERE id = 2")
    early.__exit__(None, None, None)
    replication.settle(Side.SERVICE, 30.0)
    corrupt(pair, "UPDATE account SET balance = 9 WHERE id = 1")
    result = check(pair, replication, since=before.mark)
    assert [each.key for each in result.findings] == [(1,)]
