"""From the plan's words and two real schemas to a mapping, or to an error that says what to do."""

import pytest

from dual_write.database import open_engine
from dual_write.errors import SchemaError, UnreachableError
from dual_write.mapping import TableMapping
from dual_write.resolve import TableSpec, resolve
from flags.side import Side
from tests.integration.dual_write.conftest import Pair, settle, switch


@pytest.fixture
def schemas(pair: Pair) -> Pair:
    pair.monolith.run(
        "CREATE TABLE saved (id INTEGER PRIMARY KEY, owner_id INTEGER NOT NULL, name TEXT NOT NULL, "
        "price TEXT, legacy TEXT)",
        "CREATE TABLE keyless (a INTEGER)",
        "INSERT INTO saved VALUES (1, 7, 'ABC', '12', 'old')",
    )
    pair.service.run(
        "CREATE TABLE queries (qid INTEGER PRIMARY KEY, user_id INTEGER NOT NULL, label TEXT NOT NULL, "
        "kind TEXT NOT NULL, price INTEGER, note TEXT DEFAULT 'n', "
        "twice INTEGER GENERATED ALWAYS AS (user_id * 2) STORED)",
        "CREATE TABLE keyless (a INTEGER)",
    )
    return pair


COLUMNS = {
    "qid": "id",
    "user_id": "owner_id",
    "label": {"sql": "lower(name)"},
    "kind": {"value": "it's"},
    "price": {"column": "price", "cast": "INTEGER"},
}
SPEC = TableSpec(
    "saved", "queries", COLUMNS, drop=["legacy"], reverse={"name": "upper(label)", "price": "price"}
)


def resolved(pair: Pair, *specs: TableSpec) -> list[TableMapping]:
    return resolve(specs, pair.monolith.engine, pair.service.engine)


def test_a_mapping_that_runs_both_ways(schemas: Pair) -> None:
    [mapping] = resolved(schemas, SPEC)
    replication = schemas.started(mapping)
    assert schemas.rows(Side.SERVICE, "queries", "qid, user_id, label, kind, price, note") == [
        (1, 7, "abc", "it's", 12, "n")
    ]
    switch(replication, Side.SERVICE, 2)
    schemas.service.run("UPDATE queries SET label = 'new', price = 13")
    settle(replication, Side.MONOLITH)
    assert schemas.rows(Side.MONOLITH, "saved") == [(1, 7, "NEW", "13", "old")]


def test_without_reverse_it_runs_forward_only(schemas: Pair) -> None:
    [mapping] = resolved(schemas, TableSpec("saved", "queries", COLUMNS))
    assert mapping.backward is None
    [following] = resolved(schemas, TableSpec("saved", "queries", COLUMNS, reverse=SPEC.reverse, follow=True))
    assert following.backward is None


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (TableSpec("savd", "queries"), r"monolith's database has no table 'savd'. Did you mean 'saved'"),
        (TableSpec("saved", "querys"), r"service's database has no table 'querys'. Did you mean 'queries'"),
        (TableSpec("keyless"), r"'keyless' of the monolith has no primary key"),
        (
            TableSpec("saved", "queries", {**COLUMNS, "labl": "name"}),
            r"no column 'labl'.*Did you mean 'label'",
        ),
        (
            TableSpec("saved", "queries", {**COLUMNS, "user_id": "owner"}),
            r"no column 'owner'.*Did you mean 'owner_id'",
        ),
        (TableSpec("saved", "queries", COLUMNS, drop=["legcy"]), r"no column 'legcy'.*'legacy'"),
        (
            TableSpec("saved", "queries", {"qid": "id", "user_id": "owner_id", "kind": "name"}),
            r"fills its column 'label'",
        ),
        (TableSpec("saved", "queries", {**COLUMNS, "qid": {"sql": "id + 1"}}), r"without cast or expression"),
        (TableSpec("saved", "queries", {**COLUMNS, "qid": "owner_id"}), r"is not the monolith's key"),
        (
            TableSpec("saved", "queries", {**COLUMNS, "label": {"sql": "lowr(name)"}}),
            r"cannot be read: .*lowr",
        ),
        (TableSpec("saved", "queries", {**COLUMNS, "label": {}}), r"one of `column`, `sql` and `value`"),
    ],
)
def test_bad_input_says_what_to_do(schemas: Pair, spec: TableSpec, said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        resolved(schemas, spec)


@pytest.mark.parametrize("pair", ["sqlite-postgresql", "postgresql-sqlite"], indirect=True)
def test_types_without_counterpart_fail_closed(pair: Pair) -> None:
    for database in (pair.monolith, pair.service):
        type_ = "interval" if database.is_postgresql else "TEXT"
        database.run(f"CREATE TABLE t (id INTEGER PRIMARY KEY, span {type_})")
    with pytest.raises(SchemaError, match=r"interval has no exact counterpart"):
        resolved(pair, TableSpec("t"))


def test_a_cast_that_postgresql_does_not_have_fails_closed(postgresql_pair: Pair) -> None:
    postgresql_pair.monolith.run("CREATE TABLE t (id INTEGER PRIMARY KEY, at date)")
    postgresql_pair.service.run("CREATE TABLE t (id INTEGER PRIMARY KEY, at bytea)")
    with pytest.raises(SchemaError, match="cannot cast type date to bytea"):
        resolved(postgresql_pair, TableSpec("t"))


def test_an_unreachable_database_is_named_without_its_password(sqlite_pair: Pair) -> None:
    away = open_engine("postgresql://user:hunter2@127.0.0.1:1/none")
    with pytest.raises(UnreachableError, match=r"user:\*\*\*@127\.0\.0\.1:1.*does not answer") as failure:
        resolve([TableSpec("t")], sqlite_pair.monolith.engine, away)
    assert "hunter2" not in str(failure.value)


@pytest.fixture
def split(like_pair: Pair) -> Pair:
    pair = like_pair
    pair.monolith.run(
        "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, note TEXT)",
        "CREATE TABLE documents (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, body TEXT)",
    )
    pair.service.run(
        "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT)",
        "CREATE TABLE notes (customer_id INTEGER PRIMARY KEY, note TEXT, name TEXT)",
        "CREATE TABLE worded (id TEXT PRIMARY KEY, note TEXT)",
        "CREATE TABLE invoices (id INTEGER PRIMARY KEY, body TEXT)",
        "CREATE TABLE receipts (id INTEGER PRIMARY KEY, body TEXT)",
    )
    return pair


NOTES = TableSpec("customers", "notes", {"customer_id": "id"})


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        ((TableSpec("customers"), NOTES), r"column 'name' of table 'customers' is filled from several"),
        ((TableSpec("customers"), TableSpec("customers")), r"carried to 'customers' twice"),
        (
            (TableSpec("customers"), TableSpec("customers", "notes", {"customer_id": "id"}, where="true")),
            r"each has a `where`",
        ),
        ((TableSpec("customers", optional=True),), r"`optional` is for the second"),
        (
            (
                TableSpec("customers"),
                TableSpec(
                    "customers",
                    "notes",
                    {"customer_id": "id", "note": {"value": "x"}},
                    drop=["name"],
                    optional=True,
                ),
            ),
            r"'notes' is `optional`, but no column",
        ),
        (
            (
                TableSpec("documents", "invoices", where="kindd = 'i'"),
                TableSpec("documents", "receipts", where="1=2"),
            ),
            r"cannot be read: .*kindd",
        ),
    ],
)
def test_a_split_that_cannot_be_right_says_what_to_do(
    split: Pair, specs: tuple[TableSpec, ...], said: str
) -> None:
    with pytest.raises(SchemaError, match=said):
        resolved(split, *specs)


def test_a_split_comes_back_only_with_what_tells_its_rows_apart(split: Pair) -> None:
    specs = [TableSpec("documents", table, where=f"kind = '{table}'") for table in ("invoices", "receipts")]
    assert [mapping.backward for mapping in resolved(split, *specs)] == [None, None]
    first, second = specs
    told = TableSpec("documents", "invoices", where=first.where, reverse={"kind": "'invoices'"})
    assert [mapping.backward is None for mapping in resolved(split, told, second)] == [False, True]


def test_of_two_copies_one_comes_back(split: Pair) -> None:
    customers, notes = resolved(split, TableSpec("customers", reverse={"name": "name"}), NOTES)
    assert [column.target for column in customers.backward or ()] == ["id", "name"]
    assert [column.target for column in notes.backward or ()] == ["id", "note"]
    assert [column.target for column in notes.forward] == ["customer_id", "note", "name"]


def test_keys_of_tables_that_become_one_row_are_of_one_type(split: Pair) -> None:
    split.monolith.run("CREATE TABLE remarks (id TEXT PRIMARY KEY, note TEXT)")
    split.service.run("CREATE TABLE people (id TEXT PRIMARY KEY, name TEXT, note TEXT)")
    with pytest.raises(SchemaError, match="their keys are of different types"):
        resolved(
            split,
            TableSpec("customers", "people", drop=["note"]),
            TableSpec("remarks", "people"),
        )
