"""PostgreSQL: transactions, bookkeeping and the change log of one database."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import cast

import psycopg
import sqlalchemy as sa
from psycopg import errors as driver_errors

from dual_write import kafka_inbox, postgresql_capture, postgresql_numbers, postgresql_outbox
from dual_write.adapter import Captured, Ownership
from dual_write.database import open_engine, redacted, unreachable
from dual_write.errors import DataError, LockedError, SchemaError
from dual_write.mapping import TableFlow
from dual_write.names import quote, table_name
from dual_write.postgresql_copy import PostgreSQLCopier
from dual_write.postgresql_log import PostgreSQLLog
from dual_write.postgresql_rows import PostgreSQLReader, PostgreSQLWriter, writable_columns
from dual_write.postgresql_session import PostgreSQLSession
from dual_write.postgresql_shapes import shapes
from dual_write.rows import Reader, Row, Session, TypeName, Writer

_BOOKKEEPING = {
    "change": "id bigint GENERATED ALWAYS AS IDENTITY, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), "
    "stream text NOT NULL, tbl text NOT NULL, key text, at timestamptz NOT NULL DEFAULT clock_timestamp()",
    "stream": "stream text PRIMARY KEY, purged bigint NOT NULL DEFAULT 0",
    "inbox": "stream text PRIMARY KEY, open boolean NOT NULL, epoch bigint NOT NULL, at_xid bigint NOT NULL, "
    "at_id bigint NOT NULL, floor_id bigint NOT NULL, passed bigint NOT NULL",
    "version": "stream text, tbl text, key text, epoch bigint NOT NULL, seq bigint NOT NULL, "
    "deleted boolean NOT NULL, PRIMARY KEY (stream, tbl, key)",
    "parked": "stream text, tbl text, key text, seq bigint NOT NULL, entries bigint NOT NULL, "
    "attempts integer NOT NULL, due double precision NOT NULL, error text NOT NULL, "
    "PRIMARY KEY (stream, tbl, key)",
    "shape": "stream text, tbl text, shapes text NOT NULL, PRIMARY KEY (stream, tbl)",
    "numbering": "stream text NOT NULL, sequence text PRIMARY KEY, stride bigint NOT NULL",
    "backfill": "stream text, tbl text, after_key text, copied bigint NOT NULL, stale boolean NOT NULL, "
    "done boolean NOT NULL, PRIMARY KEY (stream, tbl)",
    "kafka": kafka_inbox.DEFINITION,
}
_INDEXES = ("CREATE INDEX IF NOT EXISTS change_stream ON strangler.change (stream, xid, id)",)
# A frozen process must not keep its locks: the server ends a transaction that idles as long as this.
_IDLE_SECONDS = 30


class PostgreSQL(PostgreSQLLog):
    """One PostgreSQL database, version 15 or newer."""

    engine = "postgresql"
    row_lock = " FOR UPDATE"

    def __init__(self, url: str | sa.URL) -> None:
        self._url = url
        self._engine = open_engine(url)

    @contextmanager
    def reading(self, *, snapshot: bool = False) -> Iterator[Session]:
        isolation = "REPEATABLE READ" if snapshot else "READ COMMITTED"
        with self._transaction(f"BEGIN ISOLATION LEVEL {isolation} READ ONLY") as session:
            yield session

    @contextmanager
    def writing(self, lock_timeout: float = 5.0) -> Iterator[Session]:
        with self._transaction(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; "  # one statement's way to the server and back
            f"SET LOCAL lock_timeout = {max(1, int(lock_timeout * 1000))}; "
            f"SET LOCAL idle_in_transaction_session_timeout = {_IDLE_SECONDS * 1000}"
        ) as session:
            yield session

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[PostgreSQLSession]:
        try:
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as lease:
                connection = cast("psycopg.Connection[Row]", lease.connection.driver_connection)
                try:
                    session = PostgreSQLSession(connection)
                    session.execute(begin)
                    yield session
                    session.execute("COMMIT")
                except BaseException:
                    if not connection.closed:
                        connection.rollback()
                    if connection.closed:
                        lease.invalidate()
                    raise
        except sa.exc.DBAPIError as error:
            raise unreachable(self._url, error) from error
        except psycopg.Error as error:
            translated = self._translated(error)
            if translated is None:
                raise
            raise translated from error

    def _translated(self, error: psycopg.Error) -> DataError | None:
        match error:
            case (
                driver_errors.LockNotAvailable()
                | driver_errors.DeadlockDetected()
                | driver_errors.QueryCanceled()
            ):
                return LockedError(
                    f"{redacted(self._url)}: {_first_line(error)}; look for a long write transaction "
                    "(pg_stat_activity) and try again"
                )
            case driver_errors.InsufficientPrivilege():
                return SchemaError(
                    f"{redacted(self._url)}: {_first_line(error)}; "
                    "the user of the plan's URL has to own the tables"
                )
            case psycopg.OperationalError() | psycopg.InterfaceError():
                return unreachable(self._url, error)
            case psycopg.ProgrammingError():
                return SchemaError(
                    f"{redacted(self._url)}: {_first_line(error)}; "
                    "the table or the plan's mapping has to be mended"
                )
            case _:
                return None

    def dispose(self) -> None:
        self._engine.dispose()

    def is_row_fault(self, error: Exception) -> bool:
        faults = (
            psycopg.IntegrityError,
            psycopg.DataError,
            # A trigger's own refusal, and a value that has no cast.
            driver_errors.RaiseException,
            driver_errors.CannotCoerce,
            ValueError,
        )
        return isinstance(error, faults)

    def name(self, table: str) -> str:
        return f"strangler.{table}"

    def create_bookkeeping(self) -> None:
        with self.writing() as session:
            # Two phases may be installed at once; IF NOT EXISTS alone is no protection against that.
            session.execute("SELECT pg_advisory_xact_lock(hashtext('strangler.bookkeeping'))")
            session.execute("CREATE SCHEMA IF NOT EXISTS strangler")
            for table, columns in _BOOKKEEPING.items():
                session.execute(f"CREATE TABLE IF NOT EXISTS {self.name(table)} ({columns})")
            for index in _INDEXES:
                session.execute(index)

    def drop_bookkeeping(self, session: Session) -> None:
        for table in _BOOKKEEPING:
            session.execute(f"DROP TABLE IF EXISTS {self.name(table)}")
        session.execute("DROP SCHEMA IF EXISTS strangler")

    def has_bookkeeping(self, session: Session) -> bool:
        return session.execute("SELECT to_regclass('strangler.inbox') IS NOT NULL") == [(True,)]

    def capture(self, tables: Sequence[Captured], lock_timeout: float) -> None:
        for table in tables:
            with self.writing(lock_timeout) as session:
                postgresql_capture.install(session, table)
        self._settle_outbox(tables, lock_timeout)

    def release(self, tables: Sequence[Captured], lock_timeout: float) -> None:
        for table in tables:
            with self.writing(lock_timeout) as session:
                postgresql_capture.remove(session, table)
        self._settle_outbox(tables, lock_timeout)

    def _settle_outbox(self, tables: Sequence[Captured], lock_timeout: float) -> None:
        """Applications ask once a transaction what they have to log: an answer from before may be in use."""
        if any(table.outbox for table in tables):
            postgresql_outbox.wait_for_transactions(self.reading, lock_timeout)

    def guard(self, tables: Sequence[Captured], ownership: Ownership, lock_timeout: float) -> None:
        with self.writing(lock_timeout) as session:
            for table in tables:
                postgresql_capture.guard(session, table, ownership)
        # Transactions that wrote before the guard stood may still be open: only their end makes it whole.
        postgresql_capture.wait_for_writers(self.reading, tables, lock_timeout)

    def unguard(self, tables: Sequence[Captured], lock_timeout: float) -> None:
        with self.writing(lock_timeout) as session:
            for table in tables:
                postgresql_capture.unguard(session, table)

    def guarded(self, tables: Sequence[Captured]) -> list[str]:
        with self.reading() as session:
            return [table.table for table in tables if postgresql_capture.is_guarded(session, table)]

    def refused(self, tables: Sequence[Captured]) -> int | None:
        with self.reading() as session:
            if not self.has_bookkeeping(session):
                return 0
            return sum(postgresql_capture.refused(session, table) for table in tables)

    def uncaptured(self, tables: Sequence[Captured]) -> list[str]:
        with self.reading() as session:
            return [table.table for table in tables if not postgresql_capture.is_installed(session, table)]

    def shapes(self, session: Session, tables: Sequence[str]) -> dict[str, dict[str, str]]:
        return shapes(session, tables)

    def columns(self, session: Session, table: str) -> Mapping[str, TypeName]:
        return writable_columns(session, table)

    def reader(
        self, session: Session, flow: TableFlow, wanted: Sequence[TypeName | None] | None
    ) -> PostgreSQLReader:
        return PostgreSQLReader(session, flow, wanted)

    def writer(self, session: Session, flow: TableFlow) -> PostgreSQLWriter:
        return PostgreSQLWriter(session, flow)

    def copier(self, stream: str, flow: TableFlow, reader: Reader, writer: Writer) -> PostgreSQLCopier | None:
        if flow.union or flow.computed:
            return None  # rows that two tables hold are told apart one by one; functions take one row
        return PostgreSQLCopier(
            stream, list(flow.lanes), cast("PostgreSQLReader", reader), cast("PostgreSQLWriter", writer)
        )

    @contextmanager
    def replicating(
        self, session: Session, origin: str, tables: Sequence[str], suppress: bool
    ) -> Iterator[None]:
        with postgresql_capture.marked(session, origin, asleep=tables if suppress else ()):
            yield

    def references(self, session: Session, tables: Sequence[str]) -> dict[str, set[str]]:
        oids = {
            table: session.execute("SELECT ?::text::regclass::oid", table_name(table))[0][0]
            for table in tables
        }
        by_oid = {oid: table for table, oid in oids.items()}
        return {
            table: {
                by_oid[parent]
                for (parent,) in session.execute(
                    "SELECT confrelid FROM pg_constraint WHERE contype = 'f' AND conrelid = ?::oid", oid
                )
                if parent in by_oid and parent != oid
            }
            for table, oid in oids.items()
        }

    def identities(self, session: Session, table: str) -> dict[str, int]:
        rows = session.execute(
            "SELECT a.attname FROM pg_attribute AS a WHERE a.attrelid = ?::text::regclass AND a.attnum > 0 "
            "AND NOT a.attisdropped AND pg_get_serial_sequence(?, a.attname) IS NOT NULL",
            table_name(table),
            table_name(table),
        )
        return {column: self.highest(session, table, column) for (column,) in rows}

    def highest(self, session: Session, table: str, column: str) -> int:
        [(stored,)] = session.execute(f"SELECT coalesce(max({quote(column)}), 0) FROM {table_name(table)}")
        return max(int(stored), self.given(session, table, column))

    def given(self, session: Session, table: str, column: str) -> int:
        [(sequence,)] = session.execute("SELECT pg_get_serial_sequence(?, ?)", table_name(table), column)
        if sequence is None:
            return 0
        [(given,)] = session.execute(
            f"SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM {sequence}"
        )
        return int(given)

    def advance_identity(self, session: Session, table: str, column: str, value: int) -> None:
        if value > 0:
            session.execute(
                "SELECT setval(pg_get_serial_sequence(?, ?)::regclass, ?::bigint)",
                table_name(table),
                column,
                value,
            )

    def strides(self, session: Session, table: str) -> Mapping[str, int | None]:
        return postgresql_numbers.strides(session, table)

    def interleave(
        self, session: Session, stream: str, table: str, column: str, step: int, start: int
    ) -> None:
        postgresql_numbers.interleave(session, stream, table, column, step, start)

    def restore(self, session: Session, stream: str) -> None:
        postgresql_numbers.restore(session, stream)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
