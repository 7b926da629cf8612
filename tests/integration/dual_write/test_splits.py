"""Tables that are split, or put together: what may come in any order, and what cannot be right."""

from dataclasses import replace

import pytest

from dual_write.check import run_check
from dual_write.flows import flows
from dual_write.repair import apply_repair, plan_repair
from dual_write.resolve import resolve
from flags.side import Side
from tests.integration.dual_write.conftest import Pair, settle, switch
from tests.integration.dual_write.splits import (
    DOCUMENTS,
    INVOICES_AND_RECEIPTS,
    ROWS,
    SPLITS,
    assert_alike,
    live,
    made,
    started,
)


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
