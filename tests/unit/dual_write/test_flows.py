"""Flows of mappings that share a table: pure rules."""

import pytest

from dual_write.adapter import Change
from dual_write.apply import routed
from dual_write.errors import MappingError, SchemaError
from dual_write.filling import Filled, Table, asked, settled
from dual_write.flows import flows, table_of
from dual_write.mapping import Column, TableFlow, TableMapping
from dual_write.relation import source_relation, target_relation
from flags.side import Side


def bare(**columns: str) -> tuple[Column, ...]:
    return tuple(Column(target, f'"{source}"', source) for target, source in columns.items())


def plain(table: str) -> str:
    return table


CUSTOMERS = TableMapping(
    "customers", "customers", ("id",), ("id",), bare(id="id", name="name"), bare(id="id", name="name")
)
ADDRESSES = TableMapping(
    "customers",
    "addresses",
    ("id",),
    ("customer_id",),
    bare(customer_id="id", street="street"),
    bare(id="customer_id", street="street"),
    where="street IS NOT NULL",
)
INVOICES, RECEIPTS = (
    TableMapping(
        "documents",
        f"{kind}s",
        ("id",),
        ("id",),
        bare(id="id"),
        (*bare(id="id"), Column("kind", f"('{kind}')", None)),
        where=f"kind = '{kind}'",
    )
    for kind in ("invoice", "receipt")
)


def test_a_table_split_by_columns_feeds_each_of_its_parts() -> None:
    there, optional = flows([CUSTOMERS, ADDRESSES], Side.SERVICE)
    assert (there.name, optional.name) == ("customers > customers", "customers > addresses")
    assert (there.lanes, table_of(optional.name)) == ({"customers > customers": "customers"}, "customers")
    assert source_relation(optional, plain) == (
        '(SELECT "id" AS "customer_id", "street" AS "street" FROM customers WHERE street IS NOT NULL) '
        "AS strangler_source"
    )
    assert not there.joined


def test_columns_come_back_as_one_row_of_the_first_table() -> None:
    [back] = flows([CUSTOMERS, ADDRESSES], Side.MONOLITH)
    assert (back.target, back.lanes) == ("customers", {"customers": "customers", "addresses": "addresses"})
    assert back.joined
    assert back.owned == ""
    assert [column.target for column in back.columns] == ["id", "name", "street"]
    assert source_relation(back, plain) == (
        '(SELECT p0."id" AS "id", p0."name" AS "name", p1."street" AS "street" '
        'FROM (SELECT "id" AS "id", "name" AS "name" FROM customers) AS p0 '
        'LEFT JOIN (SELECT "customer_id" AS "id", "street" AS "street" FROM addresses) AS p1 '
        'ON p1."id" = p0."id") AS strangler_source'
    )


def test_rows_come_back_from_whichever_table_holds_them() -> None:
    [back] = flows([INVOICES, RECEIPTS], Side.MONOLITH)
    assert back.union
    assert target_relation(back, plain) == (
        "(SELECT * FROM documents WHERE (kind = 'invoice') OR (kind = 'receipt')) AS strangler_target"
    )
    assert source_relation(back, plain, distinct=True) == (
        '(SELECT "id" AS "id", (\'invoice\') AS "kind" FROM invoices UNION ALL '
        'SELECT "id" AS "id", (\'receipt\') AS "kind" FROM receipts '
        'WHERE NOT EXISTS (SELECT 1 FROM invoices AS e WHERE e."id" = receipts."id")) AS strangler_source'
    )


def test_a_part_of_a_table_alone_is_a_condition_on_the_monoliths_side() -> None:
    [there], [back] = flows([INVOICES], Side.SERVICE), flows([INVOICES], Side.MONOLITH)
    assert (there.name, there.parts[0].where, there.owned) == ("documents", "kind = 'invoice'", "")
    assert (back.name, back.parts, back.owned) == ("invoices", (), "kind = 'invoice'")


def test_what_shares_nothing_is_as_it_was() -> None:
    [flow] = flows([CUSTOMERS], Side.SERVICE)
    assert flow == CUSTOMERS.towards(Side.SERVICE)
    assert (flow.lanes, source_relation(flow, plain)) == ({"customers": "customers"}, "customers")
    assert flow == TableFlow("customers", "customers", ("id",), ("id",), CUSTOMERS.forward)


def test_a_group_comes_back_whole_or_not_at_all() -> None:
    lost = TableMapping("customers", "addresses", ("id",), ("customer_id",), ADDRESSES.forward, None)
    with pytest.raises(MappingError, match="`reverse`"):
        flows([CUSTOMERS, lost], Side.MONOLITH)


def test_a_function_fills_a_column_in_every_table_of_a_union_or_in_none() -> None:
    first, second = (
        TableMapping(
            each.monolith,
            each.service,
            each.monolith_key,
            each.service_key,
            each.forward,
            (*bare(id="id"), Column("kind", "json_array()", None, function)),
            where=each.where,
        )
        for each, function in ((INVOICES, "kinds:of"), (RECEIPTS, ""))
    )
    with pytest.raises(
        SchemaError, match="'kind' of table 'documents' is computed by a function in one entry"
    ):
        flows([first, second], Side.MONOLITH)
    [back] = flows([first, first], Side.MONOLITH)
    assert back.computed
    assert [column.python for column in back.columns] == ["", "kinds:of"]


def test_a_change_takes_every_lane_of_its_table() -> None:
    changes = [Change(0, 1, "a", "[1]"), Change(0, 2, "b", "[1]")]
    assert [(each.table, each.id) for each in routed(changes, {"a": ["a > x", "a > y"]})] == [
        ("a > x", 1),
        ("a > y", 1),
        ("b", 2),
    ]


def test_of_two_that_could_fill_a_column_the_one_that_says_so_does() -> None:
    table = Table("customers", ["id", "note"], frozenset({"note"}), ("id",))
    by_name, said = (
        {"id": Filled(*bare(id="id"), said=False), "note": Filled(*bare(note="note"), said=said)}
        for said in (False, True)
    )
    assert [list(part) for part in settled([by_name, said], table, ["id"])] == [["id"], ["id", "note"]]
    for both in ([by_name, by_name], [said, said]):
        with pytest.raises(SchemaError, match="column 'note' of table 'customers' is filled from several"):
            settled(both, table, ["id"])


@pytest.mark.parametrize(
    ("where", "columns"),
    [
        ("kind = 'body'", ["kind"]),
        ('"Kind" > 1', ["kind"]),
        ("kinds IS NULL", []),
        ("body LIKE 'it''s kind%'", ["body"]),
    ],
)
def test_the_columns_that_a_condition_speaks_of(where: str, columns: list[str]) -> None:
    assert list(asked(where, Table("t", ["id", "kind", "body"], frozenset(), ("id",)))) == columns
