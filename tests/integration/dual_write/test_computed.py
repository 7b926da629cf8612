"""Columns that functions of Python fill, in both directions, and what the check makes of them."""

import pytest

from dual_write.check import run_check
from dual_write.errors import CheckFailed, SchemaError
from dual_write.flows import flows
from dual_write.mapping import TableMapping
from dual_write.repair import apply_repair, plan_repair
from dual_write.replication import Replication
from dual_write.resolve import TableSpec, resolve
from flags.side import Side
from tests.integration.dual_write.conftest import Pair, settle, switch

NAMES = "tests.integration.dual_write.names"
PEOPLE = TableSpec(
    "people",
    columns={
        "full_name": {"python": f"{NAMES}:join", "columns": ["first", "last"]},
        "price": {"python": f"{NAMES}:doubled", "columns": ["price"]},
    },
    reverse={
        "first": {"python": f"{NAMES}:first", "columns": ["full_name"]},
        "last": {"python": f"{NAMES}:last", "columns": ["full_name"]},
        "price": {"python": f"{NAMES}:halved", "columns": ["price"]},
    },
)


def started(pair: Pair) -> tuple[Replication, list[TableMapping]]:
    pair.monolith.run(
        "CREATE TABLE people (id INTEGER PRIMARY KEY, first TEXT NOT NULL, last TEXT, price NUMERIC(10, 2))",
        "INSERT INTO people VALUES (1, 'Ada', 'Lovelace', 1.25), (2, 'Plato', NULL, NULL)",
    )
    pair.service.run(
        "CREATE TABLE people (id INTEGER PRIMARY KEY, full_name TEXT NOT NULL, price NUMERIC(10, 2))"
    )
    mappings = resolve([PEOPLE], pair.monolith.engine, pair.service.engine)
    return pair.started(*mappings), mappings


def test_rows_pass_through_the_functions_there_and_back(pair: Pair) -> None:
    replication, mappings = started(pair)
    pair.monolith.run("INSERT INTO people VALUES (3, 'Alan', 'Turing', 2.5)")
    settle(replication)
    assert pair.rows(Side.SERVICE, "people", "id, full_name") == [
        (1, "Ada Lovelace"),
        (2, "Plato"),
        (3, "Alan Turing"),
    ]
    assert [
        None if price is None else float(price) for _, price in pair.rows(Side.SERVICE, "people", "id, price")
    ] == [
        2.5,
        None,
        5.0,
    ]
    switch(replication, Side.SERVICE, 2)
    pair.service.run(
        "UPDATE people SET full_name = 'Grace Hopper' WHERE id = 1", "DELETE FROM people WHERE id = 2"
    )
    settle(replication, Side.MONOLITH)
    assert pair.rows(Side.MONOLITH, "people", "id, first, last") == [
        (1, "Grace", "Hopper"),
        (3, "Alan", "Turing"),
    ]
    for to in Side:
        result = run_check(pair[to.other].engine, pair[to].engine, flows(mappings, to))
        assert result.clean, result.to_json()


def test_what_differs_is_found_and_mended_through_the_functions(pair: Pair) -> None:
    replication, mappings = started(pair)
    replication.unguard(Side.SERVICE, 5.0)
    pair.service.run(
        "UPDATE people SET full_name = 'Ada Byron' WHERE id = 1", "DELETE FROM people WHERE id = 2"
    )
    compared = flows(mappings, Side.SERVICE)
    engines = pair.monolith.engine, pair.service.engine
    found = run_check(*engines, compared).findings
    assert [(finding.kind, finding.key, finding.columns) for finding in found] == [
        ("different", (1,), ("full_name",)),
        ("missing", (2,), ()),
    ]
    assert not apply_repair(
        engines[1], compared, plan_repair(*engines, compared, found, max_deletes=0)
    ).failed
    assert run_check(*engines, compared).clean


def test_a_row_for_which_the_function_fails_is_parked_without_its_values(pair: Pair) -> None:
    replication, mappings = started(pair)
    pair.monolith.run(
        "INSERT INTO people VALUES (3, 'broken', 'secret', NULL)",
        "INSERT INTO people VALUES (4, 'Kurt', NULL, NULL)",
    )
    settle(replication)
    [parked] = replication.parked(Side.SERVICE)
    assert parked.key == "[3]"
    assert parked.error == f"{NAMES}:join raised RuntimeError for this row"
    assert pair.rows(Side.SERVICE, "people", "id, full_name")[-1] == (4, "Kurt")
    with pytest.raises(CheckFailed, match="join raised RuntimeError") as failure:
        run_check(pair.monolith.engine, pair.service.engine, flows(mappings, Side.SERVICE))
    assert "secret" not in str(failure.value)
    pair.monolith.run("UPDATE people SET first = 'mended' WHERE id = 3")
    settle(replication)
    assert replication.parked(Side.SERVICE) == []


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"python": "no_such_module:join", "columns": ["first"]}, r"'no_such_module'.*PYTHONPATH"),
        ({"python": f"{NAMES}:joined", "columns": ["first"]}, r"no function 'joined'. Did you mean 'join'"),
        ({"python": f"{NAMES}:join", "columns": ["frist"]}, r"no column 'frist'.*Did you mean 'first'"),
    ],
)
def test_a_function_that_is_not_there_is_refused(
    sqlite_pair: Pair, rule: dict[str, object], said: str
) -> None:
    sqlite_pair.monolith.run("CREATE TABLE people (id INTEGER PRIMARY KEY, first TEXT)")
    sqlite_pair.service.run("CREATE TABLE people (id INTEGER PRIMARY KEY, full_name TEXT)")
    spec = TableSpec("people", columns={"full_name": rule})
    with pytest.raises(SchemaError, match=said):
        resolve([spec], sqlite_pair.monolith.engine, sqlite_pair.service.engine)
