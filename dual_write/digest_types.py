"""What a pair of columns means: from the types that both sides declare to the kind they are compared as."""

from collections.abc import Mapping
from dataclasses import dataclass

from dual_write.canonical import Kind
from dual_write.errors import SchemaError

_POSTGRESQL: Mapping[str, Kind] = {
    "smallint": Kind.INTEGER,
    "integer": Kind.INTEGER,
    "bigint": Kind.INTEGER,
    "oid": Kind.INTEGER,
    "numeric": Kind.NUMERIC,
    "double precision": Kind.FLOAT,
    "real": Kind.SINGLE,
    "text": Kind.TEXT,
    "character varying": Kind.TEXT,
    "name": Kind.TEXT,
    "citext": Kind.TEXT,
    "character": Kind.PADDED,
    "bytea": Kind.BYTES,
    "boolean": Kind.BOOLEAN,
    "timestamp without time zone": Kind.TIMESTAMP,
    "timestamp with time zone": Kind.TIMESTAMP,
    "date": Kind.DATE,
    "time without time zone": Kind.TIME,
    "json": Kind.JSON,
    "jsonb": Kind.JSON,
    "uuid": Kind.UUID,
}

_SQLITE: Mapping[str, Kind] = {
    "BOOL": Kind.BOOLEAN,
    "BOOLEAN": Kind.BOOLEAN,
    "DATETIME": Kind.TIMESTAMP,
    "TIMESTAMP": Kind.TIMESTAMP,
    "DATE": Kind.DATE,
    "TIME": Kind.TIME,
    "JSON": Kind.JSON,
    "UUID": Kind.UUID,
    "NUMERIC": Kind.NUMERIC,
    "DECIMAL": Kind.NUMERIC,
}

# SQLite's own rules of affinity, in their order: the first that is part of the declared name decides.
_AFFINITIES = (
    ("INT", Kind.INTEGER),
    ("CHAR", Kind.TEXT),
    ("CLOB", Kind.TEXT),
    ("TEXT", Kind.TEXT),
    ("BLOB", Kind.BYTES),
    ("REAL", Kind.FLOAT),
    ("FLOA", Kind.FLOAT),
    ("DOUB", Kind.FLOAT),
)

# Two kinds meet in the one that tells apart all that both sides can hold.
_MEETING: Mapping[frozenset[Kind], Kind] = {
    frozenset(pair): kind
    for *pair, kind in (
        (Kind.BOOLEAN, Kind.INTEGER, Kind.INTEGER),
        (Kind.BOOLEAN, Kind.NUMERIC, Kind.NUMERIC),
        (Kind.INTEGER, Kind.NUMERIC, Kind.NUMERIC),
        (Kind.INTEGER, Kind.FLOAT, Kind.NUMERIC),
        (Kind.INTEGER, Kind.SINGLE, Kind.NUMERIC),
        (Kind.INTEGER, Kind.TEXT, Kind.TEXT),
        (Kind.NUMERIC, Kind.FLOAT, Kind.FLOAT),
        (Kind.NUMERIC, Kind.SINGLE, Kind.SINGLE),
        (Kind.FLOAT, Kind.SINGLE, Kind.SINGLE),
        (Kind.TEXT, Kind.PADDED, Kind.PADDED),
        (Kind.TEXT, Kind.TIMESTAMP, Kind.TIMESTAMP),
        (Kind.TEXT, Kind.DATE, Kind.DATE),
        (Kind.TEXT, Kind.TIME, Kind.TIME),
        (Kind.TEXT, Kind.UUID, Kind.UUID),
        (Kind.PADDED, Kind.UUID, Kind.UUID),
        (Kind.BYTES, Kind.UUID, Kind.UUID),
        (Kind.TEXT, Kind.JSON, Kind.JSON),
        (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMP),
    )
}


COMPUTED = "a function's value"
"""The name of the type of a column that is computed in Python: it is whatever the other side holds."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A column's or an expression's type in its engine's words; ``kind`` is None for one without rules.

    ``scale`` is the number of digits that a decimal column of SQLite promises, ``width`` the length
    a text column does; ``precision`` the digits that a decimal column of PostgreSQL holds at most, and
    ``fixed`` those that it has behind the point, always.
    """

    name: str
    kind: Kind | None
    scale: int | None = None
    width: int | None = None
    precision: int | None = None
    fixed: int | None = None


def postgresql_type(
    name: str, *, enumeration: bool = False, precision: int | None = None, fixed: int | None = None
) -> Declared:
    """From ``format_type``'s name without modifiers."""
    kind = Kind.TEXT if enumeration else _POSTGRESQL.get(name)
    return Declared(name, kind, precision=precision, fixed=fixed)


def sqlite_type(name: str) -> Declared:
    """From the declaration in CREATE TABLE; an expression has none, and ``name`` is empty."""
    words, _, rest = name.upper().partition("(")
    sizes = [int(size) for size in rest.rstrip(") ").split(",") if size.strip().isdigit()]
    base = words.strip()
    kind = _SQLITE.get(base) or next((kind for part, kind in _AFFINITIES if part in base), Kind.DYNAMIC)
    if base.startswith("TIMESTAMP"):
        kind = Kind.TIMESTAMP
    scale = sizes[1] if kind is Kind.NUMERIC and len(sizes) == 2 else None
    return Declared(name, kind, scale, sizes[0] if kind is Kind.TEXT and sizes else None)


def meeting_kind(source: Declared, target: Declared, column: str) -> Kind:
    """The kind that ``column`` is compared as. Raises SchemaError for types that have no common meaning."""
    if source.kind is None and target.kind is None and source.name == target.name:
        return Kind.OPAQUE
    if source.kind is not None and target.kind is not None:
        if source.kind is target.kind or target.kind is Kind.DYNAMIC:
            return source.kind
        if source.kind is Kind.DYNAMIC:
            return target.kind
        met = _MEETING.get(frozenset((source.kind, target.kind)))
        if met is not None:
            return met
    raise SchemaError(
        f"column {column}: {source.name or 'an expression'} and {target.name or 'an untyped column'} have no "
        "common meaning, so a check cannot vouch for it. Give the column an expression with a cast in the "
        'plan, such as {sql = "CAST(… AS text)"}, that ends in the type of the other side.'
    )
