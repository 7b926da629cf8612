from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facade.compare_decode import decode
from facade.compare_values import SHAPES, shape, tolerance

NUMBERS = st.integers() | st.decimals(allow_nan=False, allow_infinity=False)
SAMPLE = "6f1c2d3e-0000-4000-8000-00000000000a"


@given(NUMBERS, NUMBERS, st.decimals(0, 10**9, places=3))
def test_a_distance_is_exact_and_the_same_both_ways(
    one: int | Decimal, other: int | Decimal, limit: Decimal
) -> None:
    accepts = tolerance(f"{limit:f}")
    assert accepts(one, other) == accepts(other, one)
    assert accepts(one, one)


@given(st.integers(-(10**40), 10**40), st.integers(-10, 10), st.integers(0, 10))
def test_whole_numbers_of_any_size_are_within_their_distance_or_not(one: int, by: int, limit: int) -> None:
    assert tolerance(str(limit))(one, one + by) == (abs(by) <= limit)


@pytest.mark.parametrize(
    ("amount", "one", "other", "near"),
    [
        ("0.01", "1.00", "1.01", True),
        ("0.01", "1.00", "1.011", False),
        ("0", "1", "2", False),
        ("1%", "100", "101", True),
        ("1%", "-100", "-102", False),
        ("1%", "0", "0.001", False),
        ("1e-3", "1.0005", "1.0", True),
        ("5", "1e999", "1e998", False),
        ("1", '"1"', '"2"', False),
        ("2s", '"2024-01-02T03:04:05Z"', '"2024-01-02T03:04:07Z"', True),
        ("2s", '"2024-01-02T03:04:05Z"', '"2024-01-02T04:04:05+01:00"', True),
        ("2s", '"2024-01-02T03:04:05Z"', '"2024-01-02T03:04:07.1Z"', False),
        ("2s", '"2024-01-02T03:04:05Z"', '"2024-01-02T03:04:05"', False),
        ("99999999s", '"2024-01-02"', '"2024-01-03T00:00:00"', False),
        ("2s", '"2024-13-02"', '"2024-13-02 "', False),
        ("2s", "1", "2", False),
    ],
)
def test_tolerances(amount: str, one: str, other: str, near: bool) -> None:
    assert tolerance(amount)(decode(one.encode()), decode(other.encode())) is near


SAME: dict[str, st.SearchStrategy[Any]] = {
    "time": st.datetimes().map(lambda at: at.isoformat() + "Z"),
    "uuid": st.uuids().map(str),
    "url": st.from_regex(r"https://[a-z]{1,9}(:\d{2,4})?(/[\w-]{0,9})*(\?q=\w+)?", fullmatch=True),
    "integer": st.integers(),
    "token": st.binary(min_size=16, max_size=16).map(bytes.hex),
    "text": st.from_regex(r"[a-z]{8,}( [a-z]{2,9})*", fullmatch=True),
}


@pytest.mark.parametrize("name", SHAPES)
@given(data=st.data())
def test_values_of_one_shape_stand_for_each_other(name: str, data: st.DataObject) -> None:
    one, other = data.draw(SAME[name]), data.draw(SAME[name])
    assert shape(name)(one, other)


@pytest.mark.parametrize("name", sorted(SHAPES.keys() - {"text"}))
@given(data=st.data(), odd=st.sampled_from(["", "x", "null", "a b", "0x1g", "http:/x", "24-2-3"]))
def test_a_value_that_left_its_shape_is_told(name: str, data: st.DataObject, odd: str) -> None:
    one = data.draw(SAME[name])
    accepts = shape(name)
    assert not accepts(one, odd)
    assert not accepts(odd, one)
    assert not accepts(odd, odd)


@pytest.mark.parametrize(
    ("name", "one", "other", "same"),
    [
        ("time", "2024-01-02T03:04:05Z", "2024-01-02 03:04:05.123+02:00", True),
        ("time", "2024-01-02T03:04:05Z", "2024-01-02T03:04:05", False),
        ("time", "2024-01-02", "2025-12-31", True),
        ("time", "2024-01-02", "2024-01-02T00:00:00", False),
        ("uuid", SAMPLE, SAMPLE.upper(), True),
        ("uuid", SAMPLE, SAMPLE.replace("-", ""), False),
        ("url", "https://a/1", "https://b:8443/2?x=1", True),
        ("url", "https://a/1", "http://a/1", False),
        ("url", "/a/1", "/a/2", False),
        ("url", "https://[::1", "https://a", False),
        ("integer", "12", "-3", True),
        ("integer", 1, Decimal("2.5"), False),
        ("integer", 1, True, False),
        ("token", "d41d8cd98f00b204", "0123456789abcdef", True),
        ("token", "d41d8cd98f00b204", "d41d8cd98f00b20", False),
        ("token", "d41d8cd98f00b204", "Zzzd8cd98f00b204", False),
        ("token", "eyJhbGci.eyJzdWIi.c2ln", "eyJhbGciOiJI.eyJzdWIiOjF9.c2lnbmF0", True),
        ("token", "short", "other", False),
        ("text", "short", "another one", True),
        ("text", "short", "", False),
        ("text", "short", " None", False),
        ("text", "short", "[object Object]", False),
        ("text", "short", 5, False),
    ],
)
def test_shapes(name: str, one: Any, other: Any, same: bool) -> None:
    assert shape(name)(one, other) is same


BROKEN: tuple[Callable[[str], Any], ...] = (
    lambda text: text[:-1],
    lambda text: text + "?!",
    lambda text: text.replace(text[len(text) // 2], " "),
    lambda text: "",
    lambda text: "None",
    lambda text: "[object Object]",
)


@pytest.mark.parametrize("name", ["time", "uuid", "token"])
def test_nearly_every_broken_value_in_a_volatile_field_is_found(name: str) -> None:
    seeded = Random(7)
    accepts, found = shape(name), 0
    for number in range(600):
        values = {
            "time": f"20{seeded.randrange(10, 99)}-03-14T10:00:00.{seeded.randrange(10**6):06}Z",
            "uuid": str(UUID(int=seeded.getrandbits(128))),
            "token": seeded.randbytes(20).hex(),
        }
        found += not accepts(values[name], BROKEN[number % len(BROKEN)](values[name]))
    assert found >= 0.95 * 600
