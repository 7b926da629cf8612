"""Key texts: how a change log names a row, injectively, as a JSON array of typed values.

PostgreSQL writes its own (``jsonb_build_array``); the form that SQLite's triggers write has integers as
numbers, text as strings, blobs as ``{"blob": hex}``, floats as ``{"real": digits}``. What writes the text is
always the database, so that the same row has the same text whoever logs it.
"""

import json
import math
from collections.abc import Sequence

Value = int | float | str | bytes | None

# PostgreSQL's types whose JSON is one value, from which the type's input function makes the same value again.
_PLAIN = frozenset(
    {
        "int2",
        "int4",
        "int8",
        "numeric",
        "float4",
        "float8",
        "oid",
        "bool",
        "text",
        "varchar",
        "bpchar",
        "name",
    }
    | {"uuid", "enum", "date", "time", "timestamp"}
)
_STABLE = {
    "timestamptz": "({0} AT TIME ZONE 'UTC')",
    "bytea": "('\\x' || encode({0}, 'hex'))",
    # Its three parts: months, days and microseconds are not converted into each other.
    "interval": "((extract(year FROM {0}) * 12 + extract(month FROM {0}))::bigint || ' mons ' || "
    "extract(day FROM {0})::bigint || ' days ' || (extract(hour FROM {0}) * 3600000000 + "
    "extract(minute FROM {0}) * 60000000 + extract(microseconds FROM {0}))::bigint || ' us')",
}


def encode(values: Sequence[Value]) -> str:
    """The key text of ``values``, as SQLite's triggers write it for all but the digits of a float."""
    return "[" + ",".join(_encode(value) for value in values) + "]"


def decode(key: str) -> tuple[Value, ...]:
    """The values behind a key text. Raises ValueError when it is none."""
    parsed = json.loads(key)
    if not isinstance(parsed, list):
        raise ValueError(f"not a key: {key!r}")
    return tuple(_decode(item) for item in parsed)


def sqlite_expression(row: str, columns: Sequence[str]) -> str:
    """SQL for the key text of ``row`` (``NEW``, ``OLD`` or a table's alias); ``columns`` come quoted."""
    return "'[' || " + " || ',' || ".join(_expression(f"{row}.{column}") for column in columns) + " || ']'"


def postgresql_expression(values: Sequence[str], types: Sequence[str]) -> str:
    """SQL for a key text that does not depend on the settings of the session that writes it.

    ``types``: those of ``values``, by PostgreSQL's own names (``int8``, ``timestamptz``).
    """
    parts = [
        _STABLE.get(type_, "{0}" if type_ in _PLAIN else "({0})::text").format(value)
        for value, type_ in zip(values, types, strict=True)
    ]
    return f"jsonb_build_array({', '.join(parts)})::text"


def _expression(value: str) -> str:
    return (
        f"CASE typeof({value}) WHEN 'integer' THEN CAST({value} AS TEXT) "
        f"WHEN 'text' THEN json_quote({value}) "
        f"WHEN 'blob' THEN '{{\"blob\":\"' || hex({value}) || '\"}}' "
        f"WHEN 'real' THEN '{{\"real\":\"' || printf('%!.20e', {value}) || '\"}}' ELSE 'null' END"
    )


def _encode(value: Value) -> str:
    if isinstance(value, bytes):
        return json.dumps({"blob": value.hex().upper()}, separators=(",", ":"))
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value!r} cannot be part of a key")
        return json.dumps({"real": repr(value)}, separators=(",", ":"))
    return json.dumps(value, ensure_ascii=False)


def _decode(item: object) -> Value:
    match item:
        case {"blob": str(digits)}:
            return bytes.fromhex(digits)
        case {"real": str(digits)}:
            return float(digits)
        case None | int() | str():
            return item
        case _:
            raise ValueError(f"not a key value: {item!r}")
