from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from monolith import fields

price = TypeAdapter[Decimal](fields.Price)
json_object = TypeAdapter[dict[str, Any]](fields.JsonObject)


@given(st.decimals(min_value=0, max_value=Decimal("9999999999.99"), places=2))
def test_a_price_keeps_its_value_and_has_two_places(amount: Decimal) -> None:
    kept = price.validate_python(amount)
    assert kept == amount
    assert kept.as_tuple().exponent == -2
    assert not kept.is_signed()


@pytest.mark.parametrize("amount", ["-0.01", "1.001", "10000000000", "NaN", "Infinity", "x"])
def test_what_the_column_cannot_hold_is_no_price(amount: str) -> None:
    with pytest.raises(ValidationError):
        price.validate_python(amount)


@pytest.mark.parametrize(
    "value", [{"a": float("nan")}, {"a": [float("inf")]}, {"\ud800": 1}, {"a": "x" * 16_384}]
)
def test_what_json_columns_cannot_hold_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        json_object.validate_python(value)


def test_nul_is_no_text() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter[str](fields.Text).validate_python("a\0b")
    assert TypeAdapter[str](fields.Text).validate_python("a\nb") == "a\nb"
