"""Any sequence of writes, steps, deaths and switches ends with both sides equal."""

import time
from contextlib import suppress

import hypothesis.strategies as st
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from dual_write.replication import Replication
from flags.side import Side
from tests.integration.dual_write.conftest import Pair, mapped, settle, switch

PARENTS = mapped("parents", ("id",), "mail")
CHILDREN = mapped("children", ("pid", "name"), "body")
KEYS = st.integers(1, 5)
WORDS = st.sampled_from(["a", "b", "'", "é", "%s", "?", "\\", '"'])


class Journey(RuleBasedStateMachine):
    """One phase whose writer changes; the other side is guarded throughout."""

    def __init__(self, pair: Pair) -> None:
        super().__init__()
        self.pair = pair
        self.replication = self.renewed()
        self.replication.install()
        self.replication.guard(Side.SERVICE, Side.MONOLITH, 1, 5.0)
        self.replication.open(Side.SERVICE, 1)
        self.writer = Side.MONOLITH
        self.epoch = 1

    def renewed(self) -> Replication:
        return self.pair.replication(CHILDREN, PARENTS)

    def write(self, *statements: str) -> None:
        self.pair[self.writer].run(*statements)

    @rule(key=KEYS, word=WORDS)
    def put_parent(self, key: int, word: str) -> None:
        mail = f"{word}{key}".replace("'", "''")
        with suppress(sa.exc.IntegrityError):  # the writer's own constraint, once mails were exchanged
            self.write(
                f"INSERT INTO parents VALUES ({key}, '{mail}') "
                "ON CONFLICT (id) DO UPDATE SET mail = excluded.mail"
            )

    @rule(key=KEYS, other=KEYS)
    def exchange_mails(self, key: int, other: int) -> None:
        [one, two] = (f"(SELECT mail FROM parents WHERE id = {number})" for number in (key, other))
        if (
            key != other
            and len(self.pair[self.writer].query(f"SELECT 1 FROM parents WHERE id IN ({key}, {other})")) == 2
        ):
            self.write(
                f"CREATE TEMP TABLE held AS SELECT {one} AS one, {two} AS two",
                f"UPDATE parents SET mail = 'held' WHERE id = {key}",
                f"UPDATE parents SET mail = (SELECT one FROM held) WHERE id = {other}",
                f"UPDATE parents SET mail = (SELECT two FROM held) WHERE id = {key}",
                "DROP TABLE held",
            )

    @rule(key=KEYS)
    def delete_parent(self, key: int) -> None:
        self.write(f"DELETE FROM children WHERE pid = {key}", f"DELETE FROM parents WHERE id = {key}")

    @rule(key=KEYS, word=WORDS, body=WORDS)
    def put_child(self, key: int, word: str, body: str) -> None:
        name, text = word.replace("'", "''"), body.replace("'", "''")
        self.write(
            f"INSERT INTO parents VALUES ({key}, NULL) ON CONFLICT (id) DO NOTHING",
            f"INSERT INTO children VALUES ({key}, '{name}', '{text}') "
            "ON CONFLICT (pid, name) DO UPDATE SET body = excluded.body",
        )

    @rule(key=KEYS, other=KEYS)
    def move_children(self, key: int, other: int) -> None:
        self.write(
            f"INSERT INTO parents VALUES ({other}, NULL) ON CONFLICT (id) DO NOTHING",
            f"UPDATE children SET pid = {other} WHERE pid = {key} "
            f"AND name NOT IN (SELECT name FROM children WHERE pid = {other})",
        )

    @rule(limit=st.integers(1, 4))
    def step(self, limit: int) -> None:
        self.replication.step(self.writer.other, limit)

    @rule()
    def die(self) -> None:
        """All that a process knew is gone."""
        self.replication.dispose()
        self.replication = self.renewed()

    @rule()
    def purge(self) -> None:
        self.replication.purge()

    @precondition(lambda self: not self.replication.backfilled())
    @rule()
    def backfill(self) -> None:
        self.replication.backfill(lambda _: None, lambda: False)

    @precondition(lambda self: self.replication.backfilled())
    @rule()
    def switch(self) -> None:
        self.epoch += 1
        switch(self.replication, self.writer.other, self.epoch)
        self.writer = self.writer.other
        self.pair.assert_equal("parents", "children")

    @precondition(lambda self: self.replication.backfilled())
    @rule()
    def cancelled_switch(self) -> None:
        self.replication.guard(self.writer, self.writer.other, self.epoch + 1, 5.0)
        self.replication.drain(self.writer.other, time.monotonic() + 10)
        self.replication.unguard(self.writer, 5.0)

    @invariant()
    def i10_the_accounts_balance(self) -> None:
        for to in Side:
            accounts = self.replication.accounts(to)
            assert accounts.captured == accounts.applied + accounts.pending + accounts.parked

    @invariant()
    def i1_exactly_one_side_takes_writes(self) -> None:
        assert [side for side in Side if not self.replication.guarded(side)] == [self.writer]

    def teardown(self) -> None:
        if not self.replication.backfilled():
            self.replication.backfill(lambda _: None, lambda: False)
        settle(self.replication, self.writer.other)
        deadline = time.monotonic() + 10
        while parked := self.replication.parked(self.writer.other):
            assert time.monotonic() < deadline, parked
            self.replication.step(self.writer.other)
        self.pair.assert_equal("parents", "children")
        self.replication.uninstall()
        self.replication.dispose()
        for side in Side:
            self.pair[side].run("DELETE FROM children", "DELETE FROM parents")


def test_i2_every_journey_ends_equal(pair: Pair) -> None:
    pair.define(
        "CREATE TABLE parents (id INTEGER PRIMARY KEY, mail TEXT UNIQUE)",
        "CREATE TABLE children (pid INTEGER REFERENCES parents, name TEXT, body TEXT, "
        "PRIMARY KEY (pid, name))",
    )
    run_state_machine_as_test(  # type: ignore[no-untyped-call] # hypothesis leaves it untyped
        lambda: Journey(pair),
        settings=settings(
            max_examples=8,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
