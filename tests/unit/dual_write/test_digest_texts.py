import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dual_write.canonical import Kind, canonical
from dual_write.digest_texts import aggregates, agreement, text_of
from dual_write.digest_types import postgresql_type, sqlite_type


def told(kind, declared, stored, values):
    """What SQLite answers for a column of these values."""
    text = text_of(kind, postgresql_type(declared), sqlite_type(stored))
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"CREATE TABLE t (c0 {stored})")
        connection.executemany("INSERT INTO t VALUES (?)", [(value,) for value in values])
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        selected = aggregates([text], postgresql=False)
        return (
            connection.execute(f"SELECT {selected} FROM t").fetchone(),
            [row[0] for row in connection.execute("SELECT c0 FROM t")],
        )


STORED = {
    (Kind.TEXT, "text", "TEXT"): st.text(st.characters(exclude_categories=["Cs"])) | st.binary(max_size=3),
    (Kind.FLOAT, "double precision", "REAL"): st.floats(allow_nan=False) | st.text(max_size=2),
    (Kind.NUMERIC, "numeric", "NUMERIC(12,2)"): st.decimals(-(10**9), 10**9, places=2).map(float)
    | st.floats(allow_nan=False)
    | st.integers(-(10**18), 10**18),
    (Kind.INTEGER, "bigint", "INTEGER"): st.integers(-(2**63), 2**63 - 1) | st.floats(-10, 10) | st.binary(),
    (Kind.JSON, "jsonb", "JSON"): st.text("0.1\x1c\x1d\x1e", max_size=3) | st.floats(0, 1),
    (Kind.TIMESTAMP, "timestamp without time zone", "DATETIME"): st.datetimes().map(str) | st.binary(),
    (Kind.BYTES, "bytea", "BLOB"): st.binary(max_size=2) | st.text("a", max_size=2),
}


@pytest.mark.parametrize("types", STORED, ids=lambda types: types[0].value)
def test_equal_texts_vouch_for_equal_values(types):
    kind, declared, stored = types
    values = st.lists(st.none() | STORED[types], max_size=3)

    @given(st.data())
    def vouched(data):
        ours = data.draw(values)
        theirs = data.draw(st.just(ours) | values | st.permutations(ours))
        (one, held), (other, found) = told(kind, declared, stored, ours), told(kind, declared, stored, theirs)
        if agreement(one, other, 10):
            scale = sqlite_type(stored).scale
            assert [canonical(kind, value, scale) for value in held] == [
                canonical(kind, value, scale) for value in found
            ]

    vouched()


def test_more_rows_than_were_asked_for_are_no_agreement():
    answer, _ = told(Kind.INTEGER, "bigint", "INTEGER", [1, 2, 3])
    assert agreement(answer, answer, 3)
    assert not agreement(answer, answer, 2)


def test_no_rows_agree():
    answer, _ = told(Kind.TEXT, "text", "TEXT", [])
    assert agreement(answer, answer, 2)


@pytest.mark.parametrize(
    ("kind", "declared", "stored"),
    [
        (Kind.NUMERIC, "numeric", "NUMERIC"),  # floats without a scale: only the value can tell
        (Kind.NUMERIC, "integer", "REAL"),
        (Kind.SINGLE, "real", "REAL"),
        (Kind.TEXT, "text", ""),
        (Kind.UUID, "uuid", "BLOB"),
        (Kind.TIMESTAMP, "date", "DATETIME"),
    ],
)
def test_types_that_agree_on_no_text_are_compared_by_rows(kind, declared, stored):
    assert text_of(kind, postgresql_type(declared), sqlite_type(stored)) is None
