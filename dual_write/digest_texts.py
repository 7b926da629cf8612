"""Between PostgreSQL and SQLite: texts that both make of a column's values, compared many rows at a time.

Equal texts vouch for equal values. Unequal ones say nothing, since one value may be written in several ways:
then the rows themselves are compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dual_write.canonical import Kind
from dual_write.digest_types import Declared

# Characters that join values, that stand for NULL, and for a value without a text that says all of it.
_NEXT, _NULL, _UNTOLD = "\x1e", "\x1d", "\x1c"

# SQLite orders numbers before text, and text before blobs: the ends tell which types there are.
_NO_BLOB = "typeof(max({0})) IN ('text', 'null')"
_TEXT_ALONE = f"{_NO_BLOB} AND typeof(min({{0}})) IN ('text', 'null')"
_WHOLE = "typeof(max({0})) IN ('integer', 'null')"
_BLOB_ALONE = "typeof(min({0})) IN ('blob', 'null')"

# A float is told by its whole part and 62 bits of what follows the point, unless that needs more bits.
_FRACTION = "4611686018427387904.0"
_TINY = "BETWEEN -0.002 AND 0.002"
_LARGEST = "1000000000000000"
# A decimal of up to fifteen digits is the only one so short that its float stands for.
_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Text:
    """SQL for a value's text on both sides, over a column ``{0}``.

    ``vouched`` is a condition over many of SQLite's values, without which their texts say nothing.
    ``spoken``: a value can be any text, also the one that stands for NULL.
    """

    postgresql: str
    sqlite: str = "{0}"
    vouched: str = "1"

    @property
    def spoken(self) -> bool:
        return self.vouched in {_NO_BLOB, _TEXT_ALONE}


def text_of(kind: Kind, postgresql: Declared, sqlite: Declared) -> Text | None:
    """How a pair of columns is told by text; None where the two types agree on none."""
    if kind is Kind.NUMERIC:
        alike = postgresql.kind is Kind.NUMERIC and sqlite.scale is not None and sqlite.scale < _DIGITS
        return _decimal(sqlite.scale or 0) if alike else None
    if kind in {Kind.TEXT, Kind.PADDED}:
        # Only a column that turns numbers into text makes text and number alike.
        return _CHARACTERS.get(kind) if sqlite.kind is Kind.TEXT else None
    if kind is Kind.UUID:
        if postgresql.kind is not Kind.UUID or sqlite.kind is Kind.BYTES:
            return None
        return Text("replace({0}::text, '-', '')" if sqlite.width == 32 else "{0}::text", vouched=_NO_BLOB)
    return _TEXTS.get(kind) if postgresql.kind is kind else None


def aggregates(texts: Sequence[Text], *, postgresql: bool) -> str:
    """The SELECT list over columns c0, c1 …: the number of rows, then three values for each column."""
    joined = "string_agg(coalesce({1}, chr(29)), chr(30))" if postgresql else _SQLITE_JOINED
    parts = ["count(*)"]
    for number, text in enumerate(texts):
        name = f"c{number}"
        value = (text.postgresql if postgresql else text.sqlite).format(name)
        parts.append(joined.format(name, value))
        parts.append(f"count({name})" if text.spoken else "NULL")
        parts.append("1" if postgresql else text.vouched.format(name))
    return ", ".join(parts)


def agreement(source: Sequence[Any], target: Sequence[Any], most: int) -> bool:
    """Whether two answers to `aggregates` prove the rows equal; ``most`` may have been aggregated."""
    if tuple(source) != tuple(target) or source[0] > most:
        return False
    rows = source[0]
    columns = zip(source[1::3], source[2::3], source[3::3], strict=True)
    return rows == 0 or all(vouched and _told(text, rows, held) for text, held, vouched in columns)


def _told(text: str, rows: int, held: int | None) -> bool:
    """No value contains what joins values or stands for one, so that the text can be read in one way only."""
    return (
        text.count(_NEXT) == rows - 1
        and _UNTOLD not in text
        and (held is None or text.count(_NULL) == rows - held)
    )


def _decimal(scale: int) -> Text:
    power = 10**scale
    whole = f"CAST(round({{0}} * {power}.0) AS INTEGER)"
    return Text(
        f"CASE WHEN abs({{0}}) < {10 ** (_DIGITS - scale)} AND {{0}} = round({{0}}, {scale}) "
        f"THEN ({{0}} * {power})::bigint::text {_ELSE}",
        f"CASE WHEN {whole} / {power}.0 = {{0}} THEN {whole} {_ELSE_SQLITE}",
    )


_SQLITE_JOINED = "group_concat(ifnull({1}, char(29)), char(30))"
_ELSE = "WHEN {0} IS NOT NULL THEN chr(28) END"
_ELSE_SQLITE = "WHEN {0} IS NOT NULL THEN char(28) END"
_CHARACTERS = {
    Kind.TEXT: Text("{0}::text", vouched=_NO_BLOB),
    Kind.PADDED: Text("rtrim({0}::text, ' ')", "rtrim({0}, ' ')", _NO_BLOB),
}
_TEXTS = {
    Kind.INTEGER: Text("{0}::int8::text", vouched=_WHOLE),
    Kind.BOOLEAN: Text("{0}::int::text", vouched=_WHOLE),
    Kind.FLOAT: Text(
        f"CASE WHEN abs({{0}}) < {_LARGEST} AND ({{0}} NOT {_TINY} OR {{0}} = 0) THEN trunc({{0}})::int8 "
        f"|| '.' || (({{0}} - trunc({{0}})) * {_FRACTION}::float8)::int8 {_ELSE}",
        f"CASE WHEN typeof({{0}}) = 'real' AND ({{0}} NOT {_TINY} OR {{0}} = 0) THEN CAST({{0}} AS INTEGER) "
        f"|| '.' || CAST(({{0}} - CAST({{0}} AS INTEGER)) * {_FRACTION} AS INTEGER) {_ELSE_SQLITE}",
    ),
    # SQLite's hex makes an empty text of NULL.
    Kind.BYTES: Text("upper(encode({0}, 'hex'))", "CASE WHEN {0} IS NOT NULL THEN hex({0}) END", _BLOB_ALONE),
    Kind.TIMESTAMP: Text(
        "CASE WHEN {0} >= '0001-01-01' AND {0} < '10000-01-01' "
        f"THEN to_char({{0}}, 'YYYY-MM-DD HH24:MI:SS.US') {_ELSE}",
        vouched=_NO_BLOB,
    ),
    Kind.DATE: Text(
        "CASE WHEN {0} >= '0001-01-01' AND {0} < '10000-01-01' "
        f"THEN to_char({{0}}, 'YYYY-MM-DD') {_ELSE}",
        vouched=_NO_BLOB,
    ),
    Kind.TIME: Text(
        f"CASE WHEN {{0}} < '24:00' THEN to_char({{0}}, 'HH24:MI:SS.US') {_ELSE}", vouched=_NO_BLOB
    ),
    Kind.JSON: Text("{0}::text", vouched=_TEXT_ALONE),
}
