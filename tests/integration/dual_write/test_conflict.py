"""While both sides take writes: no echo, and no row that both changed is overwritten without a word."""

import threading
import time
from collections.abc import Callable

import pytest

from dual_write.errors import DrainTimeout
from dual_write.replication import Replication
from flags.side import Side
from tests.integration.dual_write.conftest import Pair, mapped, settle

ITEM = "CREATE TABLE item (id TEXT PRIMARY KEY, name TEXT)"
HERE, THERE = Side.MONOLITH, Side.SERVICE

on_postgresql = pytest.mark.parametrize("like_pair", ["postgresql"], indirect=True)


@pytest.fixture
def split(pair: Pair) -> Callable[[], Replication]:
    """Makes the table with one old row, and lets both sides take writes."""

    def start() -> Replication:
        pair.define(ITEM)
        pair.monolith.run("INSERT INTO item VALUES ('old', 'of both')")
        replication = pair.started(mapped("item", ("id",), "name"))
        begin(replication, 2)
        return replication

    return start


def begin(replication: Replication, epoch: int) -> None:
    """The data's part of a switch after which both sides write."""
    for side in Side:
        replication.guard(side, HERE, epoch, 5.0)
    for side in Side:
        replication.open(side, epoch)
    for side in Side:
        replication.unguard(side, 5.0)


def settled(replication: Replication) -> None:
    while sum(settle(replication, to) for to in Side):
        pass


def errors(replication: Replication, to: Side) -> list[tuple[str, str, bool]]:
    return [(entry.table, entry.key, entry.conflict) for entry in replication.parked(to)]


def test_i4_rows_of_both_sides_cross_without_an_echo(pair: Pair, split) -> None:
    replication = split()
    before = {to: replication.accounts(to).captured for to in Side}
    pair.monolith.run("INSERT INTO item VALUES ('m', 'of the monolith')", "DELETE FROM item WHERE id = 'old'")
    pair.service.run("INSERT INTO item VALUES ('s', 'of the service')")
    settled(replication)
    pair.assert_equal("item")
    assert [key for key, _ in pair.rows(HERE, "item")] == ["m", "s"]
    assert {to: replication.accounts(to).captured - before[to] for to in Side} == {THERE: 2, HERE: 1}
    assert [replication.accounts(to).parked for to in Side] == [0, 0]


@pytest.mark.parametrize(
    ("on_monolith", "on_service"),
    [
        ("UPDATE item SET name = 'm' WHERE id = 'old'", "UPDATE item SET name = 's' WHERE id = 'old'"),
        ("UPDATE item SET name = 'm' WHERE id = 'old'", "DELETE FROM item WHERE id = 'old'"),
        ("DELETE FROM item WHERE id = 'old'", "UPDATE item SET name = 's' WHERE id = 'old'"),
        ("INSERT INTO item VALUES ('new', 'm')", "INSERT INTO item VALUES ('new', 's')"),
    ],
    ids=["both-update", "service-deletes", "monolith-deletes", "both-insert"],
)
def test_i1_a_row_that_both_sides_changed_is_parked_on_both(
    pair: Pair, split, on_monolith, on_service
) -> None:
    replication = split()
    pair.monolith.run(on_monolith)
    pair.service.run(on_service)
    before = {side: pair.rows(side, "item") for side in Side}
    settled(replication)
    assert {side: pair.rows(side, "item") for side in Side} == before
    for to in Side:
        [(table, key, conflict)] = errors(replication, to)
        assert (table, conflict) == ("item", True)
        assert key in {'["old"]', '["new"]'}
    replication.guard(HERE, HERE, 3, 5.0)
    with pytest.raises(DrainTimeout, match="both sides changed it"):
        replication.drain(THERE, time.monotonic())


@pytest.mark.parametrize("kept", list(Side))
def test_a_conflict_is_settled_by_naming_the_side_that_stays(pair: Pair, split, kept: Side) -> None:
    replication = split()
    for side in Side:
        pair[side].run(f"UPDATE item SET name = '{side}' WHERE id = 'old'")
        pair[side].run(f"INSERT INTO item VALUES ('{side}', 'own')")
    settled(replication)
    assert [entry.key for entry in replication.keep(kept)] == ['["old"]']
    settled(replication)
    pair.assert_equal("item")
    assert ("old", kept.value) in pair.rows(HERE, "item")
    assert [replication.parked(to) for to in Side] == [[], []]
    for to in Side:
        accounts = replication.accounts(to)
        assert accounts.captured == accounts.applied
    assert replication.keep(kept) == []


def test_a_change_made_in_sight_of_the_other_sides_is_no_conflict(pair: Pair, split) -> None:
    replication = split()
    for turn in range(3):
        for side in Side:
            pair[side].run(f"UPDATE item SET name = '{side} {turn}' WHERE id = 'old'")
            settled(replication)
            pair.assert_equal("item")
    assert [replication.parked(to) for to in Side] == [[], []]


def test_a_change_that_is_parked_elsewhere_counts_as_not_yet_known(pair: Pair, split) -> None:
    """The service's change was passed by the monolith, but not taken: the monolith's must not undo it."""
    replication = split()
    pair.define("CREATE UNIQUE INDEX one_name ON item (name)")
    pair.monolith.run("INSERT INTO item VALUES ('m', 'taken')")
    pair.service.run("UPDATE item SET name = 'taken' WHERE id = 'old'")
    settled(replication)
    pair.monolith.run("UPDATE item SET name = 'mine' WHERE id = 'old'")
    settled(replication)
    assert ("old", "taken") in pair.rows(THERE, "item")
    assert ("old", "mine") in pair.rows(HERE, "item")
    assert ("item", '["old"]', True) in errors(replication, THERE)


def test_other_keys_pass_a_conflict(pair: Pair, split) -> None:
    replication = split()
    pair.service.run("UPDATE item SET name = 's' WHERE id = 'old'")
    pair.monolith.run("UPDATE item SET name = 'm' WHERE id = 'old'")
    pair.monolith.run(*(f"INSERT INTO item VALUES ('k{number}', 'm')" for number in range(20)))
    settled(replication)
    assert len(pair.rows(THERE, "item")) == 21
    assert len(errors(replication, THERE)) == 1


def test_keys_that_the_engines_spell_differently_are_one_row(pair: Pair) -> None:
    pair.define(
        "CREATE TABLE item (id CHAR(32) PRIMARY KEY, name TEXT)",
        postgresql={"CHAR(32)": "uuid"},
    )
    key = {
        side: "0f8fad5b-d9cb-469f-a165-70867728950e"
        if pair[side].is_postgresql
        else "0f8fad5bd9cb469fa16570867728950e"
        for side in Side
    }
    replication = pair.started(mapped("item", ("id",), "name"))
    begin(replication, 2)
    for side in Side:
        pair[side].run(f"INSERT INTO item VALUES ('{key[side]}', '{side}')")
    settled(replication)
    assert [pair.rows(side, "item", "name, 1")[0][0] for side in Side] == list(Side)
    assert [conflict for to in Side for _, _, conflict in errors(replication, to)] == [True, True]


@on_postgresql
def test_a_truncate_takes_no_row_that_was_only_just_written_elsewhere(like_pair: Pair) -> None:
    like_pair.define(ITEM)
    like_pair.monolith.run("INSERT INTO item VALUES ('old', 'of both')")
    replication = like_pair.started(mapped("item", ("id",), "name"))
    begin(replication, 2)
    like_pair.service.run("INSERT INTO item VALUES ('new', 'of the service')")
    like_pair.monolith.run("TRUNCATE item")
    replication.step(THERE)
    assert ("new", "of the service") in like_pair.rows(THERE, "item")
    assert [entry.conflict for entry in replication.parked(THERE)] == [True]


@on_postgresql
def test_i1_a_write_that_commits_while_another_side_s_is_applied_is_seen(like_pair: Pair) -> None:
    """Applying waits for the row's lock, and must then see what its holder wrote."""
    like_pair.define(ITEM)
    like_pair.monolith.run("INSERT INTO item VALUES ('old', 'of both')")
    replication = like_pair.started(mapped("item", ("id",), "name"))
    begin(replication, 2)
    like_pair.monolith.run("UPDATE item SET name = 'm' WHERE id = 'old'")
    applying = threading.Thread(target=replication.step, args=(THERE,))
    with like_pair.service.transaction() as run:
        run("UPDATE item SET name = 's' WHERE id = 'old'")
        applying.start()
        deadline = time.monotonic() + 20
        while not like_pair.service.query("SELECT 1 FROM pg_locks WHERE NOT granted"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    applying.join()
    assert ("old", "s") in like_pair.rows(THERE, "item")
    assert [entry.conflict for entry in replication.parked(THERE)] == [True]
