"""One side of a check: a connection of its own that only reads, in a thread of its own."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

import sqlalchemy as sa

from dual_write.check_pace import STATEMENT_SECONDS, Pace
from dual_write.database import redacted
from dual_write.digest_query import Statement
from dual_write.digest_session import BEGUN, open_session
from dual_write.digest_types import Declared, postgresql_type, sqlite_type
from dual_write.errors import CheckFailed, DataError, SchemaError, UnreachableError
from dual_write.names import quote, table_in, table_name

Rows = list[tuple[Any, ...]]
_T = TypeVar("_T")

# So many rows are taken at once: PostgreSQL sends the next ones meanwhile, and they fit into a core's cache.
_TAKEN_AT_ONCE = 500
_HASHES_SINCE = 140000  # the server version with bit_xor and hash_record_extended
_CATALOG = (
    "SELECT oid::bigint, format_type(oid, NULL), typtype = 'e' "
    "FROM pg_type WHERE oid::bigint = ANY(%s::bigint[])"
)
_COLLATIONS = (
    "SELECT a.attname, concat_ws(' ', c.collprovider, c.collname, c.collcollate, c.collversion, "
    "CASE WHEN c.collname = 'default' THEN d.datcollate END) "
    "FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation, pg_database d "
    "WHERE d.datname = current_database() AND a.attrelid = %s::text::regclass"
)


class ValueFault(CheckFailed):
    """The database refused to bring a stored value into the form that was asked for."""


class SideReader:
    """Runs statements one after the other. Errors are CheckFailed, UnreachableError when it never answered.

    Each statement is its own transaction, so that nothing is held between two of them, but for a snapshot.
    """

    def __init__(
        self,
        engine: sa.Engine,
        role: str,
        pace: Pace | None = None,
        seconds: int = STATEMENT_SECONDS,
        *,
        snapshot: bool = False,
    ) -> None:
        """``pace`` is kept by what is asked; PostgreSQL may take ``seconds`` for one statement. With
        ``snapshot`` everything is read as of the moment of the first.
        """
        self.role = role
        self._snapshot = snapshot
        self.pace = pace or Pace()
        self._seconds = seconds
        self.postgresql = engine.dialect.name == "postgresql"
        self._engine = engine
        self._name = redacted(engine.url)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"check-{role}")
        self._connection: Any = None  # the driver's own: there is nothing here for an ORM to do
        self._way = 0.0  # how long it takes to the server and back

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.submit(self._close).result()
        self._thread.shutdown()

    def ask(self, statement: Statement, *, binary: bool = False) -> Future[Rows]:
        """Read rows, at the check's pace. ``binary`` is faster where PostgreSQL answers with types that its
        driver knows.
        """
        take = _streamed if binary and self._streams else _rows
        return self._thread.submit(self._paced, take, statement, binary)

    def ask_for(self, statement: Statement, make: Callable[[Iterator[Rows]], _T]) -> Future[_T]:
        """As ``ask``, for what is made in this side's thread of the rows, which come in batches."""
        return self._thread.submit(self._paced, partial(_made, make), statement)

    def read(self, statement: Statement) -> Rows:
        """Read what is short, such as the catalog, at once."""
        return self._thread.submit(self._run, _rows, statement).result()

    @contextmanager
    def doubled(self) -> Iterator[tuple["SideReader", ...]]:
        """This reader, and at full speed one beside it, so that two statements run at a time.

        A snapshot has one connection, and so has who may open no more.
        """
        if self._snapshot or not self.pace.full:
            yield (self,)
            return
        with SideReader(self._engine, self.role, self.pace, self._seconds) as other:
            yield (self, other) if other.answers else (self,)

    @property
    def answers(self) -> bool:
        """Whether this side can be asked."""
        try:
            return self.read(("SELECT 1", ())) == [(1,)]
        except (CheckFailed, UnreachableError):
            return False

    @property
    def file(self) -> str | None:
        """The SQLite database's file, if it is one and not a URI or in memory."""
        name = self._engine.url.database
        plain = not self.postgresql and name and name != ":memory:" and not name.startswith("file:")
        return name if plain else None

    def attach(self, other: "SideReader", name: str) -> bool:
        """Attach another reader's SQLite file; False when SQLite refuses, as for one of another encoding, and
        for a snapshot: the file would be seen as of another moment.
        """
        return not self._snapshot and self._thread.submit(self._attach, other.file, name).result()

    def detach(self, name: str) -> None:
        self.read((f"DETACH {quote(name)}", ()))

    def table_sql(self, table: str) -> str:
        return table_in(self._engine.dialect.name, table)

    @property
    def digests_as(self) -> str | None:
        """The encoding in which the server can digest text by itself, None if it cannot."""
        return self._thread.submit(self._digest_encoding).result() if self.postgresql else None

    def columns(self, table: str) -> Mapping[str, Declared]:
        """The table's columns. Raises SchemaError when there is no such table."""
        if not self.postgresql:
            declared = self.read(("SELECT name, type FROM pragma_table_xinfo(?)", (table,)))
            if declared:
                return {name: sqlite_type(kind) for name, kind in declared}
            raise self._no_table(table)
        if self.read(("SELECT to_regclass(%s::text)", (table_name(table),))) == [(None,)]:
            raise self._no_table(table)
        return self._described(f"SELECT * FROM {table_name(table)} LIMIT 0")

    def expressions(self, table: str, expressions: Sequence[str]) -> list[Declared]:
        """The types of expressions over the table's rows; SQLite's have none before they have a value."""
        if not self.postgresql or not expressions:
            return [sqlite_type("") for _ in expressions]
        listed = ", ".join(
            f"({expression}) AS c{number}" for number, expression in enumerate(expressions)
        ).replace("%", "%%")
        return list(self._described(f"SELECT {listed} FROM {table_name(table)} LIMIT 0").values())

    def collations(self, table: str) -> Mapping[str, str]:
        """How each text column sorts, in words that two servers can be compared by."""
        return dict(self.read((_COLLATIONS, (table_name(table),)))) if self.postgresql else {}

    def estimate(self, table: str) -> int:
        """About how many rows the table holds."""
        if self.postgresql:
            sql = "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = %s::text::regclass"
            return int(self.read((sql, (table_name(table),)))[0][0])
        return int(self.ask((f"SELECT count(*) FROM {quote(table)}", ())).result()[0][0])

    def _described(self, sql: str) -> dict[str, Declared]:
        described = self._thread.submit(self._run, _types, (sql, ())).result()
        catalog = {
            oid: (name, enumeration)
            for oid, name, enumeration in self.read((_CATALOG, ([oid for _, oid, *_ in described],)))
        }
        return {
            name: postgresql_type(
                catalog[oid][0], enumeration=catalog[oid][1], precision=precision, fixed=fixed
            )
            for name, oid, precision, fixed in described
        }

    def _no_table(self, table: str) -> SchemaError:
        return SchemaError(
            f"{self.role} {self._name} has no table {table!r}; correct the name in the plan, "
            "or run that side's migrations first"
        )

    def _run(self, take: "_Taking[_T]", statement: Statement, binary: bool = False) -> _T:
        try:
            driver = self._driver()
            cursor = driver.cursor(binary=True) if binary and self.postgresql else driver.cursor()
            try:
                return take(cursor, statement)
            finally:
                cursor.close()
        except DataError:
            raise
        except Exception as error:
            if self._take_bytes_for_text(error):
                return self._run(take, statement, binary)
            self._keep_snapshot()
            raise self._failed(error) from error

    def _keep_snapshot(self) -> None:
        if self._snapshot and self.postgresql and self._connection is not None:
            with suppress(Exception):  # the connection may be the one thing that failed
                self._connection.execute(f"ROLLBACK TO SAVEPOINT {BEGUN}")

    def _take_bytes_for_text(self, error: Exception) -> bool:
        """SQLite holds text that is not UTF-8: from here on it is read so that no byte is lost. Not from the
        start, since this calls back into Python for every text.
        """
        if "Could not decode to UTF-8" not in str(error) or self._connection.text_factory is not str:
            return False
        self._connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
        return True

    def _failed(self, error: Exception) -> DataError:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        state = getattr(error, "sqlstate", None) or ""
        failure = f"the check could not read from {self.role} {self._name}: {said}. "
        if state.startswith("22"):
            return ValueFault(failure + "Correct the row, or give the column an expression in the plan.")
        if state in {"42P01", "42703", "42883", "42804", "42846"}:
            return SchemaError(failure + "Correct the table's mapping in the plan.")
        if state == "57014":
            return CheckFailed(
                failure + "Check when the database is less busy, allow more with --timeout, or index the key "
                "in this order."
            )
        return CheckFailed(failure + "Nothing is known about the data; mend the cause and check again.")

    # --- in the thread

    def _paced(self, take: "_Taking[_T]", statement: Statement, binary: bool = False) -> _T:
        return self.pace.run(partial(self._run, take, statement, binary), lambda: self._way)

    @property
    def _streams(self) -> bool:
        """Whether the driver's library can take rows while the server sends more."""
        return self.postgresql and self._engine.dialect.loaded_dbapi.capabilities.has_stream_chunked()

    def _driver(self) -> Any:
        if self._connection is None:
            self._connection, self._way = open_session(
                self._engine, self.role, self._seconds, snapshot=self._snapshot
            )
        return self._connection

    def _attach(self, file: str | None, name: str) -> bool:
        try:
            self._driver().execute(f"ATTACH ? AS {quote(name)}", (file,))
        except sqlite3.Error:
            return False
        return True

    def _digest_encoding(self) -> str | None:
        info = self._driver().info
        return info.parameter_status("server_encoding") if info.server_version >= _HASHES_SINCE else None

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _digits(precision: int | None, scale: int | None) -> int | None:
    """How many digits a decimal has at most; unknown where PostgreSQL has some of them be zeros."""
    return None if precision is None or scale is None or scale > precision else precision


_Taking = Callable[[Any, Statement], _T]
"""How a statement is run on a cursor of the driver, and its rows are taken."""


def _rows(cursor: Any, statement: Statement) -> Rows:
    # The values are passed even when there are none: only then is %% read as %.
    cursor.execute(*statement)
    return cursor.fetchall()  # type: ignore[no-any-return]  # the driver's own


def _streamed(cursor: Any, statement: Statement) -> Rows:
    return list(cursor.stream(*statement, binary=True, size=_TAKEN_AT_ONCE))


def _made(make: Callable[[Iterator[Rows]], _T], cursor: Any, statement: Statement) -> _T:
    cursor.execute(*statement)
    return make(iter(partial(cursor.fetchmany, _TAKEN_AT_ONCE), []))


def _types(cursor: Any, statement: Statement) -> Rows:
    cursor.execute(*statement)
    return [(column[0], column[1], _digits(column[4], column[5]), column[5]) for column in cursor.description]
