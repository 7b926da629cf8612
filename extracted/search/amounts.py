"""Money: whole cents in the database, decimals with two places outside."""

from decimal import Decimal


def to_cents(amount: Decimal | None) -> int | None:
    """``Decimal("9.99")`` → 999. The amount has at most two decimal places."""
    return None if amount is None else int(amount.scaleb(2))


def from_cents(cents: int | None) -> Decimal | None:
    """999 → ``Decimal("9.99")``."""
    return None if cents is None else Decimal(cents).scaleb(-2)
