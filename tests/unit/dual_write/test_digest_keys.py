from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dual_write.canonical import Kind, Moment, normal
from dual_write.digest_keys import alternatives, bound, key_column
from dual_write.digest_types import postgresql_type, sqlite_type
from dual_write.errors import SchemaError

TOKEN = UUID("12345678-9abc-def0-1234-56789abcdef0")


def sqlite(kind, declared):
    return key_column('"k"', kind, sqlite_type(declared), postgresql=False, collated_alike=False)


def postgresql(kind, declared, *, collated_alike=False):
    return key_column('"k"', kind, postgresql_type(declared), postgresql=True, collated_alike=collated_alike)


def test_text_is_walked_bytewise_unless_both_sides_sort_alike():
    assert postgresql(Kind.TEXT, "text").order == '"k" COLLATE "C"'
    assert postgresql(Kind.TEXT, "text").match == '"k"'
    assert postgresql(Kind.TEXT, "text", collated_alike=True).order == '"k"'
    assert sqlite(Kind.TEXT, "VARCHAR").order == '"k" COLLATE BINARY'
    assert sqlite(Kind.INTEGER, "INTEGER").order == '"k"'


def test_a_number_that_is_text_on_the_other_side_is_walked_as_text():
    assert postgresql(Kind.TEXT, "integer").order == '("k")::text COLLATE "C"'
    assert sqlite(Kind.TEXT, "INTEGER").order == 'CAST("k" AS TEXT)'


def test_a_uuid_is_looked_up_as_its_column_stores_it():
    assert bound([sqlite(Kind.UUID, "CHAR(32)")], (TOKEN,)) == (TOKEN.hex,)
    assert bound([sqlite(Kind.UUID, "VARCHAR(36)")], (TOKEN,)) == (str(TOKEN),)
    assert bound([sqlite(Kind.UUID, "BLOB")], (TOKEN,)) == (TOKEN.bytes,)
    assert bound([postgresql(Kind.UUID, "uuid")], (TOKEN,)) == (str(TOKEN),)


@given(st.datetimes())
def test_a_moment_is_looked_up_in_every_form_that_sqlite_may_hold(moment):
    value = normal(Kind.TIMESTAMP, moment)
    forms = [form for (form,) in alternatives([sqlite(Kind.TIMESTAMP, "DATETIME")], (value,))]
    assert str(moment) in forms
    assert moment.isoformat() in forms
    assert {normal(Kind.TIMESTAMP, form) for form in forms} == {value}


def test_postgresql_knows_infinity_and_other_moments_out_of_range_are_told():
    column = postgresql(Kind.TIMESTAMP, "timestamp with time zone")
    assert bound([column], (Moment(2**63 - 1),)) == ("infinity",)
    assert bound([column], (Moment(-(2**63)),)) == ("-infinity",)
    assert bound([column], (normal(Kind.TIMESTAMP, datetime(2024, 1, 2, tzinfo=UTC)),)) == (
        "2024-01-02 00:00:00",
    )
    with pytest.raises(SchemaError, match="outside the years 1 to 9999"):
        bound([column], (Moment(-(10**17)),))


def test_composite_keys_take_every_combination():
    columns = [sqlite(Kind.INTEGER, "INTEGER"), sqlite(Kind.UUID, "CHAR(32)")]
    stored = alternatives(columns, (5, TOKEN))
    assert (5, TOKEN.hex) in stored
    assert (5, str(TOKEN)) in stored
