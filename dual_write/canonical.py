"""One form for equal values: what two databases store differently but mean alike becomes the same bytes.

`normal` reads what a driver delivers as the logical value its kind demands; `encode` turns that value into
bytes, injectively. A value that does not fit its kind (text in an integer column of SQLite) stays as it is,
and so equals nothing but itself.
"""

import json
import re
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from math import isfinite, nan, ulp
from typing import NamedTuple
from uuid import UUID

EPOCH = datetime(2000, 1, 1)  # noqa: DTZ001 - PostgreSQL counts from here; every instant is UTC by now
_MICROSECOND = timedelta(microseconds=1)
_TIMESTAMP = re.compile(
    r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?: ?(?:Z|[+-]\d\d(?::?\d\d)?))?)?", re.ASCII
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(r"\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?", re.ASCII)
_UUID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
# How far arithmetic may have carried a float from the decimal it stands for, in units of its last place.
_DECIMAL_NOISE_ULPS = 4


class Kind(StrEnum):
    """What a pair of columns means, whatever each side stores it as."""

    INTEGER = "integer"
    NUMERIC = "numeric"
    FLOAT = "float"
    SINGLE = "single"  # a float of four bytes on at least one side: all that both can hold
    TEXT = "text"
    PADDED = "padded text"  # char(n) on at least one side: trailing blanks mean nothing
    BYTES = "bytes"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"  # without a zone: read as UTC
    DATE = "date"
    TIME = "time"
    JSON = "json"
    UUID = "uuid"
    DYNAMIC = "dynamic"  # SQLite without a declared type: the stored value is its own kind
    OPAQUE = "opaque"  # the same PostgreSQL type on both sides, compared by its text as a dump would carry it


class Moment(NamedTuple):
    """Microseconds since 2000-01-01 UTC; PostgreSQL's ±infinity are the ends of 64 bits."""

    microseconds: int

    def __str__(self) -> str:
        try:
            return f"{EPOCH + timedelta(microseconds=self.microseconds)}Z"
        except OverflowError:
            return f"2000-01-01 {self.microseconds:+} microseconds"


class Day(NamedTuple):
    """Days since 2000-01-01."""

    days: int

    def __str__(self) -> str:
        try:
            return str(EPOCH.date() + timedelta(days=self.days))
        except OverflowError:
            return f"2000-01-01 {self.days:+} days"


class Clock(NamedTuple):
    """Microseconds since midnight."""

    microseconds: int

    def __str__(self) -> str:
        return str(timedelta(microseconds=self.microseconds))


class Json(NamedTuple):
    """A JSON document in canonical text: keys sorted, numbers exact and without trailing zeros."""

    text: str


Value = None | int | float | Decimal | str | bytes | UUID | Moment | Day | Clock | Json


def normal(kind: Kind, value: object, scale: int | None = None) -> Value:
    """The logical value of what a driver delivered.

    ``scale``: the digits after the point that a column declares which can only store floats for decimals.
    Raises TypeError for an object no column can hold.
    """
    if value is None:
        return None
    if isinstance(value, bool):
        value = int(value)
    elif isinstance(value, (bytearray, memoryview)):
        value = bytes(value)
    if kind is Kind.NUMERIC and isinstance(value, float):
        return _decimal(value, scale)
    reader = _READERS.get(kind)
    read = reader(value) if reader else None
    if read is not None:
        return read
    if isinstance(value, (int, float, Decimal, str, bytes, UUID, Moment, Day, Clock, Json)):
        return value
    raise TypeError(f"a {type(value).__name__} has no canonical form")


def encode(value: Value) -> bytes:
    """The bytes of a logical value: equal exactly when the values are."""
    return _ENCODERS[type(value)](value)


def canonical(kind: Kind, value: object, scale: int | None = None) -> bytes:
    """`encode` of `normal`."""
    return encode(normal(kind, value, scale))


def _integer(value: object) -> int | None:
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return int(value)
    return None


def _decimal(value: float, scale: int | None) -> Decimal:
    if isfinite(value) and value.is_integer():
        return Decimal(int(value))
    exact = Decimal(repr(value))
    if scale is None or not isfinite(value):
        return exact
    meant = Decimal(f"{value:.{scale}f}")
    return meant if abs(float(meant) - value) <= _DECIMAL_NOISE_ULPS * ulp(value) else exact


def _numeric(value: object) -> int | Decimal | None:
    return value if isinstance(value, (int, Decimal)) else None


def _float(value: object) -> float | None:
    if isinstance(value, bytes) and len(value) == 8:
        return float(struct.unpack(">d", value)[0])
    if isinstance(value, (int, float, Decimal)):
        return float(value)
    return None


def _single(value: object) -> float | None:
    wide = _float(value)
    if wide is None:
        return None
    try:
        return float(struct.unpack(">f", struct.pack(">f", wide))[0])
    except OverflowError:
        return wide


def _text(value: object) -> str | None:
    if isinstance(value, int):
        return str(value)
    return value if isinstance(value, str) else None


def _padded(value: object) -> str | None:
    text = _text(value)
    return None if text is None else text.rstrip(" ")


def _timestamp(value: object) -> Moment | None:
    if isinstance(value, bytes) and len(value) == 8:
        return Moment(int.from_bytes(value, signed=True))
    if isinstance(value, str) and _TIMESTAMP.fullmatch(value):
        try:
            value = datetime.fromisoformat(value.replace(" +", "+").replace(" -", "-").replace(" Z", "Z"))
        except ValueError:
            return None
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            value = value.astimezone(UTC).replace(tzinfo=None)
        return Moment((value - EPOCH) // _MICROSECOND)
    return None


def _date(value: object) -> Day | None:
    if isinstance(value, bytes) and len(value) == 4:
        return Day(int.from_bytes(value, signed=True))
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, date) and not isinstance(value, datetime):
        return Day((value - EPOCH.date()).days)
    return None


def _time(value: object) -> Clock | None:
    if isinstance(value, bytes) and len(value) == 8:
        return Clock(int.from_bytes(value, signed=True))
    if isinstance(value, str) and _TIME.fullmatch(value):
        try:
            value = time.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, time) and value.tzinfo is None:
        return Clock((datetime.combine(EPOCH, value) - EPOCH) // _MICROSECOND)
    return None


def _uuid(value: object) -> UUID | None:
    if isinstance(value, UUID):
        return value
    if isinstance(value, bytes) and len(value) == 16:
        return UUID(bytes=value)
    return UUID(value) if isinstance(value, str) and _UUID.fullmatch(value) else None


def _json(value: object) -> Json | None:
    if isinstance(value, (int, float)):
        # SQLite's numeric affinity stores a document that is one number as that number.
        return Json(_json_text(Decimal(repr(value)) if isinstance(value, float) else Decimal(value)))
    if not isinstance(value, str):
        return None
    try:
        return Json(
            _json_text(json.loads(value, parse_float=Decimal, parse_int=Decimal, parse_constant=Decimal))
        )
    except (ValueError, RecursionError):
        return None


def _json_text(value: object) -> str:
    if isinstance(value, dict):
        members = (f"{json.dumps(name)}:{_json_text(member)}" for name, member in sorted(value.items()))
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_json_text, value)) + "]"
    return _digits(value) if isinstance(value, Decimal) else json.dumps(value)


def _digits(value: int | Decimal) -> str:
    number = Decimal(value)
    if not number.is_finite():
        return str(number)
    sign, digits, exponent = number.as_tuple()
    # Not Decimal.normalize: it rounds to the context's precision.
    written = "".join(map(str, digits)).lstrip("0")
    kept = written.rstrip("0")
    if not kept:
        return "0"
    return f"{'-' * sign}{kept}e{int(exponent) + len(written) - len(kept)}"


def _float_bytes(value: float) -> bytes:
    return struct.pack(">d", nan if value != value else value)  # noqa: PLR0124 - every NaN is one value


_READERS: Mapping[Kind, Callable[[object], Value]] = {
    Kind.INTEGER: _integer,
    Kind.BOOLEAN: _integer,
    Kind.NUMERIC: _numeric,
    Kind.FLOAT: _float,
    Kind.SINGLE: _single,
    Kind.TEXT: _text,
    Kind.PADDED: _padded,
    Kind.TIMESTAMP: _timestamp,
    Kind.DATE: _date,
    Kind.TIME: _time,
    Kind.UUID: _uuid,
    Kind.JSON: _json,
}

# Any: each entry takes the type that it is filed under.
_ENCODERS: Mapping[type, Callable[..., bytes]] = {
    type(None): lambda _: b"\0",
    int: lambda value: b"n" + _digits(value).encode(),
    Decimal: lambda value: b"n" + _digits(value).encode(),
    float: lambda value: b"f" + _float_bytes(value),
    str: lambda value: b"s" + value.encode("utf-8", "surrogateescape"),
    bytes: lambda value: b"b" + value,
    UUID: lambda value: b"u" + value.bytes,
    Moment: lambda value: b"t" + str(value.microseconds).encode(),
    Day: lambda value: b"d" + str(value.days).encode(),
    Clock: lambda value: b"c" + str(value.microseconds).encode(),
    Json: lambda value: b"j" + value.text.encode(),
}
