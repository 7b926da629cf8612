"""Percentages as people write them, kept as whole ‱ (per ten thousand), so that no share is ever a float."""

import re
from decimal import Decimal
from enum import StrEnum

from flags.errors import FlagError

FULL = 10_000
"""The whole: 100 % in ‱."""

_NUMBER = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*%?\s*", re.ASCII)


class Precision(StrEnum):
    """The steps in which a share may move: whole percents as Unleash does, or hundredths of a percent."""

    PERCENT = "percent"
    PERMYRIAD = "permyriad"


def parse_percent(value: str | int | float | Decimal, precision: Precision) -> int:
    """The share in ‱ (0..10000) that a percentage such as ``10``, ``"12.5"`` or ``"5 %"`` says.

    Raises FlagError for anything that is no percentage, is outside 0..100, or is finer than ``precision``.
    """
    match = None if isinstance(value, bool) else _NUMBER.fullmatch(str(value))
    if match is None:
        raise FlagError(f"{value!r} is not a percentage. Give a number from 0 to 100.")
    permyriad = Decimal(match[1]) * 100
    if permyriad > FULL:
        raise FlagError(f"{match[1]} % is more than everything. Give a number from 0 to 100.")
    if permyriad % 1:
        raise FlagError(f"{match[1]} % is finer than 0.01 %, the smallest step there is. Round it.")
    share = int(permyriad)
    require_precision(share, precision)
    return share


def require_precision(share: int, precision: Precision) -> None:
    """Raise FlagError unless ``share`` (‱) is a step of ``precision``."""
    if precision is Precision.PERCENT and share % 100:
        raise FlagError(
            f"{format_percent(share)} % is not a whole percent. Round it, or allow steps of 0.01 % with "
            '`precision = "permyriad"` under [flags] in the plan.'
        )


def format_percent(share: int) -> str:
    """A share in ‱ as the shortest percentage: 50 → ``0.5``, 10000 → ``100``."""
    whole, rest = divmod(share, 100)
    return f"{whole}.{rest:02d}".rstrip("0") if rest else str(whole)
