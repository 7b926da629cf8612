"""PostgreSQL and SQLite: what the server's digests find alike is not carried, and nothing else is missed."""

import pytest
import sqlalchemy as sa
from hypothesis import given

from dual_write import digest
from dual_write.check import FULL_SPEED, run_check
from dual_write.digest_across import Across
from tests.integration.dual_write.sides import database, flow, refill, relaxed, rows, table

PAIRS = [("postgresql", "sqlite"), ("sqlite", "postgresql")]


@pytest.fixture(params=PAIRS, ids="-".join)
def engines(request, tmp_path, postgresql_database):
    one, other = request.param
    with (
        database(one, tmp_path, postgresql_database) as source,
        database(other, tmp_path, postgresql_database) as target,
    ):
        yield source, target


def write(engine, *statements):
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.mark.parametrize("key", ["integer", "composite"])
def test_rows_that_are_alike_are_not_carried(engines, key, monkeypatch):
    made = table("item", key)
    for engine in engines:
        made.create(engine)
    read: list[object] = []
    carried = digest.Streamed.within
    monkeypatch.setattr(digest.Streamed, "within", lambda *call: read.append(call) or carried(*call))

    @relaxed
    @given(rows(key))
    def alike(held):
        for engine in engines:
            refill(engine, made, held)
        result = run_check(*engines, [flow(made)], chunk_rows=4, manners=FULL_SPEED)
        assert result.clean
        assert result.rows == len(held)
        assert not read

    alike()


def test_digests_are_hardly_asked_for_where_values_are_stored_in_another_form(engines, monkeypatch):
    made = sa.Table(
        "item",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("created", sa.DateTime),
    )
    for engine in engines:
        made.create(engine)
        created = "'2024-01-01T00:00:00'" if engine.dialect.name == "sqlite" else "timestamp '2024-01-01'"
        series = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 399)"
        write(engine, f"{series} INSERT INTO item SELECT i, {created} FROM n")
    asked: list[object] = []
    question = Across.question
    monkeypatch.setattr(Across, "question", lambda *call: asked.append(call) or question(*call))
    result = run_check(*engines, [flow(made)], chunk_rows=4, manners=FULL_SPEED)
    assert result.clean
    assert result.rows == 400
    assert 1 <= len(asked) < 20, "of a hundred ranges"
    asked.clear()
    for engine in engines:
        usual = "UPDATE item SET created = '2024-01-01 00:00:00.000000' WHERE id < 200"
        write(engine, usual, "DELETE FROM item WHERE id >= 200")
    assert run_check(*engines, [flow(made)], chunk_rows=4, manners=FULL_SPEED).clean
    assert len(asked) > 45, "of fifty"


def test_rows_that_come_into_a_range_while_it_is_read_are_compared_too(engines, monkeypatch):
    made = sa.Table(
        "item", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("note", sa.Text)
    )
    for engine in engines:
        made.create(engine)
        refill(engine, made, [{"id": number * 10, "note": "old"} for number in range(8)])
    source, target = engines
    question = Across.question

    def meanwhile(across, within):
        if within.after is None:
            for engine in engines:
                write(engine, *(f"INSERT INTO item VALUES ({key}, 'new')" for key in range(1, 9)))
            write(target, "DELETE FROM item WHERE id = 8")
        return question(across, within)

    monkeypatch.setattr(Across, "question", meanwhile)
    result = run_check(source, target, [flow(made)], chunk_rows=4, manners=FULL_SPEED)
    assert [finding.key for finding in result.findings] == [(8,)]
    assert result.rows == 16
