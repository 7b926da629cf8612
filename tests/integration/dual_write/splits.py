"""Split tables of each kind: what the plan says of them, their schemas, and phases that move them."""

from dataclasses import dataclass

from dual_write.check import run_check
from dual_write.flows import flows
from dual_write.mapping import TableMapping
from dual_write.replication import Replication
from dual_write.resolve import TableSpec, resolve
from flags.side import Side
from tests.integration.dual_write.conftest import Pair, switch

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


def started(pair: Pair, name: str, *rows: str) -> tuple[Replication, list[TableMapping]]:
    mappings = made(pair, SPLITS[name])
    pair.monolith.run(*rows)
    return pair.started(*mappings), mappings


def live(pair: Pair, name: str, *rows: str) -> tuple[Replication, list[TableMapping]]:
    """The service owns the rows."""
    replication, mappings = started(pair, name, *rows)
    switch(replication, Side.SERVICE, 2)
    return replication, mappings
