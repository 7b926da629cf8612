"""One table to several and several to one: random histories in both directions end with both sides equal."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

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

from dual_write.check import run_check
from dual_write.flows import flows
from dual_write.mapping import TableMapping
from dual_write.repair import apply_repair, plan_repair
from dual_write.replication import Replication
from dual_write.resolve import TableSpec, resolve
from flags.side import Side
from tests.integration.dual_write.conftest import Pair, settle, switch

CUSTOMERS = ("CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, street TEXT, city TEXT)",)
CUSTOMERS_AND_ADDRESSES = (
    "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT)",
    "CREATE TABLE addresses (customer_id INTEGER PRIMARY KEY REFERENCES customers, street TEXT, city TEXT)",
)
DOCUMENTS = ("CREATE TABLE documents (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, body TEXT)",)
INVOICES_AND_RECEIPTS = (
    "CREATE TABLE invoices (id INTEGER PRIMARY KEY, body TEXT)",
    "CREATE TABLE receipts (id INTEGER PRIMARY KEY, body TEXT)",
)

COLUMNS = (
    TableSpec("customers", "customers"),
    TableSpec("customers", "addresses", columns={"customer_id": "id"}, optional=True),
)
ROWS = (
    TableSpec("documents", "invoices", where="kind = 'invoice'", reverse={"kind": "'invoice'"}),
    TableSpec("documents", "receipts", where="kind = 'receipt'", reverse={"kind": "'receipt'"}),
)
MERGED_COLUMNS = (
    TableSpec("customers", "customers"),
    TableSpec("addresses", "customers", columns={"id": "customer_id"}, optional=True),
)
MERGED_ROWS = (
    TableSpec("invoices", "documents", where="kind = 'invoice'", columns={"kind": {"value": "invoice"}}),
    TableSpec("receipts", "documents", where="kind = 'receipt'", columns={"kind": {"value": "receipt"}}),
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


@dataclass(frozen=True)
class Split:
    specs: tuple[TableSpec, ...]
    monolith: tuple[str, ...]
    service: tuple[str, ...]

    def schema(self, side: Side) -> tuple[str, ...]:
        return self.monolith if side is Side.MONOLITH else self.service


SPLITS = {
    "columns": Split(COLUMNS, CUSTOMERS, CUSTOMERS_AND_ADDRESSES),
    "rows": Split(ROWS, DOCUMENTS, INVOICES_AND_RECEIPTS),
    "merged columns": Split(MERGED_COLUMNS, CUSTOMERS_AND_ADDRESSES, CUSTOMERS),
    "merged rows": Split(MERGED_ROWS, INVOICES_AND_RECEIPTS, DOCUMENTS),
}


def made(pair: Pair, split: Split) -> list[TableMapping]:
    for side in Side:
        pair[side].run(*split.schema(side))
    return resolve(split.specs, pair.monolith.engine, pair.service.engine)


def assert_alike(pair: Pair, mappings: list[TableMapping], to: Side) -> None:
    result = run_check(pair[to.other].engine, pair[to].engine, flows(mappings, to))
    assert result.clean, result.to_json()


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


def started(pair: Pair, name: str, *rows: str) -> tuple[Replication, list[TableMapping]]:
    mappings = made(pair, SPLITS[name])
    pair.monolith.run(*rows)
    return pair.started(*mappings), mappings


def live(pair: Pair, name: str, *rows: str) -> tuple[Replication, list[TableMapping]]:
    """The service owns the rows."""
    replication, mappings = started(pair, name, *rows)
    switch(replication, Side.SERVICE, 2)
    return replication, mappings


@pytest.mark.parametrize(
    ("name", "rows", "early", "late", "expected"),
    [
        (
            "columns",
            ["INSERT INTO customers VALUES (5, 'a', 'b', 'c')"],
            "UPDATE addresses SET city = 'new' WHERE customer_id = 5",
            "UPDATE customers SET name = 'new' WHERE id = 5",
            [(5, "new", "b", "new")],
        ),
        (
            "rows",
            ["INSERT INTO documents VALUES (5, 'invoice', 'a')"],
            "DELETE FROM invoices WHERE id = 5",
            "INSERT INTO receipts VALUES (5, 'a')",
            [(5, "receipt", "a")],
        ),
    ],
)
def test_i3_a_change_whose_number_is_older_still_counts_when_it_is_another_tables(
    postgresql_pair: Pair,
    name: str,
    rows: list[str],
    early: str,
    late: str,
    expected: list[tuple[object, ...]],
) -> None:
    """No lock spans the two tables: the one that drew its number first may commit last."""
    pair = postgresql_pair
    replication, mappings = live(pair, name, *rows)
    with pair.service.transaction() as committed_last:
        with pair.service.transaction() as committed_first:
            committed_first("SELECT pg_current_xact_id()")
            committed_last(late)
            committed_first(early)
        assert settle(replication, Side.MONOLITH)
    settle(replication, Side.MONOLITH)
    [mapping, _] = mappings
    assert pair.rows(Side.MONOLITH, mapping.monolith) == expected
    assert_alike(pair, mappings, Side.MONOLITH)
    assert_alike(pair, mappings, Side.SERVICE)


def test_a_key_that_two_tables_hold_waits_until_one_lets_go(pair: Pair) -> None:
    replication, mappings = live(pair, "rows", "INSERT INTO documents VALUES (5, 'invoice', 'a')")
    pair.service.run("INSERT INTO receipts VALUES (5, 'b')")
    settle(replication, Side.MONOLITH)
    [parked] = replication.parked(Side.MONOLITH)
    assert "more than one of invoices, receipts holds this key" in parked.error
    assert pair.rows(Side.MONOLITH, "documents") == [(5, "invoice", "a")]
    pair.service.run("DELETE FROM invoices WHERE id = 5")
    switch(replication, Side.MONOLITH, 3)
    assert pair.rows(Side.MONOLITH, "documents") == [(5, "receipt", "b")]
    assert_alike(pair, mappings, Side.SERVICE)


def test_a_backfill_parks_what_two_tables_hold(like_pair: Pair) -> None:
    pair = like_pair
    replication, _ = started(
        pair,
        "merged rows",
        "INSERT INTO invoices VALUES (1, 'a'), (2, 'b')",
        "INSERT INTO receipts VALUES (2, 'c'), (3, 'd')",
    )
    assert {parked.key for parked in replication.parked(Side.SERVICE)} == {"[2]"}
    assert pair.rows(Side.SERVICE, "documents") == [(1, "invoice", "a"), (3, "receipt", "d")]


def test_a_backfill_removes_what_belongs_to_no_part(like_pair: Pair) -> None:
    pair = like_pair
    mappings = made(pair, SPLITS["rows"])
    pair.monolith.run("INSERT INTO documents VALUES (1, 'invoice', 'a'), (2, 'receipt', 'b')")
    pair.service.run(
        "INSERT INTO invoices VALUES (1, 'old'), (2, 'old')", "INSERT INTO receipts VALUES (1, 'old')"
    )
    pair.started(*mappings)
    assert pair.rows(Side.SERVICE, "invoices") == [(1, "a")]
    assert pair.rows(Side.SERVICE, "receipts") == [(2, "b")]


@pytest.mark.parametrize("follow", [False, True])
def test_one_part_of_a_table_alone(like_pair: Pair, follow: bool) -> None:
    pair = like_pair
    pair.monolith.run(*DOCUMENTS, "INSERT INTO documents VALUES (1, 'invoice', 'a'), (2, 'memo', 'b')")
    pair.service.run(*INVOICES_AND_RECEIPTS)
    mappings = resolve([replace(ROWS[0], follow=follow)], pair.monolith.engine, pair.service.engine)
    replication = pair.started(*mappings)
    pair.monolith.run(
        "INSERT INTO documents VALUES (3, 'invoice', 'c')", "DELETE FROM documents WHERE id = 1"
    )
    settle(replication)
    assert pair.rows(Side.SERVICE, "invoices") == [(3, "c")]
    if not follow:
        switch(replication, Side.SERVICE, 2)
        pair.service.run("INSERT INTO invoices VALUES (4, 'd')", "DELETE FROM invoices WHERE id = 3")
        settle(replication, Side.MONOLITH)
        assert pair.rows(Side.MONOLITH, "documents") == [(2, "memo", "b"), (4, "invoice", "d")]
        assert_alike(pair, mappings, Side.MONOLITH)
    assert_alike(pair, mappings, Side.SERVICE)


def test_rows_that_no_condition_names_stay_where_they_are(pair: Pair) -> None:
    rows = "INSERT INTO documents VALUES (1, 'invoice', 'a'), (2, 'memo', 'b'), (3, 'receipt', 'c')"
    replication, mappings = live(pair, "rows", rows)
    pair.service.run("DELETE FROM invoices", "DELETE FROM receipts")
    settle(replication, Side.MONOLITH)
    assert pair.rows(Side.MONOLITH, "documents") == [(2, "memo", "b")]
    assert_alike(pair, mappings, Side.MONOLITH)


@pytest.mark.parametrize(
    ("name", "rows", "table", "expected"),
    [
        ("columns", "INSERT INTO customers VALUES (1, 'a', 'b', 'c')", "addresses", [(1, "a", None, None)]),
        (
            "rows",
            "INSERT INTO documents VALUES (1, 'invoice', 'a'), (2, 'memo', 'b'), (3, 'receipt', 'c')",
            "invoices",
            [(2, "memo", "b"), (3, "receipt", "c")],
        ),
    ],
)
def test_a_truncated_part(
    postgresql_pair: Pair, name: str, rows: str, table: str, expected: list[tuple[object, ...]]
) -> None:
    replication, mappings = live(postgresql_pair, name, rows)
    postgresql_pair.service.run(f"TRUNCATE {table}")
    settle(replication, Side.MONOLITH)
    assert postgresql_pair.rows(Side.MONOLITH, mappings[0].monolith) == expected


@pytest.mark.parametrize(
    ("name", "rows", "damage", "back"),
    [
        (
            "columns",
            ["INSERT INTO customers VALUES (1, 'a', 'b', 'c'), (2, 'd', NULL, NULL)"],
            ["UPDATE addresses SET city = 'x'", "INSERT INTO addresses VALUES (2, 'x', 'y')"],
            ["DELETE FROM customers WHERE id = 1", "UPDATE customers SET city = 'x' WHERE id = 2"],
        ),
        (
            "rows",
            ["INSERT INTO documents VALUES (1, 'invoice', 'a'), (2, 'receipt', 'b')"],
            ["DELETE FROM invoices", "INSERT INTO receipts VALUES (1, 'a')"],
            ["UPDATE documents SET kind = 'receipt'", "INSERT INTO documents VALUES (3, 'receipt', 'a')"],
        ),
        (
            "merged columns",
            ["INSERT INTO customers VALUES (1, 'a'), (2, 'b')", "INSERT INTO addresses VALUES (1, 'c', 'd')"],
            ["UPDATE customers SET street = 'x'", "INSERT INTO customers (id) VALUES (3)"],
            ["DELETE FROM addresses", "INSERT INTO customers VALUES (3, 'c')"],
        ),
        (
            "merged rows",
            ["INSERT INTO invoices VALUES (1, 'a')", "INSERT INTO receipts VALUES (2, 'b')"],
            ["UPDATE documents SET kind = 'receipt'", "INSERT INTO documents VALUES (3, 'invoice', 'a')"],
            ["DELETE FROM invoices", "INSERT INTO receipts VALUES (1, 'a')"],
        ),
    ],
)
def test_what_differs_is_found_and_mended_towards_the_parts_and_from_them(
    like_pair: Pair, name: str, rows: list[str], damage: list[str], back: list[str]
) -> None:
    pair = like_pair
    replication, mappings = started(pair, name, *rows)
    towards = flows(mappings, Side.SERVICE)
    replication.unguard(Side.SERVICE, 5.0)
    pair.service.run(*damage)
    replication.guard(Side.SERVICE, Side.MONOLITH, 1, 5.0)
    for to, compared in ((Side.SERVICE, towards), (Side.MONOLITH, flows(mappings, Side.MONOLITH))):
        if to is Side.MONOLITH:
            switch(replication, Side.SERVICE, 2)
            replication.unguard(Side.MONOLITH, 5.0)
            pair.monolith.run(*back)
            replication.guard(Side.MONOLITH, Side.SERVICE, 2, 5.0)
        source, target = pair[to.other].engine, pair[to].engine
        found = run_check(source, target, compared).findings
        assert found
        plan = plan_repair(source, target, compared, found, max_deletes=9)
        assert not apply_repair(target, compared, plan).failed
        assert_alike(pair, mappings, to)
        assert_alike(pair, mappings, to.other)


def test_keys_that_tables_draw_from_one_sequence_go_on_behind_the_other_sides(postgresql_pair: Pair) -> None:
    pair = postgresql_pair
    pair.monolith.run("CREATE TABLE documents (id SERIAL PRIMARY KEY, kind TEXT NOT NULL, body TEXT)")
    pair.service.run(
        *INVOICES_AND_RECEIPTS,
        "CREATE SEQUENCE document_id OWNED BY invoices.id",
        "ALTER TABLE invoices ALTER id SET DEFAULT nextval('document_id')",
        "ALTER TABLE receipts ALTER id SET DEFAULT nextval('document_id')",
    )
    mappings = resolve(ROWS, pair.monolith.engine, pair.service.engine)
    insert = "INSERT INTO {} VALUES (DEFAULT, {})"
    pair.monolith.run(
        *[insert.format("documents", f"'{kind}', 'a'") for kind in ("invoice", "receipt", "receipt")]
    )
    replication = pair.started(*mappings)
    switch(replication, Side.SERVICE, 2)
    pair.service.run(insert.format("receipts", "'b'"), insert.format("invoices", "'b'"))
    assert pair.rows(Side.SERVICE, "receipts") == [(2, "a"), (3, "a"), (4, "b")]
    switch(replication, Side.MONOLITH, 3)
    pair.monolith.run(insert.format("documents", "'receipt', 'c'"))
    settle(replication)
    assert pair.rows(Side.SERVICE, "receipts")[-1] == (6, "c")
    assert_alike(pair, mappings, Side.SERVICE)
