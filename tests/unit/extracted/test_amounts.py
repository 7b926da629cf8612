from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from extracted.search.amounts import from_cents, to_cents


@given(st.none() | st.decimals(min_value=0, max_value=Decimal("9999999999.99"), places=2))
def test_cents_and_back_is_the_same_amount_written_the_same_way(amount: Decimal | None) -> None:
    back = from_cents(to_cents(amount))
    assert str(back) == str(amount)
