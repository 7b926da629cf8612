import json
import struct
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from math import inf, nan
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dual_write.canonical import EPOCH, Clock, Day, Json, Kind, Moment, canonical, encode, normal

finite = st.floats(allow_nan=False, allow_infinity=False)
moments = st.datetimes().filter(lambda moment: 1 < moment.year < 9999)
values = st.one_of(
    st.none(),
    st.integers(),
    finite,
    st.decimals(allow_nan=False, allow_infinity=False),
    st.text(),
    st.binary(),
    st.uuids(),
    st.integers().map(Moment),
    st.integers().map(Day),
    st.integers().map(Clock),
    st.text().map(Json),
)
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def meant(value: object) -> tuple[object, ...]:
    """What tells two logical values apart, without the code under test."""
    if isinstance(value, float):
        return "float", struct.pack(">d", value)
    if isinstance(value, (int, Decimal)):
        return "number", value
    return type(value).__name__, value


@given(values, values)
def test_encode_is_injective(one, other):
    assert (encode(one) == encode(other)) == (meant(one) == meant(other))


@pytest.mark.parametrize("kind", Kind)
def test_null_empty_and_lookalikes_stay_apart(kind):
    lookalikes = [None, "", "<null>", "NULL", "\\N", "\0", b"", b"\0"]
    assert len({canonical(kind, value) for value in lookalikes}) == len(lookalikes)


@pytest.mark.parametrize("kind", Kind)
@given(value=st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(), st.binary()))
def test_every_stored_value_has_one_form_in_every_kind(kind, value):
    assert canonical(kind, value) == canonical(kind, value)
    assert encode(normal(kind, value))


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15, places=6))
def test_numerics_do_not_depend_on_trailing_zeros(number):
    assert canonical(Kind.NUMERIC, number) == canonical(Kind.NUMERIC, Decimal(f"{number}000"))
    assert canonical(Kind.NUMERIC, number) != canonical(Kind.NUMERIC, number + Decimal("0.0000001"))


def test_numerics_beyond_the_decimal_context_stay_exact():
    long = Decimal("1234567890123456789012345678901234567890.5")
    assert canonical(Kind.NUMERIC, long) != canonical(Kind.NUMERIC, long + Decimal("0.1"))


@given(st.integers(-(10**12), 10**12))
def test_a_float_stands_for_the_decimal_that_its_column_promises(cents):
    exact = Decimal(cents) / 100
    assert canonical(Kind.NUMERIC, float(exact), 2) == canonical(Kind.NUMERIC, exact)


def test_a_float_with_the_noise_of_arithmetic_stands_for_its_decimal_and_a_wrong_one_does_not():
    assert canonical(Kind.NUMERIC, 0.1 + 0.2, 2) == canonical(Kind.NUMERIC, Decimal("0.30"))
    assert canonical(Kind.NUMERIC, 0.301, 2) != canonical(Kind.NUMERIC, Decimal("0.30"))
    assert canonical(Kind.NUMERIC, 0.1 + 0.2) != canonical(Kind.NUMERIC, Decimal("0.30"))


def test_floats_are_compared_bit_by_bit_save_for_nan():
    assert canonical(Kind.FLOAT, -0.0) != canonical(Kind.FLOAT, 0.0)
    assert canonical(Kind.FLOAT, nan) == canonical(Kind.FLOAT, -nan)
    assert len({canonical(Kind.FLOAT, value) for value in (nan, inf, -inf, None, 0.0)}) == 5


@given(st.floats(allow_nan=False))
def test_a_float_as_sent_by_postgresql_equals_the_float(value):
    assert canonical(Kind.FLOAT, struct.pack(">d", value)) == canonical(Kind.FLOAT, value)


@given(st.floats(width=32, allow_nan=False))
def test_single_precision_is_all_that_both_sides_can_hold(value):
    assert canonical(Kind.SINGLE, value) == canonical(Kind.SINGLE, value * (1 + 1e-9))


@pytest.mark.parametrize("value", [True, 1, 1.0, Decimal("1.00")])
def test_a_boolean_equals_the_integer_that_stands_for_it(value):
    assert canonical(Kind.INTEGER, value) == canonical(Kind.BOOLEAN, True)


@given(moments)
def test_a_moment_is_the_same_however_it_is_written(moment):
    sent = ((moment - EPOCH) // timedelta(microseconds=1)).to_bytes(8, signed=True)
    zoned = moment.replace(tzinfo=UTC).astimezone(timezone(timedelta(hours=5, minutes=30)))
    forms = {
        canonical(Kind.TIMESTAMP, form)
        for form in (sent, moment, str(moment), moment.isoformat(), f"{moment}Z", f"{moment}+00:00", zoned)
    }
    assert len(forms) == 1
    assert canonical(Kind.TIMESTAMP, moment + timedelta(microseconds=1)) not in forms


@pytest.mark.parametrize(
    "text", ["2024-13-01 00:00:00", "2024-01-01 00:00:00.1234567", "20240101", "yesterday", "2024-W01-1"]
)
def test_text_that_is_no_timestamp_stays_text(text):
    assert canonical(Kind.TIMESTAMP, text) == b"s" + text.encode()


@given(st.dates())
def test_dates(day):
    sent = (day - date(2000, 1, 1)).days.to_bytes(4, signed=True)
    assert canonical(Kind.DATE, sent) == canonical(Kind.DATE, day) == canonical(Kind.DATE, day.isoformat())


@given(st.times())
def test_times(clock):
    microseconds = (datetime.combine(EPOCH, clock) - EPOCH) // timedelta(microseconds=1)
    sent = microseconds.to_bytes(8, signed=True)
    assert (
        canonical(Kind.TIME, sent) == canonical(Kind.TIME, clock) == canonical(Kind.TIME, clock.isoformat())
    )
    assert canonical(Kind.TIME, time(1)) != canonical(Kind.TIME, time(2))


@given(st.uuids())
def test_uuids(value):
    forms = (value, value.bytes, str(value), value.hex, str(value).upper())
    assert {canonical(Kind.UUID, form) for form in forms} == {b"u" + value.bytes}
    assert canonical(Kind.UUID, f"{{{value}}}") != canonical(Kind.UUID, value)


@given(documents, st.randoms())
def test_json_does_not_depend_on_the_order_of_keys_or_on_white_space(document, random):
    def shuffled(value):
        if isinstance(value, list):
            return [shuffled(item) for item in value]
        if isinstance(value, dict):
            members = [(name, shuffled(member)) for name, member in value.items()]
            random.shuffle(members)
            return dict(members)
        return value

    assert canonical(Kind.JSON, json.dumps(document)) == canonical(
        Kind.JSON, json.dumps(shuffled(document), indent=3, ensure_ascii=False)
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "true"),
        ("1", '"1"'),
        ("null", '"null"'),
        ("[1,2]", "[2,1]"),
        ('{"a":null}', "{}"),
        ("9007199254740993", "9007199254740992"),
        ("NaN", '"NaN"'),
        ('["a,b"]', '["a","b"]'),
    ],
)
def test_json_that_only_looks_alike(one, other):
    assert canonical(Kind.JSON, one) != canonical(Kind.JSON, other)


@pytest.mark.parametrize(
    ("one", "other"), [("1.0", "1.00"), ("1e2", "100"), ("-0.0", "0"), ("5", 5), ("1.5", 1.5)]
)
def test_json_numbers_are_exact_numbers(one, other):
    assert canonical(Kind.JSON, one) == canonical(Kind.JSON, other)


def test_what_is_no_json_stays_text():
    assert canonical(Kind.JSON, "{") == b"s{"
    assert canonical(Kind.JSON, "[" * 100_000).startswith(b"s[")


def test_padding_means_nothing_only_where_a_side_pads():
    assert canonical(Kind.PADDED, "a  ") == canonical(Kind.PADDED, "a")
    assert canonical(Kind.TEXT, "a  ") != canonical(Kind.TEXT, "a")


def test_invalid_utf8_is_kept():
    broken = b"a\xff".decode("utf-8", "surrogateescape")
    assert canonical(Kind.TEXT, broken) == b"sa\xff"


def test_an_object_that_no_column_holds_is_refused():
    with pytest.raises(TypeError, match="no canonical form"):
        canonical(Kind.TEXT, object())
    assert normal(Kind.UUID, UUID(int=1)) == UUID(int=1)
