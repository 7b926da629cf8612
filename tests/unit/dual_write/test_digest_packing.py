"""Columns as bytes: equal exactly when their values are, in their order."""

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dual_write.canonical import Kind
from dual_write.digest_columns import ComparedColumn
from dual_write.digest_packing import Digests, Marks, packing
from dual_write.digest_types import Declared, postgresql_type, sqlite_type

MARKS = Marks("n", "b")


def column(kind: Kind, ours: Declared, theirs: str) -> ComparedColumn:
    return ComparedColumn("v", kind, ours, sqlite_type(theirs), across=True)


def packed(kind: Kind, declared: str, theirs: str, values, marks: Marks = MARKS) -> bytes:
    ours = postgresql_type(declared, precision=10)
    found = packing(column(kind, ours, theirs), ours)
    assert found is not None
    return bytes(found.pack(values, marks))


INTEGERS = st.none() | st.integers(-(2**63), 2**63 - 1)
TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=3)


@given(st.lists(INTEGERS, max_size=5), st.lists(INTEGERS, max_size=5))
def test_whole_numbers(one, other):
    marks = Marks.drawn()
    forms = [packed(Kind.INTEGER, "bigint", "INTEGER", values, marks) for values in (one, other)]
    assert (forms[0] == forms[1]) is (one == other)


@given(st.lists(TEXTS, min_size=1, max_size=5), st.lists(TEXTS, min_size=1, max_size=5))
def test_texts(one, other):
    marks = Marks.drawn()
    forms = [packed(Kind.TEXT, "text", "TEXT", values, marks) for values in (one, other)]
    assert (forms[0] == forms[1]) is (one == other)


def test_numbers_are_as_postgresql_sends_them():
    assert packed(Kind.FLOAT, "double precision", "REAL", (0.1, -2.0)) == pack(">dd", 0.1, -2.0)
    holes = (None, 0.1, None, None)
    assert packed(Kind.FLOAT, "double precision", "REAL", holes) == b"n" + pack(">d", 0.1) + b"nn"
    assert packed(Kind.BOOLEAN, "boolean", "BOOLEAN", (1, None, 0)) == b"\1n\0"


@pytest.mark.parametrize(
    ("kind", "declared", "theirs", "value"),
    [
        (Kind.INTEGER, "integer", "INTEGER", 5.0),
        (Kind.INTEGER, "integer", "INTEGER", "5"),
        (Kind.INTEGER, "bigint", "INTEGER", 2**63),
        (Kind.BOOLEAN, "boolean", "BOOLEAN", b"1"),
        (Kind.FLOAT, "double precision", "REAL", "0.5"),
        (Kind.NUMERIC, "numeric", "NUMERIC(10, 2)", b"0"),
        (Kind.TEXT, "text", "TEXT", b"a"),
        (Kind.TEXT, "text", "TEXT", 5),
        (Kind.TEXT, "text", "TEXT", "\udcff"),
        (Kind.JSON, "jsonb", "JSON", 5),
        (Kind.BYTES, "bytea", "BLOB", "61"),
    ],
)
def test_what_is_not_of_the_columns_type_is_refused(kind, declared, theirs, value):
    with pytest.raises((TypeError, ValueError, OverflowError)):
        packed(kind, declared, theirs, [value])


ROWS = st.lists(st.tuples(INTEGERS, TEXTS), max_size=8)


@given(ROWS, ROWS, st.integers(1, 4))
def test_rows_have_one_digest_in_whatever_batches_they_come(one, other, size):
    found = [
        packing(column(kind, ours := postgresql_type(declared), theirs), ours)
        for kind, declared, theirs in ((Kind.INTEGER, "bigint", "INTEGER"), (Kind.TEXT, "text", "TEXT"))
    ]

    def digest(batches):
        digests = Digests(found, MARKS)
        for batch in batches:
            digests.add(batch)
        return digests.result()

    whole = digest([one] if one else [])
    assert whole[0] == len(one)
    assert len(whole) == 3
    assert digest(one[at : at + size] for at in range(0, len(one), size)) == whole
    assert (digest([other] if other else []) == whole) is (one == other)


def test_rows_that_postgresql_cannot_hold_are_counted_and_have_no_digest():
    ours = postgresql_type("bigint")
    digests = Digests([packing(column(Kind.INTEGER, ours, "INTEGER"), ours)], MARKS)
    for batch in ([(1,)], [("1",)], [(2,), (3,)]):
        digests.add(batch)
    assert digests.result() == (4,)


@pytest.mark.parametrize("precision", [None, 16])
def test_a_decimal_that_no_float_stands_for_has_no_packing(precision):
    ours = postgresql_type("numeric", precision=precision)
    assert packing(column(Kind.NUMERIC, ours, "NUMERIC"), ours) is None


def test_a_value_without_a_kind_has_no_packing():
    ours = postgresql_type("double precision")
    assert packing(column(Kind.NUMERIC, ours, "INTEGER"), ours) is None
    assert packing(column(Kind.DYNAMIC, ours, ""), ours) is None
