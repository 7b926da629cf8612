"""Rows on their way, on every pairing of engines."""

import pytest
import sqlalchemy as sa

from dual_write.errors import FencedError
from flags.side import Side
from tests.integration.dual_write.conftest import Pair, mapped, settle, switch

ITEMS = (
    "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, price NUMERIC(10,2), at TIMESTAMP, "
    "ok BOOLEAN, raw BLOB)"
)
POSTGRESQL = {"BLOB": "bytea"}
MAPPING = mapped("items", ("id",), "name", "price", "at", "ok", "raw")


@pytest.fixture
def items(pair: Pair) -> Pair:
    pair.define(ITEMS, postgresql=POSTGRESQL)
    pair.monolith.run(
        "INSERT INTO items (id, name, price, at) VALUES (1, 'a', 1.5, '2024-01-01 10:00:00.000000'), "
        "(2, NULL, NULL, NULL), (3, 'ü''\"', 0, '2024-01-01 10:00:00.500000')"
    )
    return pair


def test_backfill_and_changes_arrive(items: Pair) -> None:
    replication = items.started(MAPPING)
    assert replication.backfilled()
    columns = "id, name, price"
    assert items.rows(Side.SERVICE, "items", columns) == items.rows(Side.MONOLITH, "items", columns)
    items.monolith.run(
        "INSERT INTO items (id, name) VALUES (4, 'new')",
        "UPDATE items SET name = 'changed' WHERE id = 1",
        "DELETE FROM items WHERE id = 2",
        "UPDATE items SET id = 30 WHERE id = 3",
    )
    assert settle(replication) == 5
    assert items.rows(Side.SERVICE, "items", columns) == items.rows(Side.MONOLITH, "items", columns)
    assert [row[0] for row in items.rows(Side.SERVICE, "items", "id, name")] == [1, 4, 30]


def test_i4_replicated_writes_are_not_captured_again(items: Pair) -> None:
    replication = items.started(MAPPING)
    items.monolith.run("INSERT INTO items (id, name) VALUES (9, 'x')")
    settle(replication)
    assert replication.accounts(Side.MONOLITH).captured == 0
    switch(replication, Side.SERVICE, 2)
    items.service.run("UPDATE items SET name = 'y' WHERE id = 9")
    assert settle(replication, Side.MONOLITH) == 1
    assert items.monolith.query("SELECT name FROM items WHERE id = 9") == [("y",)]
    assert replication.accounts(Side.SERVICE).pending == 0


def test_i1_a_guarded_side_refuses_strays_and_takes_what_is_replicated(items: Pair) -> None:
    replication = items.started(MAPPING)
    for statement in (
        "INSERT INTO items (id) VALUES (50)",
        "UPDATE items SET name = 'stray'",
        "DELETE FROM items WHERE id = 1",
    ):
        with pytest.raises(sa.exc.DBAPIError, match=r'table "items" is owned by monolith \(epoch 1\)'):
            items.service.run(statement)
    items.monolith.run("UPDATE items SET name = 'fine' WHERE id = 1")
    settle(replication)
    assert items.service.query("SELECT name FROM items WHERE id = 1") == [("fine",)]
    assert replication.guarded(Side.SERVICE)
    assert not replication.guarded(Side.MONOLITH)
    replication.unguard(Side.SERVICE, 5.0)
    assert not replication.guarded(Side.SERVICE)
    items.service.run("UPDATE items SET name = 'own'")


def test_install_and_uninstall_leave_no_trace(items: Pair) -> None:
    before = items.monolith.schema(), items.service.schema()
    for _ in range(2):
        replication = items.started(MAPPING)
        items.monolith.run("UPDATE items SET name = 'x'")
        settle(replication)
        replication.purge()
        replication.install()
        replication.uninstall()
        replication.uninstall()
        assert (items.monolith.schema(), items.service.schema()) == before


def test_a_closed_direction_is_fenced(items: Pair) -> None:
    replication = items.started(MAPPING)
    items.monolith.run("UPDATE items SET name = 'x'")
    replication.close(Side.SERVICE, 2)
    with pytest.raises(FencedError, match="closed"):
        replication.step(Side.SERVICE)
    replication.open(Side.SERVICE, 3)
    with pytest.raises(FencedError, match="epoch 2 is over"):
        replication.open(Side.SERVICE, 2)
    assert settle(replication) == 3


def test_switch_there_and_back_keeps_both_sides_equal(items: Pair) -> None:
    replication = items.started(MAPPING)
    items.monolith.run("INSERT INTO items (id, name) VALUES (10, 'm')")
    switch(replication, Side.SERVICE, 2)
    with pytest.raises(sa.exc.DBAPIError, match=r"owned by service \(epoch 2\)"):
        items.monolith.run("UPDATE items SET name = 'stray'")
    items.service.run("INSERT INTO items (id, name) VALUES (11, 's')", "DELETE FROM items WHERE id = 1")
    switch(replication, Side.MONOLITH, 3)
    items.monolith.run("UPDATE items SET name = 'back' WHERE id = 11")
    settle(replication)
    columns = "id, name, price"
    assert items.rows(Side.SERVICE, "items", columns) == items.rows(Side.MONOLITH, "items", columns)
    assert [row[0] for row in items.rows(Side.SERVICE, "items", "id, name")] == [2, 3, 10, 11]


def test_i10_accounts_balance(items: Pair) -> None:
    replication = items.started(MAPPING)
    items.service.run("CREATE UNIQUE INDEX one_name ON items (name)")
    items.monolith.run(
        "INSERT INTO items (id, name) VALUES (20, 'a')", "INSERT INTO items (id, name) VALUES (21, 'b')"
    )
    items.monolith.run("UPDATE items SET price = 3 WHERE id = 20")
    settle(replication)
    accounts = replication.accounts(Side.SERVICE)
    assert (accounts.captured, accounts.applied, accounts.pending, accounts.parked) == (3, 1, 0, 2)
    assert replication.lag(Side.SERVICE).changes == 0
    [parked] = replication.parked(Side.SERVICE)
    assert "unique" in parked.error.lower()
    replication.purge()
    items.monolith.run("UPDATE items SET name = 'c' WHERE id = 20")
    accounts = replication.accounts(Side.SERVICE)
    assert accounts.captured == accounts.applied + accounts.pending + accounts.parked == 4
    assert replication.lag(Side.SERVICE).changes == 1
    settle(replication)
    accounts = replication.accounts(Side.SERVICE)
    assert (accounts.captured, accounts.applied, accounts.pending, accounts.parked) == (4, 4, 0, 0)


def test_sqlite_in_wal_mode(sqlite_pair: Pair) -> None:
    """A reader of the source, held open, sees its own state; changes and switches go on beside it."""
    for side in Side:
        sqlite_pair[side].query("PRAGMA journal_mode = WAL")
    sqlite_pair.define(ITEMS)
    replication = sqlite_pair.started(MAPPING)
    with sqlite_pair.monolith.transaction() as reader:
        reader("BEGIN")
        reader("SELECT * FROM items")
        sqlite_pair.monolith.run("INSERT INTO items (id, name) VALUES (1, 'a')")
        switch(replication, Side.SERVICE, 2)
        sqlite_pair.service.run("UPDATE items SET name = 'b'")
        settle(replication, Side.MONOLITH)
    sqlite_pair.assert_equal("items")


def test_a_direction_tells_whether_it_is_open(items: Pair) -> None:
    replication = items.started(MAPPING)
    assert (replication.flows(Side.SERVICE), replication.flows(Side.MONOLITH)) == (True, False)
    switch(replication, Side.SERVICE, 2)
    assert (replication.flows(Side.SERVICE), replication.flows(Side.MONOLITH)) == (False, True)
