"""Which foreign keys of the monolith cross databases once a phase's tables live at its service.

No plan has to name them: the monolith's schema does, and the mappings say how the columns are called now.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import sqlalchemy as sa

from dual_write.mapping import TableMapping
from dual_write.references import Reference


class Home(NamedTuple):
    """Where a table lives: the phase whose service has it, or None for the monolith."""

    phase: str | None


MONOLITH = Home(None)


@dataclass(frozen=True, slots=True)
class Crossing:
    """A reference whose two tables have different homes."""

    reference: Reference
    child: Home
    parent: Home


@dataclass(frozen=True, slots=True)
class Moved:
    """A table of the monolith as a service owns it, and its columns by the names that the monolith has."""

    home: Home
    monolith: str
    table: str
    columns: Mapping[str, str]


def moved_tables(phase: str, mappings: Sequence[TableMapping]) -> list[Moved]:
    """The tables that the service of ``phase`` owns; those that only follow stay the monolith's."""
    return [
        Moved(
            Home(phase),
            mapping.monolith,
            mapping.service,
            {column.source: column.target for column in mapping.forward if column.source is not None},
        )
        for mapping in mappings
        if not mapping.follow
    ]


def crossings(monolith: sa.Engine, own: Sequence[Moved], elsewhere: Sequence[Moved]) -> list[Crossing]:
    """The references between the tables that a phase moves, its ``own``, and all others. ``elsewhere`` are
    those that other phases' services write already.

    A column that a service does not have under any name is nothing that it could refer by.
    """
    mine = {moved.monolith for moved in own}
    found = []
    for table, columns, parent, parent_columns in foreign_keys(monolith):
        if (table in mine) is (parent in mine):
            continue  # both are the service's own business, or none is this phase's
        child = _end(table, columns, (*own, *elsewhere))
        referenced = _end(parent, parent_columns, (*own, *elsewhere))
        if child is not None and referenced is not None:
            found.append(
                Crossing(
                    Reference(child.table, child.columns, referenced.table, referenced.columns),
                    child.home,
                    referenced.home,
                )
            )
    return found


class _End(NamedTuple):
    home: Home
    table: str
    columns: tuple[str, ...]


def _end(table: str, columns: Sequence[str], moved: Sequence[Moved]) -> _End | None:
    """Where one end of a foreign key is now; None when its columns have gone."""
    there = [each for each in moved if each.monolith == table]
    if not there:
        return _End(MONOLITH, table, tuple(columns))
    for each in there:
        if all(name in each.columns for name in columns):
            return _End(each.home, each.table, tuple(each.columns[name] for name in columns))
    return None


def foreign_keys(monolith: sa.Engine) -> Iterator[tuple[str, Sequence[str], str, Sequence[str]]]:
    """Every foreign key of the monolith: child and its columns, parent and its columns."""
    inspector = sa.inspect(monolith)
    default = inspector.default_schema_name
    schemas = [None] if monolith.dialect.name == "sqlite" else _schemas(inspector)
    for schema in schemas:
        for (_, table), keys in inspector.get_multi_foreign_keys(schema=schema).items():
            for key in keys:
                refers = key["referred_columns"]
                if not refers:
                    continue
                yield (
                    _named(schema, table, default),
                    key["constrained_columns"],
                    _named(key["referred_schema"] or schema, key["referred_table"], default),
                    refers,
                )


def _schemas(inspector: sa.Inspector) -> list[str | None]:
    return [name for name in inspector.get_schema_names() if name not in {"information_schema", "strangler"}]


def _named(schema: str | None, table: str, default: str | None) -> str:
    return table if schema in {None, default} else f"{schema}.{table}"
