import pytest

from dual_write.canonical import Kind
from dual_write.digest_types import meeting_kind, postgresql_type, sqlite_type
from dual_write.errors import SchemaError


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        ("INTEGER", Kind.INTEGER),
        ("BIGINT", Kind.INTEGER),
        ("VARCHAR(40)", Kind.TEXT),
        ("NVARCHAR", Kind.TEXT),
        ("CHAR(32)", Kind.TEXT),
        ("BLOB", Kind.BYTES),
        ("REAL", Kind.FLOAT),
        ("DOUBLE PRECISION", Kind.FLOAT),
        ("NUMERIC(10, 2)", Kind.NUMERIC),
        ("decimal(10,2)", Kind.NUMERIC),
        ("BOOLEAN", Kind.BOOLEAN),
        ("DATETIME", Kind.TIMESTAMP),
        ("timestamp with time zone", Kind.TIMESTAMP),
        ("DATE", Kind.DATE),
        ("JSON", Kind.JSON),
        ("", Kind.DYNAMIC),
        ("MONEY", Kind.DYNAMIC),
    ],
)
def test_kinds_of_sqlite(declared, kind):
    assert sqlite_type(declared).kind is kind


def test_sizes_of_sqlite():
    assert sqlite_type("NUMERIC(10, 2)").scale == 2
    assert sqlite_type("NUMERIC(10)").scale is None
    assert sqlite_type("CHAR(32)").width == 32


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ("boolean", "integer", Kind.INTEGER),
        ("bigint", "numeric", Kind.NUMERIC),
        ("numeric", "double precision", Kind.FLOAT),
        ("double precision", "real", Kind.SINGLE),
        ("integer", "double precision", Kind.NUMERIC),
        ("text", "character", Kind.PADDED),
        ("uuid", "text", Kind.UUID),
        ("timestamp with time zone", "timestamp without time zone", Kind.TIMESTAMP),
        ("jsonb", "text", Kind.JSON),
        ("inet", "inet", Kind.OPAQUE),
        ("text[]", "text[]", Kind.OPAQUE),
    ],
)
def test_two_types_meet_in_one_kind_whichever_side_they_are_on(one, other, kind):
    ours, theirs = postgresql_type(one), postgresql_type(other)
    assert meeting_kind(ours, theirs, "t.c") is kind
    assert meeting_kind(theirs, ours, "t.c") is kind


def test_a_value_without_a_declared_type_is_what_the_other_side_says():
    assert meeting_kind(sqlite_type(""), postgresql_type("uuid"), "t.c") is Kind.UUID
    assert meeting_kind(postgresql_type("date"), sqlite_type(""), "t.c") is Kind.DATE
    assert meeting_kind(sqlite_type(""), sqlite_type(""), "t.c") is Kind.DYNAMIC


@pytest.mark.parametrize(
    ("one", "other"),
    [("inet", "cidr"), ("text", "bytea"), ("numeric", "text"), ("interval", "text"), ("boolean", "text")],
)
def test_types_without_a_common_meaning_fail_closed_with_the_remedy(one, other):
    with pytest.raises(SchemaError, match=r"t\.c.*no common meaning.*expression with a cast"):
        meeting_kind(postgresql_type(one), postgresql_type(other), "t.c")


def test_a_type_of_postgresql_alone_does_not_meet_one_of_sqlite():
    with pytest.raises(SchemaError, match="inet"):
        meeting_kind(postgresql_type("inet"), sqlite_type("TEXT"), "t.c")
