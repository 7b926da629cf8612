"""What binds a table's rows to each other in its database, and values that set a row aside meanwhile."""

from collections.abc import Mapping
from secrets import randbelow, token_hex

import sqlalchemy as sa

from dual_write.names import located
from dual_write.repair_order import Change, Ties, Values
from dual_write.rows import TypeName

_WHOLE_NUMBERS = {"integer", "int", "bigint", "smallint", "int2", "int4", "int8", "numeric"}
_TEXTS = {"text", "varchar", "character varying", "citext"}
# Fits smallint.
_LOWEST = -32_768


def ties(engine: sa.Engine, table: str) -> Ties:
    """The unique columns of a table, and its references to itself."""
    where = located(engine.dialect.name, table)
    inspector = sa.inspect(engine)
    unique = {tuple(each["column_names"]) for each in inspector.get_unique_constraints(*where)}
    unique |= {
        tuple(name for name in each["column_names"] if name is not None)
        for each in inspector.get_indexes(*where)
        if each["unique"]
    }
    return Ties(
        sorted(columns for columns in unique if columns),
        [
            (tuple(each["constrained_columns"]), tuple(each["referred_columns"]))
            for each in inspector.get_foreign_keys(*where)
            if (each["referred_table"], each["referred_schema"]) == where
        ],
        frozenset(each["name"] for each in inspector.get_columns(*where) if each["nullable"]),
    )


def aside(change: Change, bound: Ties, types: Mapping[str, TypeName]) -> Values:
    """For each unique value that the row is to change, one that no row has; empty where none is known."""
    if change.found is None or change.wanted is None:
        return {}
    values: dict[str, object] = {}
    for columns in bound.unique:
        changed = [column for column in columns if column in change.wanted]
        if not changed or values.keys() & {*changed}:
            continue
        free = next((column for column in changed if column in bound.nullable), None)
        if free is not None:
            values[free] = None
            continue
        for column in changed:
            base = types[column].base.lower()
            if base in _WHOLE_NUMBERS:
                values[column] = _like(change.found[column], _LOWEST + randbelow(-_LOWEST))
                break
            if base in _TEXTS:
                values[column] = token_hex(8)
                break
    return values


def _like(found: object, number: int) -> object:
    """In the form that the database delivers: PostgreSQL's values are all texts."""
    return str(number) if isinstance(found, str) else number
