"""When two different values may stand for the same: within a tolerance, or of one shape. Pure.

Both are asked only about two values of one JSON type; a type that differs is never excused. A value is judged
on both sides: one that has left the shape is told apart from one that has it.
"""

import re
from collections.abc import Callable, Hashable, Mapping
from datetime import datetime
from decimal import Context, Decimal
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from facade.compare_paths import RuleError

Accepts: TypeAlias = Callable[[Any, Any], bool]
"""Whether the primary's and the shadow's value, which differ, may stand for the same."""

_AMOUNT = re.compile(r"(?P<number>\d+(?:\.\d+)?(?:e-?\d+)?)\s*(?P<unit>%|s)?", re.IGNORECASE)
_EXACT = Context(prec=50, traps=[])
"""Subtraction rounds only its result, so no difference becomes none; overflow is beyond any tolerance."""

_TIME = re.compile(
    r"\d{4}-\d\d-\d\d(?:[Tt ](?P<clock>\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)(?P<zone>[Zz]|[+-]\d\d(?::?\d\d)?)?)?"
)
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_WHOLE = re.compile(r"-?\d+", re.ASCII)
_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*", re.ASCII)
_TOKEN = re.compile(r"[\w.~+/=:-]{8,}", re.ASCII)
_HEX = re.compile(r"[0-9a-f]+", re.IGNORECASE)


def tolerance(amount: str) -> Accepts:
    """Values no further apart than ``amount``: ``0.01``, ``1%`` of the greater one, or ``2s`` between times.

    Raises RuleError.
    """
    found = _AMOUNT.fullmatch(amount.strip())
    if found is None:
        raise RuleError(
            f"the tolerance {amount!r} is not understood. Write 0.01 for a distance, "
            "'1%' of the greater number, or '2s' between two times."
        )
    limit = Decimal(found["number"])
    if found["unit"] in {"s", "S"}:
        return lambda one, other: _within_seconds(one, other, float(limit))
    if found["unit"] == "%":
        return lambda one, other: _is_near(one, other, lambda greater: _EXACT.multiply(limit / 100, greater))
    return lambda one, other: _is_near(one, other, lambda _: limit)


def shape(name: str) -> Accepts:
    """Values of one shape, of those in SHAPES. Raises RuleError."""
    if name not in SHAPES:
        raise RuleError(f"there is no shape {name!r}. Known are {', '.join(sorted(SHAPES))}.")
    of = SHAPES[name]

    def accepts(one: Any, other: Any) -> bool:
        ours = of(one)
        return ours is not None and ours == of(other)

    return accepts


def _is_near(one: Any, other: Any, limit: Callable[[Decimal], Decimal]) -> bool:
    if not (_is_number(one) and _is_number(other)):
        return False
    left, right = Decimal(one), Decimal(other)
    return _EXACT.subtract(left, right).copy_abs() <= limit(max(left.copy_abs(), right.copy_abs()))


def _is_number(value: Any) -> bool:
    return type(value) in {int, Decimal}


def _within_seconds(one: Any, other: Any, limit: float) -> bool:
    apart = seconds_apart(one, other)
    return apart is not None and apart <= limit


def seconds_apart(one: Any, other: Any) -> float | None:
    """How far apart two times are, if both are times of one kind."""
    ours, theirs = _moment(one), _moment(other)
    if ours is None or theirs is None or _time(one) != _time(other):
        return None
    return abs((ours - theirs).total_seconds())


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value.upper())
    except ValueError:
        return None


def _time(value: Any) -> Hashable:
    """A date, a local time or a time with its zone: clients read each of them in another way."""
    if _moment(value) is None:
        return None
    found = _TIME.fullmatch(value)
    return found and (found["clock"] is not None, found["zone"] is not None)


def _uuid(value: Any) -> Hashable:
    return True if isinstance(value, str) and _UUID.fullmatch(value) else None


def _url(value: Any) -> Hashable:
    """An absolute URL, by its scheme; the host is each side's own."""
    if not isinstance(value, str) or any(character <= " " for character in value):
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    return parts.scheme if parts.scheme and parts.netloc else None


def _integer(value: Any) -> Hashable:
    """A whole number, or a text of one."""
    if type(value) is int or (isinstance(value, str) and _WHOLE.fullmatch(value)):
        return True
    return None


def _token(value: Any) -> Hashable:
    """An opaque text by its alphabet and length; of a JWT only that it is one, for its length varies."""
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        return None
    return "jwt" if _JWT.fullmatch(value) else (bool(_HEX.fullmatch(value)), len(value))


def _text(value: Any) -> Hashable:
    """Any text but none at all, or what programs write where they have none."""
    return True if isinstance(value, str) and value.strip().lower() not in _NOTHING else None


_NOTHING = frozenset({"", "null", "none", "nil", "undefined", "nan", "[object object]"})

SHAPES: Mapping[str, Callable[[Any], Hashable]] = {
    "time": _time,
    "uuid": _uuid,
    "url": _url,
    "integer": _integer,
    "token": _token,
    "text": _text,
}
"""What a value's shape is, or None where it does not have it."""
