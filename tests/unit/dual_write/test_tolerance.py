"""What lies near enough, and what does not."""

from decimal import Decimal
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dual_write.canonical import Clock, Day, Json, Kind, Moment
from dual_write.errors import SchemaError
from dual_write.tolerance import Tolerance

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("amount", "one", "other"),
    [
        ("0.01", Decimal("1.00"), Decimal("1.01")),
        ("0.01", 1, Decimal("0.99")),
        ("1e-9", 0.1 + 0.2, 0.3),
        ("0", -0.0, 0.0),
        ("1%", 100, 99),
        ("1 %", -100.0, -99.0),
        ("2s", Moment(0), Moment(2 * SECOND)),
        ("0.001s", Clock(0), Clock(1000)),
        ("86400s", Day(3), Day(2)),
    ],
)
def test_what_is_near_is_covered_either_way_round(amount, one, other):
    assert Tolerance.of(amount).covers(one, other)
    assert Tolerance.of(amount).covers(other, one)


@pytest.mark.parametrize(
    ("amount", "one", "other"),
    [
        ("0.01", Decimal("1.00"), Decimal("1.0100000001")),
        ("1", None, 0),
        ("1", nan, nan),
        ("1", inf, inf),
        ("1%", 1, -1),
        ("1%", 0, Decimal("1e-30")),
        ("1", "1", "2"),
        ("1", Json("1"), Json("2")),
        ("2s", Moment(0), Moment(2 * SECOND + 1)),
        ("2s", Moment(2**63 - 1), Moment(2**63 - 2)),
        ("2s", Moment(0), Day(0)),
        ("2s", 1, 2),
        ("0.5", 2**53, 2**53 + 1),
    ],
)
def test_what_is_not_near_is_not_covered(amount, one, other):
    assert not Tolerance.of(amount).covers(one, other)
    assert not Tolerance.of(amount).covers(other, one)


@given(st.decimals(-(10**12), 10**12, places=6), st.integers(0, 10**6))
def test_a_distance_is_exact(value, millionths):
    limit = Decimal(millionths).scaleb(-6)
    tolerance = Tolerance.of(str(limit.quantize(Decimal("0.000001"))))
    assert tolerance.covers(value, value + limit)
    assert not tolerance.covers(value, value + limit + Decimal("0.000001"))


@pytest.mark.parametrize("amount", ["", "-1", "1 m", "2 s s", "one", "1%%", "٣"])
def test_what_is_not_understood_is_refused(amount):
    with pytest.raises(SchemaError, match=r"not understood. Write 0\.01"):
        Tolerance.of(amount)


def test_each_unit_is_for_its_own_kinds():
    assert Tolerance.of("1").fits(Kind.NUMERIC)
    assert Tolerance.of("1%").fits(Kind.SINGLE)
    assert Tolerance.of("1s").fits(Kind.TIMESTAMP)
    assert not Tolerance.of("1s").fits(Kind.NUMERIC)
    assert not Tolerance.of("1").fits(Kind.TEXT)
    assert not Tolerance.of("1").fits(Kind.TIMESTAMP)
