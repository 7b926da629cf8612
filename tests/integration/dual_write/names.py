"""Functions as a plan names them."""

from decimal import Decimal


def join(first: str, last: str | None) -> str:
    if first == "broken":
        raise RuntimeError(f"cannot join {first} and {last}")
    return first if last is None else f"{first} {last}"


def first(full_name: str) -> str:
    return full_name.partition(" ")[0]


def last(full_name: str) -> str | None:
    return full_name.partition(" ")[2] or None


def doubled(price: Decimal | float | None) -> Decimal | None:
    return None if price is None else Decimal(str(price)) * 2


def halved(price: Decimal | float | None) -> Decimal | None:
    return None if price is None else Decimal(str(price)) / 2
