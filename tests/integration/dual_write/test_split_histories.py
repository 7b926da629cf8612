"""One table to several and several to one: random histories in both directions end with both sides equal."""

import time
from collections.abc import Callable, Mapping

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from dual_write.mapping import TableMapping
from flags.side import Side
from tests.integration.dual_write.conftest import Pair, settle, switch
from tests.integration.dual_write.splits import (
    CUSTOMERS,
    CUSTOMERS_AND_ADDRESSES,
    DOCUMENTS,
    INVOICES_AND_RECEIPTS,
    SPLITS,
    Split,
    assert_alike,
    made,
)

Write = Callable[[int, str], list[str]]


def _whole(key: int, text: str) -> list[str]:
    put = f"INSERT INTO customers VALUES ({key}, '{text}', '{text} st', NULL)"
    return [f"{put} ON CONFLICT (id) DO UPDATE SET name = excluded.name, street = excluded.street"]


def _moved_out(key: int, text: str) -> list[str]:
    return [f"UPDATE customers SET street = NULL, city = NULL, name = '{text}' WHERE id = {key}"]


def _first(key: int, text: str) -> list[str]:
    return [
        f"INSERT INTO customers VALUES ({key}, '{text}') ON CONFLICT (id) DO UPDATE SET name = excluded.name"
    ]


def _both(key: int, text: str) -> list[str]:
    put = f"INSERT INTO addresses VALUES ({key}, '{text}', '{text}')"
    return [
        *_first(key, text),
        f"{put} ON CONFLICT (customer_id) DO UPDATE SET street = excluded.street",
    ]


def _document(key: int, text: str) -> list[str]:
    kind = "invoice" if len(text) % 2 else "receipt"
    put = f"INSERT INTO documents VALUES ({key}, '{kind}', '{text}')"
    return [f"{put} ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, body = excluded.body"]


def _to(table: str, other: str) -> Write:
    return lambda key, text: [
        f"DELETE FROM {other} WHERE id = {key}",
        f"INSERT INTO {table} VALUES ({key}, '{text}') ON CONFLICT (id) DO UPDATE SET body = excluded.body",
    ]


def _delete(*tables: tuple[str, str]) -> Write:
    return lambda key, _: [f"DELETE FROM {table} WHERE {column} = {key}" for table, column in tables]


WRITES: Mapping[tuple[str, ...], tuple[Write, ...]] = {
    CUSTOMERS: (_whole, _moved_out, _delete(("customers", "id"))),
    CUSTOMERS_AND_ADDRESSES: (
        _first,
        _both,
        _delete(("addresses", "customer_id")),
        _delete(("addresses", "customer_id"), ("customers", "id")),
    ),
    DOCUMENTS: (_document, _delete(("documents", "id"))),
    INVOICES_AND_RECEIPTS: (
        _to("invoices", "receipts"),
        _to("receipts", "invoices"),
        _delete(("invoices", "id"), ("receipts", "id")),
    ),
}


class History(RuleBasedStateMachine):
    """Writes on the side that owns the rows, single steps of the relay, switches and deaths in any order."""

    def __init__(self, pair: Pair, split: Split, mappings: list[TableMapping]) -> None:
        super().__init__()
        self.pair, self.split, self.mappings = pair, split, mappings
        self.writer, self.epoch = Side.MONOLITH, 1
        self.tables = {side: sorted({mapping.table(side) for mapping in mappings}) for side in Side}
        self.write(data_key=1, text="old", chosen=0)
        self.write(data_key=2, text="olds", chosen=0)
        self.replication = pair.replication(*mappings)
        self.replication.install()
        self.replication.guard(Side.SERVICE, Side.MONOLITH, 1, 5.0)
        self.replication.open(Side.SERVICE, 1)

    def write(self, data_key: int, text: str, chosen: int) -> None:
        writes = WRITES[self.split.schema(self.writer)]
        self.pair[self.writer].run(*writes[chosen % len(writes)](data_key, text))

    @rule(key=st.integers(1, 4), text=st.sampled_from(["a", "bb", "ccc", "dddd"]), chosen=st.integers(0, 11))
    def change(self, key: int, text: str, chosen: int) -> None:
        self.write(key, text, chosen)

    @rule(limit=st.integers(1, 3))
    def step(self, limit: int) -> None:
        self.replication.step(self.writer.other, limit)

    @rule()
    def die(self) -> None:
        self.replication.dispose()
        self.replication = self.pair.replication(*self.mappings)

    @precondition(lambda self: not self.replication.backfilled())
    @rule()
    def backfill(self) -> None:
        self.replication.backfill(lambda _: None, lambda: False)

    @precondition(lambda self: self.replication.backfilled())
    @rule()
    def switch(self) -> None:
        self.epoch += 1
        before = self.writer
        switch(self.replication, self.writer.other, self.epoch)
        self.writer = self.writer.other
        assert_alike(self.pair, self.mappings, self.writer)
        assert_alike(self.pair, self.mappings, before)

    @invariant()
    def i10_the_accounts_balance(self) -> None:
        for to in Side:
            accounts = self.replication.accounts(to)
            assert accounts.captured == accounts.applied + accounts.pending + accounts.parked

    @invariant()
    def i1_exactly_one_side_takes_writes(self) -> None:
        assert [side for side in Side if not self.replication.guarded(side)] == [self.writer]

    def teardown(self) -> None:
        self.replication.backfill(lambda _: None, lambda: False) if self.writer is Side.MONOLITH else None
        settle(self.replication, self.writer.other)
        deadline = time.monotonic() + 10
        while parked := self.replication.parked(self.writer.other):
            assert time.monotonic() < deadline, parked
            self.replication.step(self.writer.other)
        for to in (self.writer.other, self.writer):
            assert_alike(self.pair, self.mappings, to)
        self.replication.uninstall()
        self.replication.dispose()
        for side in Side:
            self.pair[side].run(*(f"DELETE FROM {table}" for table in self.tables[side]))


@pytest.mark.parametrize(
    ("pair", "name"),
    [
        *((engine, name) for engine in ("sqlite", "postgresql") for name in SPLITS),
        ("sqlite-postgresql", "columns"),
        ("sqlite-postgresql", "merged rows"),
        ("postgresql-sqlite", "rows"),
        ("postgresql-sqlite", "merged columns"),
    ],
    indirect=["pair"],
)
def test_i2_every_history_of_a_split_ends_equal(pair: Pair, name: str) -> None:
    split = SPLITS[name]
    mappings = made(pair, split)
    run_state_machine_as_test(  # type: ignore[no-untyped-call] # hypothesis leaves it untyped
        lambda: History(pair, split, mappings),
        settings=settings(
            max_examples=2,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
