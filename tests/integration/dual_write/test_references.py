"""Values that name no row are found, on every pair of engines, and none of those that do."""

import uuid
from contextlib import ExitStack

import pytest
import sqlalchemy as sa

from dual_write.check import FULL_SPEED
from dual_write.errors import CheckFailed
from dual_write.references import Reference, check_references
from tests.integration.dual_write.sides import PAIRS, database

SINGLE = Reference("line", ("item_id",), "item", ("id",))
DOUBLE = Reference("line", ("tenant", "code"), "item", ("tenant", "code"))
ITEMS = 2_500
"""Of each tenant: more values than are looked up at once."""


@pytest.fixture(params=PAIRS, ids="-".join)
def engines(request, tmp_path, postgresql_database):
    """Lines here, items there; the lines name each item many times, and now and then nothing."""
    with ExitStack() as stack:
        child, parent = (
            stack.enter_context(database(kind, tmp_path, postgresql_database)) for kind in request.param
        )
        meta = sa.MetaData()
        line = sa.Table(
            "line",
            meta,
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("item_id", sa.Integer),
            sa.Column("tenant", sa.String(20)),
            sa.Column("code", sa.Uuid()),
        )
        item = sa.Table(
            "item",
            meta,
            sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("tenant", sa.Text),
            sa.Column("code", sa.Uuid()),
        )
        line.create(child)
        item.create(parent)
        codes = [f"00000000-0000-4000-8000-{number:012d}" for number in range(ITEMS)]
        with child.begin() as connection:
            connection.execute(
                line.insert(),
                [
                    {
                        "id": number,
                        "item_id": number % ITEMS if number % 7 else None,
                        "tenant": f"t{number % 3}",
                        "code": uuid.UUID(codes[number % ITEMS]),
                    }
                    for number in range(3 * ITEMS)
                ],
            )
        with parent.begin() as connection:
            connection.execute(
                item.insert(),
                [
                    {"id": number, "tenant": f"t{tenant}", "code": uuid.UUID(codes[number % ITEMS])}
                    for tenant in range(3)
                    for number in range(tenant * ITEMS, (tenant + 1) * ITEMS)
                ],
            )
        yield child, parent


def test_sound_references_are_clean(engines):
    child, parent = engines
    single, double = check_references(child, parent, [SINGLE, DOUBLE], None, FULL_SPEED)
    assert (single.values, single.orphans) == (ITEMS, ())
    assert (double.values, double.orphans) == (3 * ITEMS, ())


def test_each_value_without_its_row_is_named_once(engines):
    child, parent = engines
    with parent.begin() as connection:
        connection.exec_driver_sql("DELETE FROM item WHERE id IN (4, 2499) OR id = 2517")
    single, double = check_references(child, parent, [SINGLE, DOUBLE], None, FULL_SPEED)
    assert single.orphans == ((4,), (2499,))
    assert len(double.orphans) == 3
    assert {key[0] for key in double.orphans} == {"t0", "t1"}


def test_a_row_that_was_on_its_way_is_no_orphan(engines):
    child, parent = engines
    with parent.begin() as connection:
        connection.exec_driver_sql("DELETE FROM item WHERE id = 4")

    def arrive() -> bool:
        with parent.begin() as connection:
            connection.exec_driver_sql("INSERT INTO item (id) VALUES (4) ON CONFLICT DO NOTHING")
        return True

    [result] = check_references(child, parent, [SINGLE], arrive)
    assert result.orphans == ()


def test_what_could_not_be_judged_is_an_error(engines):
    child, parent = engines
    with parent.begin() as connection:
        connection.exec_driver_sql("DELETE FROM item WHERE id = 4")
    with pytest.raises(CheckFailed, match="did not catch up"):
        check_references(child, parent, [SINGLE], lambda: False)
