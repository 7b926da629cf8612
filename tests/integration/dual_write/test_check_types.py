"""What looks alike and is not, and what looks different and is not, in the databases themselves."""

import pytest
import sqlalchemy as sa

from dual_write.check import Recheck, run_check
from dual_write.errors import SchemaError
from dual_write.mapping import Column, TableFlow
from tests.integration.dual_write.sides import database

FLOW = TableFlow("t", "t", ("id",), ("id",), (Column("id", '"id"', "id"), Column("v", '"v"', "v")))


@pytest.fixture
def compare(tmp_path, postgresql_database):
    """Compares one value in a column of one type with one in another; each engine, type and value as SQL."""

    def run(ours, theirs, flow=FLOW):
        engines = []
        for engine, declared, *values in (ours, theirs):
            with database(engine, tmp_path, postgresql_database) as made, made.connect() as connection:
                rows = ", ".join(f"({number}, {value})" for number, value in enumerate(values))
                driver = connection.connection.driver_connection
                driver.execute(f"CREATE TABLE t (id integer PRIMARY KEY, v {declared})")
                driver.execute(f"INSERT INTO t VALUES {rows}")
                driver.commit()
                engines.append(made)
        result = run_check(*engines, [flow])
        assert result.rows == len(ours) - 2
        with Recheck(*engines, [flow]) as rows_again:
            rechecked = rows_again.findings(flow, [(number,) for number in range(len(ours) - 2)])
        assert len(rechecked) == len(result.findings)
        for made in engines:
            made.dispose()
        return len(result.findings)

    return run


@pytest.mark.parametrize(
    ("declared", "one", "other"),
    [
        # Each of these pairs has one hash in PostgreSQL's own hash functions.
        ("numeric", "5", "-5"),
        ("bigint", "0", "4294967297"),
        ("double precision", "'0'", "'-0'"),
        ("jsonb", "'5'", "'-5'"),
        ("timestamp", "'2000-01-01 00:00:00'", "'2000-01-01 01:11:34.967297'"),
        ("text", "''", "NULL"),
        ("text", "'NULL'", "NULL"),
        ("char(5)", "'a'", "'b'"),
        ("bytea", r"'\x00'", r"'\x'"),
        ("uuid", "'00000000-0000-0000-0000-000000000001'", "NULL"),
        ("text[]", "'{a,b}'", """'{"a,b"}'"""),
        ("inet", "'10.0.0.1'", "'10.0.0.2'"),
        ("interval", "'1 month'", "'30 days'"),
        ("time", "'24:00'", "'00:00'"),
        ("date", "'infinity'", "'-infinity'"),
        ("real", "0.1", "0.2"),
        ("json", "'[1,2]'", "'[2,1]'"),
    ],
)
def test_postgresql_values_that_differ(compare, declared, one, other):
    assert compare(("postgresql", declared, one), ("postgresql", declared, other)) == 1


@pytest.mark.parametrize("changed", [1, 2, 3, 4])
def test_the_same_change_in_several_rows_does_not_cancel_out(compare, changed):
    before = ["1"] * 8
    after = ["10000"] * changed + before[changed:]
    assert compare(("postgresql", "numeric", *before), ("postgresql", "numeric", *after)) == changed


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("postgresql", "numeric(10,1)", "1.5"), ("postgresql", "numeric(10,3)", "1.500")),
        (("postgresql", "boolean", "true"), ("postgresql", "integer", "1")),
        (("postgresql", "smallint", "7"), ("postgresql", "bigint", "7")),
        (("postgresql", "char(5)", "'a'"), ("postgresql", "text", "'a'")),
        (("postgresql", "timestamptz", "'2024-01-01 02:00+02'"), ("postgresql", "timestamp", "'2024-01-01'")),
        (("postgresql", "json", """'{"b":1.0,"a":2}'"""), ("postgresql", "jsonb", """'{"a":2,"b":1}'""")),
        # jsonb cannot hold it: what the servers cannot digest themselves is compared here.
        (("postgresql", "json", r"""'{"a":"\u0000"}'"""), ("postgresql", "json", r"""'{ "a":"\u0000"}'""")),
        (
            ("postgresql", "text", "'2024-01-01T00:00:00Z'"),
            ("postgresql", "timestamptz", "'2024-01-01 00:00Z'"),
        ),
        (
            ("postgresql", "uuid", "'00000000-0000-0000-0000-00000000000a'"),
            ("postgresql", "text", f"'{'0' * 31}A'"),
        ),
        (("postgresql", "double precision", "'NaN'"), ("postgresql", "double precision", "'NaN'")),
        (("postgresql", "timestamp", "'infinity'"), ("postgresql", "timestamp", "'infinity'")),
        (("postgresql", "double precision", "0.1"), ("postgresql", "real", "0.1")),
        (("postgresql", "numeric", "0.1"), ("sqlite", "REAL", "0.1")),
        (("postgresql", "numeric(10,2)", "0.30"), ("sqlite", "NUMERIC(10,2)", "0.1 + 0.2")),
        (("postgresql", "double precision", "'-0'"), ("sqlite", "REAL", "0.0")),
        (("postgresql", "boolean", "false"), ("sqlite", "BOOLEAN", "0")),
        (
            ("postgresql", "timestamptz", "'2024-01-01 00:00Z'"),
            ("sqlite", "DATETIME", "'2024-01-01 00:00:00.000000'"),
        ),
        (("postgresql", "jsonb", """'{"a": [1.50]}'"""), ("sqlite", "JSON", """'{"a":[1.5]}'""")),
        (("postgresql", "jsonb", "'5'"), ("sqlite", "JSON", "'5'")),
        (("postgresql", "bytea", r"'\x00ff'"), ("sqlite", "BLOB", "x'00ff'")),
        (
            ("postgresql", "numeric(15,2)", "9999999999999.99"),
            ("sqlite", "NUMERIC(15,2)", "9999999999999.99"),
        ),
        (("postgresql", "numeric(15,0)", "999999999999999"), ("sqlite", "INTEGER", "999999999999999")),
        (
            ("postgresql", "timestamp", "'2024-01-01 00:00:00.5'"),
            ("sqlite", "DATETIME", "'2024-01-01T00:00:00.5'"),
        ),
        (("postgresql", "date", "'2024-01-01'"), ("sqlite", "DATETIME", "'2024-01-01 00:00:00'")),
        (("postgresql", "uuid", f"'{'a' * 32}'"), ("sqlite", "CHAR(32)", f"'{'a' * 32}'")),
        (("postgresql", "uuid", f"'{'a' * 32}'"), ("sqlite", "BLOB", f"x'{'a' * 32}'")),
        (("postgresql", "uuid", f"'{'a' * 32}'"), ("sqlite", "UUID", f"'{'A' * 32}'")),
        (("postgresql", "char(3)", "'a'"), ("sqlite", "CHAR(3)", "'a'")),
        (("sqlite", "JSON", """'{"b":1,"a":2}'"""), ("sqlite", "TEXT", """'{"a": 2, "b": 1}'""")),
        (("sqlite", "INTEGER", "5"), ("sqlite", "REAL", "5.0")),
    ],
)
def test_values_that_mean_the_same(compare, one, other):
    assert compare(one, other) == 0
    assert compare(other, one) == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("sqlite", "TEXT", "CAST(x'61ff' AS TEXT)"), ("sqlite", "TEXT", "CAST(x'61fe' AS TEXT)")),
        (("sqlite", "TEXT", "'a' || char(0) || 'b'"), ("sqlite", "TEXT", "'a'")),
        (("sqlite", "", "1"), ("sqlite", "", "1.0")),
        (("sqlite", "", "0.0"), ("sqlite", "", "-0.0")),
        (("sqlite", "", "'a'"), ("sqlite", "", "x'61'")),
        (("sqlite", "INTEGER", "'abc'"), ("postgresql", "integer", "0")),
        (("sqlite", "DATETIME", "0"), ("postgresql", "timestamp", "'1970-01-01'")),
        (("sqlite", "BOOLEAN", "2"), ("postgresql", "boolean", "true")),
        (("sqlite", "TEXT", "'a '"), ("postgresql", "text", "'a'")),
        (("sqlite", "TEXT COLLATE NOCASE", "'A'"), ("sqlite", "TEXT COLLATE NOCASE", "'a'")),
        # One float stands for both.
        (
            ("sqlite", "NUMERIC(20,2)", "12345678901234568"),
            ("postgresql", "numeric(20,2)", "12345678901234567"),
        ),
        (("sqlite", "NUMERIC(20,2)", "1e17"), ("postgresql", "numeric(20,2)", "100000000000000000.01")),
        (("sqlite", "BLOB", "NULL"), ("postgresql", "uuid", f"'{'0' * 32}'")),
        (("sqlite", "DATETIME", "'infinity'"), ("postgresql", "timestamp", "'-infinity'")),
        (("sqlite", "TEXT", "NULL"), ("postgresql", "text", r"E'\x1d'")),
        (("sqlite", "TEXT", "NULL"), ("sqlite", "TEXT", "char(29)")),
        (("sqlite", "DATETIME", "char(29)"), ("postgresql", "timestamp", "NULL")),
        (("sqlite", "DATETIME", "char(28)"), ("postgresql", "timestamp", "'infinity'")),
        (
            ("sqlite", "DATETIME", "'0001-01-01 00:00:00.000000'"),
            ("postgresql", "timestamp", "'0001-01-01 BC'"),
        ),
        (("sqlite", "TIME", "'24:00:00.000000'"), ("postgresql", "time", "'24:00'")),
        (("sqlite", "TEXT", "x'61'"), ("postgresql", "text", "'a'")),
        (("sqlite", "INTEGER", "x'35'"), ("postgresql", "integer", "5")),
        (("sqlite", "REAL", "x'30'"), ("postgresql", "double precision", "0")),
        (("sqlite", "BLOB", "'a'"), ("postgresql", "bytea", r"'\x61'")),
        (("sqlite", "BLOB", "NULL"), ("postgresql", "bytea", "''")),
        (("sqlite", "REAL", "1e-300"), ("postgresql", "double precision", "2e-300")),
        (("sqlite", "REAL", "1e300"), ("postgresql", "double precision", "2e300")),
        (("sqlite", "REAL", "0.30000000000000004"), ("postgresql", "double precision", "0.3")),
        (("sqlite", "REAL", "-0.5"), ("postgresql", "double precision", "0.5")),
        (("sqlite", "NUMERIC(10,2)", "1.001"), ("postgresql", "numeric", "1.00")),
        (("sqlite", "NUMERIC(10,2)", "0"), ("postgresql", "numeric", "'NaN'")),
        (("sqlite", "JSON", "0.1 + 0.2"), ("postgresql", "json", "'0.3'")),
    ],
)
def test_values_that_only_look_alike(compare, one, other):
    assert compare(one, other) == 1
    assert compare(other, one) == 1


@pytest.mark.parametrize("engine", ["postgresql", "sqlite"])
def test_what_joins_values_may_be_stored(compare, engine):
    values = ("'a' || char(30) || 'b'", "'c'"), ("'a'", "'b' || char(30) || 'c'")
    theirs = (value.replace("char(", "chr(") if engine == "postgresql" else value for value in values[1])
    assert compare(("sqlite", "TEXT", *values[0]), (engine, "text", *theirs)) == 2


def test_expressions_may_hold_what_drivers_take_for_placeholders(compare):
    expression = "CASE WHEN v LIKE 'a%' THEN '100%s?' ELSE v END"
    mapped = TableFlow(
        "t", "t", ("id",), ("id",), (Column("id", '"id"', "id"), Column("v", expression, None))
    )
    for engine in ("postgresql", "sqlite"):
        for other in ("postgresql", "sqlite"):
            values = ("'abc'", "'b%'"), ("'100%s?'", "'b%'")
            assert compare((engine, "text", *values[0]), (other, "text", *values[1]), mapped) == 0


def test_types_that_cannot_be_compared_fail_closed(compare):
    with pytest.raises(SchemaError, match=r"column t\.v: interval and TEXT have no common meaning"):
        compare(("postgresql", "interval", "'1 day'"), ("sqlite", "TEXT", "'1 day'"))


def test_rows_without_a_key_fail_closed(tmp_path, postgresql_database):
    with database("sqlite", tmp_path, postgresql_database) as engine:
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE t (id text PRIMARY KEY, v text)")
            connection.exec_driver_sql("INSERT INTO t VALUES (NULL, 'unseen')")
        with pytest.raises(SchemaError, match="rows without a key"):
            run_check(engine, engine, [FLOW])


def test_keys_stored_in_several_forms_fail_closed(tmp_path, postgresql_database):
    with (
        database("sqlite", tmp_path, postgresql_database) as ours,
        database("postgresql", tmp_path, postgresql_database) as theirs,
    ):
        with ours.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE t (id DATETIME PRIMARY KEY, v text)")
            connection.exec_driver_sql(
                "INSERT INTO t VALUES ('2024-01-01T09:00:00', ''), ('2024-01-01 10:00:00', '')"
            )
        with theirs.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE t (id timestamp PRIMARY KEY, v text)")
        with pytest.raises(SchemaError, match="not stored in one form"):
            run_check(ours, theirs, [FLOW])


@pytest.mark.parametrize("collation", ["C", "und-x-icu"])
def test_text_keys_sort_alike_across_collations(tmp_path, postgresql_database, collation):
    keys = ["a", "B", "é", "e\u0301", "_", "Z", "10", "9", "ß", "\U0001f600", "\uffff"]
    with (
        database("postgresql", tmp_path, postgresql_database) as ours,
        database("sqlite", tmp_path, postgresql_database) as theirs,
        database("postgresql", tmp_path, postgresql_database) as other,
    ):
        for engine, declared in (
            (ours, f'text COLLATE "{collation}"'),
            (theirs, "text COLLATE NOCASE"),
            (other, 'text COLLATE "C"'),
        ):
            with engine.begin() as connection:
                connection.exec_driver_sql(f"CREATE TABLE t (id {declared} PRIMARY KEY, v text)")
                connection.execute(
                    sa.text("INSERT INTO t VALUES (:key, 'x')"), [{"key": key} for key in keys]
                )
        for target in (theirs, other):
            assert run_check(ours, target, [FLOW], chunk_rows=2).clean
            with target.begin() as connection:
                connection.exec_driver_sql("UPDATE t SET v = 'y' WHERE id = 'Z'")
            [finding] = run_check(ours, target, [FLOW], chunk_rows=2).findings
            assert finding.key == ("Z",)
