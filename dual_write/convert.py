"""Values on their way between engines: pure functions chosen by the declared types.

Between two databases of one engine a value travels as it is. PostgreSQL's raw form is its own text output,
SQLite's are the driver's values. What cannot be carried exactly fails closed: SchemaError when the types
say so, ValueError (which parks the row) when a single value does.
"""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time

from dual_write.errors import SchemaError
from dual_write.rows import TypeName

Converter = Callable[[object], object]

_INTEGERS = frozenset({"int2", "int4", "int8", "oid"})
_FLOATS = frozenset({"float4", "float8"})
_TEXTS = frozenset({"text", "varchar", "bpchar", "name", "citext", "enum"})
_JSON = frozenset({"json", "jsonb"})
_CARRIED = (
    _INTEGERS
    | _FLOATS
    | _TEXTS
    | _JSON
    | {"bool", "numeric", "bytea", "uuid", "date", "time", "timestamp", "timestamptz"}
)


def converter(
    source: str, source_type: TypeName, target: str, target_type: TypeName, column: str
) -> Converter:
    """The function for a column's values other than NULL. Raises SchemaError for a type it cannot carry."""
    if source == target:
        return as_it_is
    postgresql = source_type if source == "postgresql" else target_type
    if postgresql.base not in _CARRIED:
        raise SchemaError(
            f"column {column!r}: PostgreSQL's type {postgresql.base} has no exact counterpart in SQLite; "
            'map it with {sql = "…"} to a type that both have, or `drop` it'
        )
    if target == "postgresql":
        return _TO_POSTGRESQL.get(postgresql.base, _text)
    if postgresql.base == "uuid" and target_type.base.replace(" ", "") == "char(32)":
        return _bare_uuid
    return _FROM_POSTGRESQL.get(postgresql.base, as_it_is)


def as_it_is(value: object) -> object:
    return value


def _text(value: object) -> object:
    if isinstance(value, bytes):
        raise ValueError("a blob stands where the other side needs text")
    return repr(value) if isinstance(value, float) else str(value)


def _boolean(value: object) -> object:
    match value:
        case 0 | 1:
            return "true" if value else "false"
        case str() if value.lower() in {"true", "false", "t", "f", "0", "1"}:
            return value
        case _:
            raise ValueError("a value is neither true nor false")


def _integer(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return _text(value)


def _bytes(value: object) -> object:
    if not isinstance(value, bytes):
        raise ValueError("text or a number stands where the other side needs bytes")
    return "\\x" + value.hex()


def _uuid(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else _text(value)


def _moment(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("a number stands where the other side needs a date or time")
    return value


_TO_POSTGRESQL: Mapping[str, Converter] = {
    "bool": _boolean,
    **dict.fromkeys(_INTEGERS, _integer),
    "bytea": _bytes,
    "uuid": _uuid,
    **dict.fromkeys(("date", "time", "timestamp", "timestamptz"), _moment),
}


def _to_flag(value: object) -> object:
    return 1 if str(value) in {"t", "true"} else 0


def _to_integer(value: object) -> object:
    return int(str(value))


def _to_float(value: object) -> object:
    number = float(str(value))
    if math.isnan(number):
        raise ValueError("SQLite has no NaN")
    return number


def _to_bytes(value: object) -> object:
    return bytes.fromhex(str(value).removeprefix("\\x"))


def _to_timestamp(value: object) -> object:
    moment = datetime.fromisoformat(str(value))
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(sep=" ", timespec="microseconds")


def _to_time(value: object) -> object:
    return time.fromisoformat(str(value)).isoformat(timespec="microseconds")


def _bare_uuid(value: object) -> object:
    return str(value).replace("-", "")


_FROM_POSTGRESQL: Mapping[str, Converter] = {
    "bool": _to_flag,
    **dict.fromkeys(_INTEGERS, _to_integer),
    **dict.fromkeys(_FLOATS, _to_float),
    "bytea": _to_bytes,
    "time": _to_time,
    "timestamp": _to_timestamp,
    "timestamptz": _to_timestamp,
}
