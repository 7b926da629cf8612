"""The statements of a repair: each applies only while the target's row is still what was read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import frexp, isfinite

from dual_write import postgresql_rows, sqlite_rows
from dual_write.check_result import shown_key
from dual_write.digest_keys import Key
from dual_write.names import quote, table_name
from dual_write.rows import TypeName

_WITHOUT_EQUALITY = frozenset({"json", "xml", "point", "path", "polygon"})


class Action(StrEnum):
    """What a statement does to its row."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    ASIDE = "set aside"


@dataclass(frozen=True, slots=True)
class Statement:
    """One row's repair. ``sql`` takes ``values`` and returns a row when it applied.

    ``script`` is the same as a complete statement, ``undo`` one that takes the repair back, under the same
    condition. Those of one ``circle``, unless it is 0, are carried out together or not at all.
    """

    table: str
    action: Action
    key: Key
    columns: tuple[str, ...]
    sql: str
    values: tuple[object, ...]
    script: str
    undo: str
    circle: int = 0

    def __str__(self) -> str:
        """What it does, without the row's values."""
        changed = f" ({', '.join(self.columns)})" if self.action in {Action.UPDATE, Action.ASIDE} else ""
        return f"{self.action} {self.table} {shown_key(self.key)}{changed}"


@dataclass(frozen=True, slots=True)
class Table:
    """The target's table: all its columns that can be written to, and its key."""

    name: str
    postgresql: bool
    types: Mapping[str, TypeName]
    key: tuple[str, ...]

    @property
    def sql(self) -> str:
        return table_name(self.name) if self.postgresql else quote(self.name)

    def selected(self) -> str:
        """The columns in the form in which ``Statement`` compares and writes them."""
        return ", ".join(f"{quote(name)}::text" if self.postgresql else quote(name) for name in self.types)

    def insert(self, key: Key, row: Mapping[str, object]) -> Statement:
        return Statement(
            self.name,
            Action.INSERT,
            key,
            tuple(row),
            f"{self._inserted(row, ['?'] * len(row))} RETURNING 1",
            tuple(row.values()),
            f"{self._inserted(row, self._literals(row))};",
            f"DELETE FROM {self.sql} WHERE {self._literally(row)};",
        )

    def delete(self, key: Key, row: Mapping[str, object]) -> Statement:
        return Statement(
            self.name,
            Action.DELETE,
            key,
            tuple(row),
            f"DELETE FROM {self.sql} WHERE {self._unchanged(row)} RETURNING 1",
            self._compared(row),
            f"DELETE FROM {self.sql} WHERE {self._literally(row)};",
            f"{self._inserted(row, self._literals(row))};",
        )

    def update(self, key: Key, found: Mapping[str, object], wanted: Mapping[str, object]) -> Statement:
        """``found`` is the whole row, ``wanted`` the columns to set."""
        old = {name: found[name] for name in wanted}
        assigned = ", ".join(f"{quote(name)} = {self._typed(name, '?')}" for name in wanted)
        return Statement(
            self.name,
            Action.UPDATE,
            key,
            tuple(wanted),
            f"UPDATE {self.sql} SET {assigned} WHERE {self._unchanged(found)} RETURNING 1",
            (*wanted.values(), *self._compared(found)),
            f"UPDATE {self.sql} SET {self._assigned(wanted)} WHERE {self._literally(found)};",
            f"UPDATE {self.sql} SET {self._assigned(old)} WHERE {self._literally({**found, **wanted})};",
        )

    def aside(self, key: Key, found: Mapping[str, object], values: Mapping[str, object]) -> Statement:
        """Give the row's unique values free for others, until it gets its own."""
        return replace(self.update(key, found, values), action=Action.ASIDE)

    def _inserted(self, row: Mapping[str, object], values: Sequence[str]) -> str:
        overriding = " OVERRIDING SYSTEM VALUE" if self.postgresql else ""
        typed = ", ".join(self._typed(name, value) for name, value in zip(row, values, strict=True))
        return (
            f"INSERT INTO {self.sql} ({', '.join(map(quote, row))}){overriding} VALUES ({typed}) "
            f"ON CONFLICT ({', '.join(map(quote, self.key))}) DO NOTHING"
        )

    def _assigned(self, values: Mapping[str, object]) -> str:
        pairs = zip(values, self._literals(values), strict=True)
        return ", ".join(f"{quote(name)} = {self._typed(name, literal)}" for name, literal in pairs)

    def _literals(self, row: Mapping[str, object]) -> list[str]:
        return [self._literal(value) for value in row.values()]

    def _typed(self, name: str, value: str) -> str:
        return f"{value}::text::{self.types[name].cast}" if self.postgresql else value

    def _unchanged(self, row: Mapping[str, object]) -> str:
        """The key by its index, then every column bit by bit."""
        keys = [f"{quote(name)} = {self._typed(name, '?')}" for name in self.key]
        return " AND ".join((*keys, *(self._is(name, "?") for name in row)))

    def _compared(self, row: Mapping[str, object]) -> tuple[object, ...]:
        return (*(row[name] for name in self.key), *row.values())

    def _literally(self, row: Mapping[str, object]) -> str:
        """As ``_unchanged``, for values that may read otherwise once they are stored, as 1.50 for 1.5."""
        keys = [f"{quote(name)} = {self._typed(name, self._literal(row[name]))}" for name in self.key]
        return " AND ".join(
            (*keys, *(self._equals(name, self._literal(value)) for name, value in row.items()))
        )

    def _equals(self, name: str, literal: str) -> str:
        if self.postgresql and self.types[name].base not in _WITHOUT_EQUALITY:
            return f"{quote(name)} IS NOT DISTINCT FROM {self._typed(name, literal)}"
        return self._is(name, literal)

    def _is(self, name: str, value: str) -> str:
        if self.postgresql:
            return f"{quote(name)}::text IS NOT DISTINCT FROM {value}::text"
        return f"{quote(name)} COLLATE BINARY IS {value}"

    def _literal(self, value: object) -> str:
        if value is None:
            return "NULL"
        # PostgreSQL's values are all texts.
        return postgresql_rows.literal(str(value)) if self.postgresql else _sqlite_literal(value)


def _sqlite_literal(value: object) -> str:
    match value:
        case str() if "\0" in value:
            return f"CAST(x'{value.encode().hex()}' AS TEXT)"
        case str():
            return sqlite_rows.text(value)
        case bytes():
            return f"x'{value.hex()}'"
        case float():
            return _real(value)
        case _:
            return str(value)


def _real(value: float) -> str:
    """SQL for exactly this number: not every SQLite reads every decimal as the float nearest to it."""
    if not isfinite(value):
        return "9e999" if value > 0 else "-9e999"
    fraction, exponent = frexp(value)
    mantissa, exponent = int(fraction * 2**53), exponent - 53
    # Multiplying and dividing by powers of two rounds nothing.
    factor = "*" if exponent > 0 else "/"
    steps = [2**30] * (abs(exponent) // 30) + [2 ** (abs(exponent) % 30)]
    return f"({mantissa}.0{''.join(f'{factor}{step}.0' for step in steps)})"
