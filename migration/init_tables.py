"""What a monolith's database holds: its tables as far as a plan has to know them."""

from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from dual_write.database import normalised, open_engine, ping, redacted
from dual_write.errors import DataError
from migration.errors import InitError

_OTHERS_OWN = ("alembic_version", "django_migrations", "schema_migrations", "sqlite_", "strangler_")
"""Beginnings of the names of tables that belong to tools and not to the application."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key: ``column`` points at ``table``."""

    column: str
    table: str


@dataclass(frozen=True, slots=True)
class FoundTable:
    name: str
    has_key: bool
    references: tuple[Reference, ...]


def reflect(url: str) -> tuple[FoundTable, ...]:
    """The application's tables, by name. Raises InitError when the database does not answer."""
    try:
        target = normalised(url)
    except (DataError, ValueError) as error:
        reason = str(error) if isinstance(error, DataError) else "write postgresql://user@host:5432/name"
        raise InitError(f"--database is no usable URL: {reason}.") from error
    try:
        if target.get_backend_name() == "sqlite" and not Path(target.database or "").is_file():
            raise InitError(f"there is no database file {target.database!r}. Correct --database.")
        engine = open_engine(target)
        try:
            ping(engine)
            return _tables(sa.inspect(engine))
        finally:
            engine.dispose()
    except DataError as error:
        raise InitError(f"{error}. Correct --database.") from error
    except SQLAlchemyError as error:
        raise InitError(f"the tables of {redacted(url)} cannot be read: {error}.") from error


def _tables(inspector: sa.Inspector) -> tuple[FoundTable, ...]:
    search = _search_indexes(inspector)
    return tuple(
        FoundTable(
            name, bool(inspector.get_pk_constraint(name)["constrained_columns"]), _references(inspector, name)
        )
        for name in sorted(inspector.get_table_names())
        if not name.startswith((*_OTHERS_OWN, *search))
    )


def _references(inspector: sa.Inspector, name: str) -> tuple[Reference, ...]:
    return tuple(
        Reference(", ".join(key["constrained_columns"]), key["referred_table"])
        for key in inspector.get_foreign_keys(name)
    )


def _search_indexes(inspector: sa.Inspector) -> list[str]:
    """SQLite's virtual tables, whose names their shadow tables begin with: derived data, kept by SQLite."""
    if inspector.dialect.name != "sqlite":
        return []
    with inspector.engine.connect() as connection:
        return list(
            connection.scalars(
                sa.text("SELECT name FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL TABLE%'")
            )
        )
