"""Schemas that change while a phase is under way: the table is named and waits, and the others flow."""

import re
from dataclasses import dataclass

import pytest

from dual_write.replication import Replication
from flags.side import Side
from tests.integration.dual_write.conftest import Pair, mapped, settle

TABLES = (
    "CREATE TABLE items (id INTEGER PRIMARY KEY, name VARCHAR(20), n INTEGER)",
    "CREATE TABLE tags (id INTEGER PRIMARY KEY, name VARCHAR(20))",
)
MAPPINGS = (mapped("items", ("id",), "name", "n"), mapped("tags", ("id",), "name"))


@pytest.fixture
def replication(like_pair: Pair) -> Replication:
    like_pair.define(*TABLES)
    like_pair.monolith.run("INSERT INTO items VALUES (1, 'a', 1), (2, 'b', 2)")
    return like_pair.started(*MAPPINGS)


@dataclass(frozen=True)
class Change:
    """``while_broken``: what the monolith goes on writing; ``mended``: by which everything fits again."""

    side: Side
    broken: tuple[str, ...]
    mended: tuple[str, ...]
    said: str
    while_broken: tuple[str, ...] = ("UPDATE items SET n = 10 WHERE id = 1", "DELETE FROM items WHERE id = 2")


CHANGES = {
    "a column renamed": Change(
        Side.MONOLITH,
        ("ALTER TABLE items RENAME COLUMN name TO title",),
        ("ALTER TABLE items RENAME COLUMN title TO name",),
        r"'items' has lost its column 'name' \(renamed to 'title'\?\).*put it back",
    ),
    "a column dropped": Change(
        Side.MONOLITH,
        ("ALTER TABLE items DROP COLUMN name",),
        ("ALTER TABLE items ADD COLUMN name VARCHAR(20)",),
        "'items' has lost its column 'name', which is carried",
    ),
    "a column dropped on the service": Change(
        Side.SERVICE,
        ("ALTER TABLE items DROP COLUMN name",),
        ("ALTER TABLE items ADD COLUMN name VARCHAR(20)",),
        "'items' has lost its column 'name', which is carried",
    ),
    "a table renamed": Change(
        Side.MONOLITH,
        ("ALTER TABLE items RENAME TO things",),
        ("ALTER TABLE things RENAME TO items",),
        "table 'items' is gone; rename it back",
        ("UPDATE things SET n = 10 WHERE id = 1", "DELETE FROM things WHERE id = 2"),
    ),
    "a table renamed on the service": Change(
        Side.SERVICE,
        ("ALTER TABLE items RENAME TO things",),
        ("ALTER TABLE things RENAME TO items",),
        "table 'items' is gone; rename it back",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("looks_again", [True, False], ids=["restarted", "running"])
def test_i2_a_table_that_drifts_waits_and_the_others_flow(
    like_pair: Pair, replication: Replication, name: str, looks_again: bool
) -> None:
    change = CHANGES[name]
    settle(replication)
    like_pair[change.side].run(*change.broken)
    like_pair.monolith.run(*change.while_broken, "INSERT INTO tags VALUES (1, 'flows')")
    if looks_again:
        replication = like_pair.replication(*MAPPINGS)
    until_settled(replication)
    like_pair.assert_equal("tags")
    assert len(like_pair.service.query("SELECT * FROM tags")) == 1
    [drift] = replication.drift(Side.SERVICE)
    assert (drift.table, drift.blocks) == ("items", True)
    assert re.search(change.said, drift.text), drift.text
    parked = replication.parked(Side.SERVICE)
    assert {entry.table for entry in parked} == {"items"}
    assert all(entry.error == drift.text for entry in parked)
    accounts = replication.accounts(Side.SERVICE)
    assert (accounts.captured, accounts.applied, accounts.parked) == (3, 1, 2)
    like_pair[change.side].run(*change.mended)
    until_settled(replication)
    assert not replication.parked(Side.SERVICE)
    assert not replication.drift(Side.SERVICE)
    items = "SELECT id, n FROM items ORDER BY id"
    assert like_pair.service.query(items) == like_pair.monolith.query(items) == [(1, 10)]


def until_settled(replication: Replication) -> None:
    """A step that finds a schema changed carries nothing: the next one does."""
    for _ in range(3):
        settle(replication)


def test_a_type_that_changes_waits_until_both_sides_have_it(postgresql_pair: Pair) -> None:
    """Cast to the service's old type, 1.5 would have become 2 without a word."""
    pair = postgresql_pair
    pair.define(*TABLES)
    replication = pair.started(*MAPPINGS)
    pair.monolith.run("INSERT INTO items VALUES (1, 'a', 1)")
    settle(replication)
    pair.monolith.run("ALTER TABLE items ALTER n TYPE numeric(10,2)", "UPDATE items SET n = 1.5")
    until_settled(replication)
    [drift] = replication.drift(Side.SERVICE)
    assert drift.blocks
    assert "column 'n' of the monolith's table 'items' was integer and is numeric(10,2) now" in drift.text
    assert pair.service.query("SELECT n FROM items") == [(1,)]
    pair.service.run("ALTER TABLE items ALTER n TYPE numeric(10,2)")
    until_settled(replication)
    assert not replication.drift(Side.SERVICE)
    pair.assert_equal("items")


def test_another_type_is_carried_once_it_is_accepted(postgresql_pair: Pair) -> None:
    pair = postgresql_pair
    pair.define(*TABLES)
    replication = pair.started(*MAPPINGS)
    pair.monolith.run("ALTER TABLE items ALTER n TYPE bigint", "INSERT INTO items VALUES (1, 'a', 7)")
    until_settled(replication)
    assert len(replication.parked(Side.SERVICE)) == 1
    replication.accept()
    until_settled(replication)
    assert not replication.parked(Side.SERVICE)
    pair.assert_equal("items")


def test_a_new_column_is_told_and_holds_nothing_up(like_pair: Pair, replication: Replication) -> None:
    like_pair.monolith.run("ALTER TABLE items ADD COLUMN extra TEXT", "UPDATE items SET extra = 'x', n = 5")
    until_settled(replication)
    [drift] = replication.drift(Side.SERVICE)
    assert not drift.blocks
    assert "'items' has a new column 'extra', which was not there" in drift.text
    assert not replication.parked(Side.SERVICE)
    assert like_pair.service.query("SELECT n FROM items") == [(5,), (5,)]
    replication.accept()
    assert not replication.drift(Side.SERVICE)


def test_a_table_made_anew_is_no_longer_captured(like_pair: Pair, replication: Replication) -> None:
    """As schema tools do it on SQLite: create, copy, drop, rename."""
    like_pair.monolith.run(
        "CREATE TABLE fresh (id INTEGER PRIMARY KEY, name VARCHAR(20), n INTEGER)",
        "INSERT INTO fresh SELECT * FROM items",
        "DROP TABLE items",
        "ALTER TABLE fresh RENAME TO items",
    )
    told = [drift for drift in replication.drift(Side.SERVICE) if "lost its capture" in drift.text]
    assert [drift.table for drift in told] == ["items"]
    like_pair.monolith.run("UPDATE items SET n = 3")
    assert settle(replication) == 0
    replication.renew()
    assert not replication.drift(Side.SERVICE)
    like_pair.monolith.run("UPDATE items SET n = 4")
    assert settle(replication) == 2
    like_pair.assert_equal("items")


def test_drift_of_the_service_is_told_on_the_way_back(like_pair: Pair, replication: Replication) -> None:
    like_pair.service.run("ALTER TABLE tags ADD COLUMN colour TEXT")
    [drift] = replication.drift(Side.MONOLITH)
    assert (drift.table, drift.blocks) == ("tags", False)
