"""How far apart two values of a column may lie where the plan says so. Pure.

Nothing is tolerated by itself: what is not the same differs.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal

from dual_write.canonical import Clock, Day, Kind, Moment, Value
from dual_write.errors import SchemaError

Tolerances = Mapping[str, str]
"""By column, the amount in the plan's words."""

_AMOUNT = re.compile(r"(?P<number>\d+(?:\.\d+)?(?:[eE]-?\d+)?)\s*(?P<unit>%|s)?", re.ASCII)
# Only the result of a subtraction is rounded, so that no difference becomes none.
_EXACT = Context(prec=50, traps=[])
_NUMBERS = {Kind.INTEGER, Kind.NUMERIC, Kind.FLOAT, Kind.SINGLE}
_MOMENTS = {Kind.TIMESTAMP, Kind.DATE, Kind.TIME}
_MICROSECONDS_OF_A_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Tolerance:
    """``0.01``: a distance; ``1%`` of the greater number; ``2s`` between two times."""

    number: Decimal
    unit: str

    @classmethod
    def of(cls, amount: str) -> "Tolerance":
        """Raises SchemaError."""
        found = _AMOUNT.fullmatch(amount.strip())
        if found is None:
            raise SchemaError(
                f"the tolerance {amount!r} is not understood. Write 0.01 for a distance, '1%' of the greater "
                "number, or '2s' between two times"
            )
        return cls(Decimal(found["number"]), found["unit"] or "")

    def fits(self, kind: Kind) -> bool:
        """Whether it says anything about such values."""
        return kind in (_MOMENTS if self.unit == "s" else _NUMBERS)

    def covers(self, one: Value, other: Value) -> bool:
        """Whether two logical values lie no further apart. NULL, NaN and infinity are near nothing."""
        if self.unit == "s":
            ours, theirs = _microseconds(one), _microseconds(other)
            return (
                type(one) is type(other)
                and ours is not None
                and theirs is not None
                and abs(ours - theirs) <= self.number * 1_000_000
            )
        if not isinstance(one, int | float | Decimal) or not isinstance(other, int | float | Decimal):
            return False
        left, right = Decimal(one), Decimal(other)
        if not left.is_finite() or not right.is_finite():
            return False
        greater = max(left.copy_abs(), right.copy_abs())
        limit = _EXACT.multiply(self.number / 100, greater) if self.unit == "%" else self.number
        return _EXACT.subtract(left, right).copy_abs() <= limit


def _microseconds(value: Value) -> int | None:
    match value:
        case Moment(microseconds) if abs(microseconds) < 2**63 - 1:
            return microseconds
        case Clock(microseconds):
            return microseconds
        case Day(days):
            return days * _MICROSECONDS_OF_A_DAY
        case _:
            return None
