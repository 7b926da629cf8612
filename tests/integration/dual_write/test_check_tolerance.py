"""What the plan tolerates is no finding, and is counted; everything else is."""

from contextlib import ExitStack

import pytest

from dual_write.check import FULL_SPEED, Recheck, run_check
from dual_write.errors import SchemaError
from dual_write.flows import flows
from dual_write.resolve import TableSpec, resolve
from flags.side import Side
from tests.integration.dual_write.sides import PAIRS, database

ROWS = (
    "(1, 1.00, 1.5, '2024-01-01 00:00:00', 'a')",
    "(2, 1.00, 1.5, '2024-01-01 00:00:00', 'a')",
    "(3, 1.00, NULL, '2024-01-01 00:00:00', 'a')",
    "(4, 1.00, 1.5, '2024-01-01 00:00:00', 'a')",
    "(5, 1.00, 1.5, '2024-01-01 00:00:00', 'a')",
)
OTHERS = (
    "(1, 1.01, 1.5, '2024-01-01 00:00:00', 'a')",  # near
    "(2, 1.02, 1.5, '2024-01-01 00:00:00', 'a')",  # not near
    "(3, 1.00, 1.5, '2024-01-01 00:00:00', 'a')",  # NULL is near nothing
    "(4, 0.99, 1.51, '2024-01-01 00:00:02', 'a')",  # all near
    "(5, 1.01, 1.5, '2024-01-01 00:00:00', 'b')",  # near, and different in another column
)
TOLERANCE = {"price": "0.01", "ratio": "1%", "placed": "2s"}


@pytest.fixture(params=PAIRS, ids="-".join)
def engines(request, tmp_path, postgresql_database):
    with ExitStack() as stack:
        made = [stack.enter_context(database(kind, tmp_path, postgresql_database)) for kind in request.param]
        for engine, price, rows in zip(made, ("price", "cost"), (ROWS, OTHERS), strict=True):
            with engine.begin() as connection:
                connection.exec_driver_sql(
                    f"CREATE TABLE item (id integer PRIMARY KEY, {price} numeric(10, 2), "
                    "ratio double precision, placed timestamp, name text)"
                )
                connection.exec_driver_sql(f"INSERT INTO item VALUES {', '.join(rows)}")
        yield made


def spec(**tolerance: str) -> TableSpec:
    return TableSpec("item", columns={"cost": "price"}, tolerance=tolerance)


def test_what_is_near_is_counted_and_the_rest_found(engines):
    mappings = resolve([spec(**TOLERANCE)], *engines)
    for to in Side:
        source, target = engines if to is Side.SERVICE else engines[::-1]
        compared = flows(mappings, to)
        result = run_check(source, target, compared, manners=FULL_SPEED)
        price = "cost" if to is Side.SERVICE else "price"
        found = {finding.key[0]: finding.columns for finding in result.findings}
        assert found == {2: (price,), 3: ("ratio",), 5: ("name",)}
        [table] = result.tables
        assert table.tolerated == {price: 2, "ratio": 1, "placed": 1}
        assert f"than the plan tolerates: item.{price} 2" in result.covers
        with Recheck(source, target, compared) as again:
            named = [each.key for each in again.findings(compared[0], [(number,) for number in range(1, 6)])]
        assert sorted(named) == [(2,), (3,), (5,)], "a switch tolerates the same"


def test_without_a_plan_that_says_so_nothing_is_tolerated(engines):
    result = run_check(*engines, flows(resolve([spec()], *engines), Side.SERVICE), manners=FULL_SPEED)
    assert [finding.key[0] for finding in result.findings] == [1, 2, 3, 4, 5]
    assert "tolerates" not in result.covers


@pytest.mark.parametrize(
    ("tolerance", "said"),
    [
        ({"cots": "1"}, "has no column 'cots'.*Did you mean 'cost'"),
        ({"id": "1"}, "'id' tells rows apart"),
        ({"cost": "a bit"}, "not understood"),
    ],
)
def test_a_tolerance_that_cannot_be_is_refused(tmp_path, tolerance, said):
    with ExitStack() as stack:
        made = [stack.enter_context(database("sqlite", tmp_path, None)) for _ in range(2)]
        for engine, price in zip(made, ("price", "cost"), strict=True):
            with engine.begin() as connection:
                connection.exec_driver_sql(f"CREATE TABLE item (id integer PRIMARY KEY, {price} numeric)")
        with pytest.raises(SchemaError, match=said):
            resolve([spec(**tolerance)], *made)


def test_a_tolerance_for_text_is_refused(engines):
    mappings = resolve([spec(name="1")], *engines)
    with pytest.raises(SchemaError, match=r"item\.name is compared as text"):
        run_check(*engines, flows(mappings, Side.SERVICE), manners=FULL_SPEED)
