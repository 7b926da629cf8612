"""Two real databases and a phase between them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from dual_write.database import open_engine
from dual_write.mapping import Column, TableMapping
from dual_write.replication import Replication
from flags.side import Side


def bare(*names: str) -> tuple[Column, ...]:
    """Columns that keep their names."""
    return tuple(Column(name, f'"{name}"', name) for name in names)


def mapped(
    table: str, key: tuple[str, ...], *columns: str, follow: bool = False, suppress_triggers: bool = True
) -> TableMapping:
    """A table that is the same on both sides."""
    names = bare(*key, *columns)
    return TableMapping(table, table, key, key, names, names, follow, suppress_triggers)


@dataclass
class Database:
    """One side's database, as the application that owns it sees it."""

    url: str
    engine: sa.Engine = field(init=False)

    def __post_init__(self) -> None:
        self.engine = open_engine(self.url)

    @property
    def is_postgresql(self) -> bool:
        return self.engine.dialect.name == "postgresql"

    def run(self, *statements: str) -> None:
        """All in one transaction."""
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement.replace("%", "%%") if self.is_postgresql else statement)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [
                tuple(row)
                for row in connection.exec_driver_sql(
                    statement.replace("%", "%%") if self.is_postgresql else statement
                )
            ]

    @contextmanager
    def transaction(self) -> Iterator[Callable[[str], None]]:
        """A transaction held open; rolled back unless the block ends well."""
        with self.engine.begin() as connection:
            yield (
                lambda statement: (
                    connection.exec_driver_sql(
                        statement.replace("%", "%%") if self.is_postgresql else statement
                    )
                    and None
                )
            )

    def schema(self) -> list[tuple[Any, ...]]:
        """Everything defined in the database, for comparing before and after."""
        if not self.is_postgresql:
            return self.query("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2")
        return self.query(
            "SELECT 'class', relname, relkind::text FROM pg_class AS c JOIN pg_namespace AS n "
            "ON n.oid = c.relnamespace WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') "
            "UNION ALL SELECT 'trigger', tgname, tgenabled::text FROM pg_trigger "
            "UNION ALL SELECT 'function', proname, nspname FROM pg_proc AS p JOIN pg_namespace AS n "
            "ON n.oid = p.pronamespace WHERE nspname NOT IN ('pg_catalog', 'information_schema') "
            "UNION ALL SELECT 'schema', nspname, '' FROM pg_namespace WHERE left(nspname, 3) <> 'pg_' "
            "ORDER BY 1, 2, 3"
        )


@dataclass
class Pair:
    """A monolith's and a service's database, and what replicates between them."""

    monolith: Database
    service: Database
    made: list[Replication] = field(default_factory=list)

    def __getitem__(self, side: Side) -> Database:
        return self.monolith if side is Side.MONOLITH else self.service

    def define(self, *statements: str, postgresql: dict[str, str] | None = None) -> None:
        """The same tables on both sides; ``postgresql`` replaces words that SQLite spells otherwise."""
        for database in (self.monolith, self.service):
            for statement in statements:
                for word, other in (postgresql or {}).items() if database.is_postgresql else ():
                    statement = statement.replace(word, other)  # noqa: PLW2901 - one word after the other
                database.run(statement)

    def replication(self, *mappings: TableMapping, phase: str = "phase", outbox: bool = False) -> Replication:
        made = Replication(phase, self.monolith.url, self.service.url, mappings, outbox=outbox)
        self.made.append(made)
        return made

    def started(self, *mappings: TableMapping, outbox: bool = False) -> Replication:
        """Installed, the service guarded, open towards it and backfilled: the stage dual_write."""
        replication = self.replication(*mappings, outbox=outbox)
        replication.install()
        replication.guard(Side.SERVICE, Side.MONOLITH, 1, 5.0)
        replication.open(Side.SERVICE, 1)
        assert replication.backfill(lambda _: None, lambda: False)
        return replication

    def rows(self, side: Side, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
        return self[side].query(f"SELECT {columns} FROM {table} ORDER BY 1, 2")

    def assert_equal(self, *tables: str) -> None:
        for table in tables:
            assert self.rows(Side.MONOLITH, table) == self.rows(Side.SERVICE, table), table


def settle(replication: Replication, to: Side = Side.SERVICE) -> int:
    """Step until nothing is left to do."""
    total = 0
    while passed := replication.step(to):
        total += passed
    return total


def switch(replication: Replication, to: Side, epoch: int) -> None:
    """The data's part of the fenced switch."""
    import time

    replication.guard(to.other, to, epoch, 5.0)
    replication.drain(to, time.monotonic() + 10)
    replication.close(to, epoch)
    replication.hand_over_sequences(to)
    replication.open(to.other, epoch)
    replication.unguard(to, 5.0)


@pytest.fixture
def sqlite_database(tmp_path: Path) -> Callable[[], str]:
    names = iter(range(100))
    return lambda: f"sqlite:///{tmp_path}/{next(names)}.db"


@pytest.fixture(params=["sqlite", "postgresql", "sqlite-postgresql", "postgresql-sqlite"])
def pair(request: pytest.FixtureRequest, sqlite_database: Callable[[], str]) -> Iterator[Pair]:
    """Each way that two databases can be paired."""
    yield from _pair(request, request.param, sqlite_database)


@pytest.fixture(params=["sqlite", "postgresql"])
def like_pair(request: pytest.FixtureRequest, sqlite_database: Callable[[], str]) -> Iterator[Pair]:
    """Two databases of one engine."""
    yield from _pair(request, request.param, sqlite_database)


@pytest.fixture
def sqlite_pair(request: pytest.FixtureRequest, sqlite_database: Callable[[], str]) -> Iterator[Pair]:
    yield from _pair(request, "sqlite", sqlite_database)


@pytest.fixture
def postgresql_pair(request: pytest.FixtureRequest, sqlite_database: Callable[[], str]) -> Iterator[Pair]:
    yield from _pair(request, "postgresql", sqlite_database)


def _pair(request: pytest.FixtureRequest, kind: str, sqlite_database: Callable[[], str]) -> Iterator[Pair]:
    monolith, _, service = kind.partition("-")
    make = {"sqlite": sqlite_database}
    if "postgresql" in kind:
        make["postgresql"] = request.getfixturevalue("postgresql_database")
    pair = Pair(Database(make[monolith]()), Database(make[service or monolith]()))
    yield pair
    for replication in pair.made:
        replication.dispose()
    pair.monolith.engine.dispose()
    pair.service.engine.dispose()
