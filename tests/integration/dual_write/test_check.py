"""Exactly the planted differences are found, on every pair of engines."""

from contextlib import ExitStack
from itertools import product

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from dual_write.check import FULL_SPEED, POLITE, Manners, Recheck, Vantage, run_check
from dual_write.check_result import FindingKind
from dual_write.database import open_engine
from dual_write.digest_reader import SideReader
from dual_write.errors import CheckFailed, SchemaError, UnreachableError
from dual_write.mapping import Column, TableFlow
from tests.integration.dual_write.sides import (
    KEYS,
    PAIRS,
    database,
    flow,
    plant,
    refill,
    relaxed,
    rows,
    table,
)


@pytest.fixture(params=PAIRS, ids="-".join)
def engines(request, tmp_path, postgresql_database):
    with ExitStack() as stack:
        yield tuple(
            stack.enter_context(database(kind, tmp_path, postgresql_database)) for kind in request.param
        )


@pytest.mark.parametrize("key", KEYS)
def test_exactly_the_planted_differences_are_found(engines, key):
    source, target = engines
    made = table("item", key)
    for engine in engines:
        made.create(engine)

    @relaxed
    @given(st.data())
    def planted(data):
        held, other, expected = plant(data, data.draw(rows(key)), key)
        refill(source, made, held)
        refill(target, made, other)
        chunk_rows = data.draw(st.sampled_from([1, 2, 5, 100]))
        manners = data.draw(st.sampled_from([FULL_SPEED, Manners(share=0.9)]))
        result = run_check(source, target, [flow(made)], chunk_rows=chunk_rows, manners=manners)
        found = {each.key: (each.kind.value, each.columns) for each in result.findings}
        assert len(found) == len(result.findings)
        assert sorted(found.values()) == sorted(expected.values())
        assert result.rows == len(held)
        assert result.clean == (not expected)
        with Recheck(source, target, [flow(made)]) as again:
            named = [
                each.kind.value for each in again.findings(flow(made), [one.key for one in result.findings])
            ]
        assert sorted(named) == sorted(kind for kind, _ in expected.values())

    planted()


@pytest.fixture
def pair(engines):
    """A hundred equal rows on both sides."""
    made = sa.Table(
        "item",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text),
    )
    for engine in engines:
        made.create(engine)
        refill(engine, made, [{"id": number, "name": f"name {number}"} for number in range(100)])
    return *engines, made


def write(engine, sql):
    with engine.begin() as connection:
        connection.exec_driver_sql(sql)


def test_what_replication_brings_later_is_no_finding_and_corruption_is(pair):
    source, target, made = pair
    write(source, "UPDATE item SET name = 'late' WHERE id IN (1, 2, 3)")
    write(source, "INSERT INTO item VALUES (1000, 'late')")
    write(source, "DELETE FROM item WHERE id = 50")
    write(target, "UPDATE item SET name = 'corrupt' WHERE id = 7")
    settled = []

    def settle():
        if not settled:
            write(target, "UPDATE item SET name = 'late' WHERE id IN (1, 2, 3)")
            write(target, "INSERT INTO item VALUES (1000, 'late')")
            write(target, "DELETE FROM item WHERE id = 50")
        settled.append(True)
        return True

    result = run_check(source, target, [flow(made)], settle=settle)
    assert [(each.kind, each.key) for each in result.findings] == [(FindingKind.DIFFERENT, (7,))]
    assert not result.clean


def test_a_row_that_never_holds_still_is_neither_a_finding_nor_clean(pair):
    source, target, made = pair
    looks = iter(range(1000))

    def settle():
        write(source, f"UPDATE item SET name = 'look {next(looks)}' WHERE id = 1")
        return True

    write(source, "UPDATE item SET name = 'busy' WHERE id = 1")
    result = run_check(source, target, [flow(made)], settle=settle)
    assert result.findings == ()
    assert result.tables[0].undecided == ((1,),)
    assert not result.clean


def test_replication_that_does_not_catch_up_is_no_verdict(pair):
    source, target, made = pair
    write(source, "DELETE FROM item WHERE id = 1")
    with pytest.raises(CheckFailed, match=r"did not catch up.*1 rows.*strangler status"):
        run_check(source, target, [flow(made)], settle=lambda: False)


def test_a_clean_check_says_what_it_covers(pair):
    source, target, made = pair
    seen = []
    result = run_check(
        source,
        target,
        [flow(made)],
        settle=lambda: True,
        progress=lambda *now: seen.append(now),
        chunk_rows=30,
    )
    assert result.clean
    assert result.rows == 100
    assert seen[-1] == ("item", 100, 100)
    assert [rows for _, rows, _ in seen] == sorted(rows for _, rows, _ in seen)
    assert "100 rows in 1 of 1 tables" in result.covers
    assert result.to_json()["clean"] is True


def test_the_limit_stops_the_check_and_is_told(pair):
    source, target, made = pair
    write(target, "DELETE FROM item WHERE id < 10")
    result = run_check(source, target, [flow(made)], limit=3)
    assert len(result.findings) == 3
    assert not result.clean
    assert "stopped at the limit" in result.covers


@pytest.mark.parametrize("manners", [FULL_SPEED, POLITE], ids=["full speed", "polite"])
def test_far_more_rows_on_one_side_are_all_found(pair, manners):
    source, target, made = pair
    rows = [{"id": number, "name": "extra"} for number in range(100, 1100)]
    with target.begin() as connection:
        connection.execute(made.insert(), rows)
    result = run_check(source, target, [flow(made)], chunk_rows=10, manners=manners)
    assert sorted(each.key for each in result.findings) == [(number,) for number in range(100, 1100)]
    assert {each.kind for each in result.findings} == {FindingKind.EXTRA}
    result = run_check(target, source, [flow(made)], chunk_rows=10, manners=manners)
    assert len(result.findings) == 1000
    assert {each.kind for each in result.findings} == {FindingKind.MISSING}


def test_no_statement_of_a_polite_check_reads_much_of_a_table_that_only_one_side_has(
    postgresql_database, monkeypatch
):
    read: list[int] = []
    rows = 50_000
    asked = SideReader.ask

    def watched(self, statement, **how):
        answer = asked(self, statement, **how)
        if "bit_xor" in statement[0]:
            read.extend(count for _, count, _ in answer.result())
        return answer

    monkeypatch.setattr(SideReader, "ask", watched)
    engines = [open_engine(postgresql_database()) for _ in range(2)]
    for engine in engines:
        write(engine, "CREATE TABLE item (id integer PRIMARY KEY)")
    source, target = engines
    write(target, f"INSERT INTO item SELECT generate_series(1, {rows})")
    compared = [TableFlow("item", "item", ("id",), ("id",), (Column("id", "id", "id"),))]
    assert len(run_check(source, target, compared, manners=Manners(0.8)).findings) == rows
    assert max(read) < rows
    assert run_check(target, target, compared, manners=Manners(0.8)).clean
    for engine in engines:
        engine.dispose()


@pytest.mark.parametrize("key", ["integer", "text", "composite"])
@pytest.mark.parametrize(("chunk_rows", "share"), [(4000, 1.0), (None, 1.0), (None, 0.8)])
def test_scattered_differences_of_large_tables_are_all_found(postgresql_database, key, chunk_rows, share):
    columns = {"integer": "id", "text": "id::text AS id", "composite": "'t' || mod(id, 3) AS tenant, id"}[key]
    names = ("tenant", "id") if key == "composite" else ("id",)
    engines = [open_engine(postgresql_database()) for _ in range(2)]
    for engine in engines:
        write(engine, f"CREATE TABLE item AS SELECT {columns}, 'x' AS v FROM generate_series(1, 12000) AS id")
        write(engine, f"ALTER TABLE item ADD PRIMARY KEY ({', '.join(names)})")
    source, target = engines
    write(target, "UPDATE item SET v = 'y' WHERE mod(id::int, 20) = 1")
    write(target, "DELETE FROM item WHERE mod(id::int, 20) = 2")
    write(source, "DELETE FROM item WHERE mod(id::int, 20) = 3")
    mapped = (*(Column(name, name, name) for name in names), Column("v", "v", "v"))
    compared = [TableFlow("item", "item", names, names, mapped)]
    result = run_check(source, target, compared, chunk_rows=chunk_rows, manners=Manners(share))
    found = {(int(each.key[-1]) % 20, each.kind.value) for each in result.findings}
    assert found == {(1, "different"), (2, "missing"), (3, "extra")}
    assert len({each.key for each in result.findings}) == len(result.findings) == 1800
    for engine in engines:
        engine.dispose()


@pytest.mark.parametrize(
    ("how", "connections"),
    [
        ({"manners": FULL_SPEED}, 2),
        ({"manners": POLITE}, 1),
        ({"manners": FULL_SPEED, "vantage": Vantage(snapshot=True)}, 1),
    ],
)
def test_each_side_has_two_connections_at_full_speed_alone(
    postgresql_database, how, connections, monkeypatch
):
    engines = [open_engine(postgresql_database()) for _ in range(2)]
    for engine in engines:
        write(engine, "CREATE TABLE item AS SELECT i AS id FROM generate_series(1, 100) AS i")
    answered: set[SideReader] = set()
    ask = SideReader.ask

    def asked(reader, statement, **binary):
        if "bit_xor" in statement[0]:
            answered.add(reader)
        return ask(reader, statement, **binary)

    monkeypatch.setattr(SideReader, "ask", asked)
    mapped = [TableFlow("item", "item", ("id",), ("id",), (Column("id", "id", "id"),))]
    assert run_check(*engines, mapped, chunk_rows=10, **how).rows == 100
    assert len(answered) == 2 * connections
    for engine in engines:
        engine.dispose()


def test_who_may_open_one_connection_checks_with_one(postgresql_database):
    """At full speed there would be two."""
    source, target = (open_engine(postgresql_database()) for _ in range(2))
    for engine in (source, target):
        write(engine, "CREATE TABLE item AS SELECT i AS id FROM generate_series(1, 100) AS i")
    role = f"reader_{source.url.database}"
    write(source, f"CREATE ROLE {role} LOGIN PASSWORD 'x' CONNECTION LIMIT 1")
    write(source, f"GRANT SELECT ON item TO {role}")
    limited = open_engine(source.url.set(username=role, password="x").render_as_string(hide_password=False))
    mapped = [TableFlow("item", "item", ("id",), ("id",), (Column("id", "id", "id"),))]
    result = run_check(limited, target, mapped, chunk_rows=10, manners=FULL_SPEED)
    assert (result.clean, result.rows) == (True, 100)
    limited.dispose()
    write(source, f"DROP OWNED BY {role}")
    write(source, f"DROP ROLE {role}")
    for engine in (source, target):
        engine.dispose()


def test_rows_of_nothing_but_null_are_told_apart_by_their_keys(postgresql_database):
    """Keys whose bits cancel out, and keys that are alike once their halves are put together."""
    shapes = [{}, {"a": "text"}, {"a": "numeric"}, {"a": "numeric", "b": "text"}]
    held = [((1, 6), (2, 5)), ((1,), (1 << 32,)), ((1, 6), (1,))]
    engines = [open_engine(postgresql_database()) for _ in range(2)]
    flows, differing = [], {}
    for number, (shape, key, sides) in enumerate(product(shapes, ["bigint", "text", "numeric"], held)):
        columns = "".join(f", {name} {kind}" for name, kind in shape.items())
        for engine, keys in zip(engines, sides, strict=True):
            write(engine, f"CREATE TABLE t{number} (id {key} PRIMARY KEY{columns})")
            write(engine, f"INSERT INTO t{number} VALUES {', '.join(f'({one})' for one in keys)}")
        mapped = tuple(Column(name, name, name) for name in ("id", *shape))
        flows.append(TableFlow(f"t{number}", f"t{number}", ("id",), ("id",), mapped))
        differing[f"t{number}"] = {*sides[0]} ^ {*sides[1]}
    result = run_check(*engines, flows)
    found = {each.target: {int(finding.key[0]) for finding in each.findings} for each in result.tables}
    assert found == differing
    for engine in engines:
        engine.dispose()


def test_values_that_are_written_otherwise_are_compared_all_the_same(tmp_path, postgresql_database):
    with (
        database("sqlite", tmp_path, postgresql_database) as lite,
        database("postgresql", tmp_path, postgresql_database) as server,
    ):
        write(lite, "CREATE TABLE item (id INTEGER PRIMARY KEY, v JSON)")
        write(server, "CREATE TABLE item (id integer PRIMARY KEY, v jsonb)")
        rows = ", ".join(f"""({number}, '{{"z":1,"number":{number}}}')""" for number in range(100))
        for engine in (lite, server):
            write(engine, f"INSERT INTO item VALUES {rows}")
        mapped = TableFlow(
            "item", "item", ("id",), ("id",), (Column("id", "id", "id"), Column("v", "v", "v"))
        )
        for source, target in ((lite, server), (server, lite)):
            result = run_check(source, target, [mapped], chunk_rows=5)
            assert (result.clean, result.rows) == (True, 100)
        write(lite, "UPDATE item SET v = '[]' WHERE id IN (3, 97)")
        found = run_check(server, lite, [mapped], chunk_rows=5).findings
        assert [each.key for each in found] == [(3,), (97,)]


def test_values_are_described_and_only_shown_when_asked(pair):
    source, target, made = pair
    write(target, "UPDATE item SET name = NULL WHERE id = 5")
    [finding] = run_check(source, target, [flow(made)]).findings
    [difference] = finding.differences
    assert (difference.source, difference.target) == ("text of 6 characters", "NULL")
    [finding] = run_check(source, target, [flow(made)], reveal=True).findings
    assert finding.differences[0].source == "'name 5'"


def test_one_table_can_be_picked_and_a_wrong_name_is_told(pair):
    source, target, made = pair
    assert run_check(source, target, [flow(made)], table="item").rows == 100
    with pytest.raises(SchemaError, match="did you mean 'item'"):
        run_check(source, target, [flow(made)], table="itme")


def test_a_missing_table_or_column_is_told(pair):
    source, target, made = pair
    with pytest.raises(SchemaError, match=r"target .* has no table 'elsewhere'"):
        run_check(source, target, [flow(made, "elsewhere")])
    columns = (Column("id", '"id"', "id"), Column("nmae", '"name"', "name"))
    with pytest.raises(SchemaError, match="no column 'nmae'; did you mean 'name'"):
        run_check(source, target, [TableFlow("item", "item", ("id",), ("id",), columns)])


def test_a_database_that_is_gone_in_mid_check_is_an_error_and_never_clean(pair):
    source, target, made = pair

    def break_off(_table, rows, _total):
        if rows >= 50:
            with target.connect() as connection:
                if target.dialect.name == "postgresql":
                    connection.exec_driver_sql(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                else:
                    connection.exec_driver_sql("DROP TABLE IF EXISTS item")
                connection.commit()

    with pytest.raises(CheckFailed, match="could not read from target"):
        run_check(source, target, [flow(made)], progress=break_off, chunk_rows=10)


def test_a_database_that_does_not_answer_is_told(pair, tmp_path):
    source, _, made = pair
    nowhere = sa.create_engine(f"sqlite:///{tmp_path}/no/such/directory.db")
    with pytest.raises(UnreachableError, match="does not answer"):
        run_check(source, nowhere, [flow(made)])
