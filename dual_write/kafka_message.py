"""Messages: what Kafka carries, as bytes. ``docs/reference/change-message.md`` tells other programs the same.

A message says which row changed, as of which version, and what the row is; a watermark says that everything
up to a place in the change log was sent. Decoding gives back exactly what was encoded.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from dual_write.errors import SchemaError

SCHEMA = 1
WATERMARK_KEY = b"[]"

# Numbers beyond are not the same in every language's JSON (RFC 7493, section 2.2).
_EXACT = 2**53 - 1
_SPECIAL = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}


class Kind(StrEnum):
    """What became of a row; OMITTED is one that is too large for the broker, to be read at the source."""

    UPSERT = "upsert"
    DELETE = "delete"
    TRUNCATE = "truncate"
    OMITTED = "omitted"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a message comes from. Those of another session, and of an older epoch, are passed over."""

    stream: str
    session: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Message:
    """One key's state. ``seq`` is the newest log entry it stands for, ``entries`` how many it stands for.

    ``row`` holds the target's columns in the ``source`` engine's raw values; ``read_at`` is RFC 3339, UTC.
    """

    origin: Origin
    kind: Kind
    table: str
    key: str
    seq: int
    entries: int
    row: Mapping[str, object] | None
    source: str
    read_at: str


@dataclass(frozen=True, slots=True)
class Watermark:
    """All of the log up to (``xid``, ``id``) was sent before this, ``passed`` entries in all.

    ``floor``: entries up to this number were applied by a drain and not sent.
    """

    origin: Origin
    floor: int
    xid: int
    id: int
    passed: int
    sent_at: str


def message_key(table: str, key: str) -> bytes:
    """By which Kafka chooses the partition, and compacts. A whole table has an empty ``key``."""
    return orjson.dumps([table, key] if key else [table])


def encode(message: Message) -> bytes:
    value = {
        "schema": SCHEMA,
        "type": message.kind,
        **_origin_fields(message.origin),
        "seq": message.seq,
        "entries": message.entries,
        "table": message.table,
        "key": message.key or None,
        "source": message.source,
        "read_at": message.read_at,
    }
    if message.row is not None:
        value["row"] = {name: _encoded(column) for name, column in message.row.items()}
    return orjson.dumps(value)


def encode_watermark(mark: Watermark) -> bytes:
    place = {"floor": mark.floor, "xid": mark.xid, "id": mark.id, "passed": mark.passed}
    value = {"schema": SCHEMA, "type": "watermark", **_origin_fields(mark.origin), **place}
    return orjson.dumps({**value, "sent_at": mark.sent_at})


def decode(value: bytes | None) -> Message | Watermark | None:
    """The message behind the bytes, None when they are none of ours.

    Raises SchemaError for one that a newer version wrote: to pass it over would be to lose a change.
    """
    try:
        fields = orjson.loads(value or b"")
        schema = fields["schema"]
        if not isinstance(schema, int):
            return None
        if schema <= SCHEMA:
            return _message(fields)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    raise SchemaError(
        f"the topic holds messages of schema {schema}, and this program knows up to {SCHEMA}: "
        "bring every `strangler relay` to the same version"
    )


def _message(fields: dict[str, Any]) -> Message | Watermark:
    origin = Origin(str(fields["stream"]), str(fields["session"]), int(fields["epoch"]))
    if fields["type"] == "watermark":
        floor, xid, number, passed = (int(fields[name]) for name in ("floor", "xid", "id", "passed"))
        return Watermark(origin, floor, xid, number, passed, str(fields["sent_at"]))
    kind = Kind(fields["type"])
    row = fields["row"] if kind is Kind.UPSERT else None
    return Message(
        origin,
        kind,
        str(fields["table"]),
        fields["key"] or "",
        int(fields["seq"]),
        int(fields["entries"]),
        row and {name: _decoded(column) for name, column in row.items()},
        str(fields["source"]),
        str(fields["read_at"]),
    )


def _origin_fields(origin: Origin) -> dict[str, Any]:
    return {"stream": origin.stream, "session": origin.session, "epoch": origin.epoch}


def _encoded(value: object) -> object:
    match value:
        case int() if abs(value) > _EXACT:
            return {"integer": str(value)}
        case float():
            special = next((name for name, number in _SPECIAL.items() if repr(number) == repr(value)), None)
            return {"real": special or repr(value)}
        case bytes():
            return {"blob": value.hex().upper()}
        case _:
            return value


def _decoded(value: object) -> object:
    match value:
        case {"integer": str(digits)}:
            return int(digits)
        case {"real": str(digits)}:
            return _SPECIAL[digits] if digits in _SPECIAL else float(digits)
        case {"blob": str(digits)}:
            return bytes.fromhex(digits)
        case None | int() | str():
            return value
        case _:
            raise ValueError(f"not a column's value: {value!r}")
