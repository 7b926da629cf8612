"""SQLite: transactions, bookkeeping and the change log of one database file."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import cast

import sqlalchemy as sa

from dual_write import keys, sqlite_capture, sqlite_log, sqlite_outbox
from dual_write.adapter import KEPT, Adapter, Captured, Change, Ownership, Position
from dual_write.database import open_engine, redacted, unreachable
from dual_write.errors import LockedError, SchemaError
from dual_write.mapping import TableFlow
from dual_write.names import quote
from dual_write.rows import Session, TypeName
from dual_write.sqlite_bookkeeping import BOOKKEEPING, INDEXES
from dual_write.sqlite_rows import SQLiteReader, SQLiteWriter, rowid_column, writable_columns
from dual_write.sqlite_session import SQLiteSession


class SQLite(Adapter):
    """One SQLite file. The monolith may be any process with connections and time limits of its own."""

    engine = "sqlite"
    row_lock = ""  # a writing transaction has locked the whole file

    def __init__(self, url: str | sa.URL) -> None:
        self._url = url
        self._engine = open_engine(url)

    @contextmanager
    def reading(self, *, snapshot: bool = False) -> Iterator[Session]:  # noqa: ARG002 - every transaction sees one state
        with self._transaction("BEGIN", None) as session:
            yield session

    @contextmanager
    def writing(self, lock_timeout: float = 5.0) -> Iterator[Session]:
        with self._transaction("BEGIN IMMEDIATE", lock_timeout) as session:
            yield session

    @contextmanager
    def _transaction(self, begin: str, lock_timeout: float | None) -> Iterator[Session]:
        try:
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as lease:
                connection = cast("sqlite3.Connection", lease.connection.driver_connection)
                if lock_timeout is not None:
                    connection.execute(f"PRAGMA busy_timeout = {max(0, int(lock_timeout * 1000))}")
                connection.execute(begin)
                try:
                    yield SQLiteSession(connection)
                    connection.execute("COMMIT")
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
        except sa.exc.OperationalError as error:
            raise unreachable(self._url, error) from error
        except sqlite3.OperationalError as error:
            raise self._translated(error) from error

    def _translated(self, error: sqlite3.OperationalError) -> Exception:
        code = error.sqlite_errorcode & 0xFF
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return LockedError(
                f"{redacted(self._url)} was locked by another process for too long; "
                "look for a long write transaction and try again"
            )
        if code == sqlite3.SQLITE_ERROR:
            return SchemaError(
                f"{redacted(self._url)}: {error}; the table or the plan's mapping has to be mended"
            )
        return unreachable(self._url, error)

    def dispose(self) -> None:
        self._engine.dispose()

    def is_row_fault(self, error: Exception) -> bool:
        return isinstance(error, sqlite3.IntegrityError | sqlite3.DataError | OverflowError | ValueError)

    def name(self, table: str) -> str:
        return f"strangler_{table}"

    def create_bookkeeping(self) -> None:
        with self.writing() as session:
            for table, columns in BOOKKEEPING.items():
                session.execute(f"CREATE TABLE IF NOT EXISTS {self.name(table)} ({columns})")
            for index in INDEXES:
                session.execute(index)

    def drop_bookkeeping(self, session: Session) -> None:
        for table in BOOKKEEPING:
            session.execute(f"DROP TABLE IF EXISTS {self.name(table)}")

    def has_bookkeeping(self, session: Session) -> bool:
        return bool(session.execute("SELECT 1 FROM sqlite_master WHERE name = 'strangler_inbox'"))

    def capture(self, tables: Sequence[Captured], lock_timeout: float) -> None:
        with self.writing(lock_timeout) as session:
            for table in tables:
                if table.outbox:
                    sqlite_outbox.register(session, table)
                else:
                    sqlite_capture.install(session, table)

    def release(self, tables: Sequence[Captured], lock_timeout: float) -> None:
        with self.writing(lock_timeout) as session:
            for table in tables:
                sqlite_capture.remove(session, table)
                sqlite_outbox.unregister(session, table)

    def guard(self, tables: Sequence[Captured], ownership: Ownership, lock_timeout: float) -> None:
        # BEGIN IMMEDIATE is the wait for open writers: SQLite has one at a time.
        with self.writing(lock_timeout) as session:
            for table in tables:
                sqlite_capture.guard(session, table, ownership)

    def unguard(self, tables: Sequence[Captured], lock_timeout: float) -> None:
        with self.writing(lock_timeout) as session:
            for table in tables:
                sqlite_capture.unguard(session, table)

    def guarded(self, tables: Sequence[Captured]) -> list[str]:
        with self.reading() as session:
            return [table.table for table in tables if sqlite_capture.is_guarded(session, table)]

    def uncaptured(self, tables: Sequence[Captured]) -> list[str]:
        with self.reading() as session:
            return [
                table.table
                for table in tables
                if not (sqlite_outbox if table.outbox else sqlite_capture).is_installed(session, table)
            ]

    def changes(self, session: Session, stream: str, position: Position, limit: int) -> list[Change]:
        rows = session.execute(
            "SELECT id, tbl, key FROM strangler_change WHERE stream = ? AND id > ? ORDER BY id LIMIT ?",
            stream,
            max(position.id, position.floor),
            limit,
        )
        return [
            Change(0, number, table, key and sqlite_log.as_written_here(key)) for number, table, key in rows
        ]

    def remaining(self, session: Session, stream: str, position: Position, limit: int) -> list[Change]:
        return self.changes(session, stream, position, limit)

    def backlog(self, session: Session, stream: str, position: Position) -> tuple[int, float]:
        [(count, age)] = session.execute(
            "SELECT count(*), coalesce((julianday('now') - min(at)) * 86400.0, 0) "
            "FROM strangler_change WHERE stream = ? AND id > ?",
            stream,
            max(position.id, position.floor),
        )
        return count, max(0.0, age)

    def horizon_seconds(self, session: Session) -> float:  # noqa: ARG002 - one writer at a time: none can be overtaken
        return 0.0

    def latest(self, session: Session, stream: str, table: str, limit: int) -> list[str]:
        entries = "FROM strangler_change WHERE stream = ? AND tbl = ? AND key IS NOT NULL"
        rows = session.execute(f"SELECT key {entries} ORDER BY id DESC LIMIT ?", stream, table, limit)
        return list(dict.fromkeys(keys.encode(keys.decode(key)) for (key,) in rows))

    def purge(
        self, session: Session, stream: str, position: Position, limit: int, since: int = 0
    ) -> tuple[int, int]:
        gone = session.execute(
            "DELETE FROM strangler_change WHERE id IN (SELECT id FROM strangler_change WHERE stream = ? "
            "AND id <= ? AND id <= (SELECT id FROM strangler_change WHERE stream = ? "
            f"ORDER BY id DESC LIMIT 1 OFFSET {KEPT}) ORDER BY id LIMIT ?) RETURNING 1",
            stream,
            max(position.id, position.floor),
            stream,
            limit,
        )
        return len(gone), since

    def logged(
        self, session: Session, stream: str, position: Position, table: str, keys_: Sequence[str] | None
    ) -> bool:
        return sqlite_log.logged(session, stream, position, table, keys_)

    def forget(self, session: Session, stream: str) -> None:
        session.execute(
            "UPDATE strangler_change SET stream = '' WHERE id = (SELECT max(id) FROM strangler_change)"
        )
        session.execute("DELETE FROM strangler_change WHERE stream = ?", stream)

    def claim(
        self, session: Session, stream: str, table: str, epoch: int, entries: Sequence[tuple[str, int, bool]]
    ) -> set[str]:
        return {
            key
            for key, seq, deleted in entries
            if session.execute(
                "INSERT INTO strangler_version VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE "
                "SET epoch = excluded.epoch, seq = excluded.seq, deleted = excluded.deleted "
                "WHERE (epoch, seq) < (excluded.epoch, excluded.seq) RETURNING 1",
                stream,
                table,
                key,
                epoch,
                seq,
                deleted,
            )
        }

    def versioned(self, session: Session, stream: str, table: str, keys_: Sequence[str]) -> set[str]:
        return {
            key
            for key in keys_
            if session.execute(
                "SELECT 1 FROM strangler_version WHERE stream = ? AND tbl = ? AND key = ?", stream, table, key
            )
        }

    def columns(self, session: Session, table: str) -> Mapping[str, TypeName]:
        return writable_columns(session, table)

    def shapes(self, session: Session, tables: Sequence[str]) -> dict[str, dict[str, str]]:
        return {
            table: {name: type_.base for name, type_ in writable_columns(session, table).items()}
            for table in tables
        }

    def reader(
        self,
        session: Session,
        flow: TableFlow,
        wanted: Sequence[TypeName | None] | None,  # noqa: ARG002 - values keep their types; the target's affinity converts
    ) -> SQLiteReader:
        return SQLiteReader(session, flow)

    def writer(self, session: Session, flow: TableFlow) -> SQLiteWriter:
        return SQLiteWriter(session, flow)

    @contextmanager
    def replicating(
        self, session: Session, origin: str, tables: Sequence[str], suppress: bool
    ) -> Iterator[None]:
        session.execute("INSERT INTO strangler_session (origin) VALUES (?)", origin)
        asleep = sqlite_capture.foreign_triggers(session, tables) if suppress else []
        for name, _ in asleep:
            session.execute(f"DROP TRIGGER {quote(name)}")
        yield
        for _, sql in asleep:
            session.execute(sql)
        session.execute("DELETE FROM strangler_session")

    def references(self, session: Session, tables: Sequence[str]) -> dict[str, set[str]]:
        by_name = {table.lower(): table for table in tables}
        return {
            table: {
                by_name[parent.lower()]
                for (parent,) in session.execute('SELECT "table" FROM pragma_foreign_key_list(?)', table)
                if parent.lower() in by_name and parent.lower() != table.lower()
            }
            for table in tables
        }

    def identities(self, session: Session, table: str) -> dict[str, int]:
        column = rowid_column(session, table)
        numbered = session.execute(
            "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ? COLLATE NOCASE "
            "AND sql LIKE '%AUTOINCREMENT%'",
            table,
        )
        return {column: self.highest(session, table, column)} if column and numbered else {}

    def highest(self, session: Session, table: str, column: str) -> int:
        name = quote(column)
        [(stored,)] = session.execute(
            f"SELECT max({name}) FROM {quote(table)} WHERE typeof({name}) = 'integer'"
        )
        given = 0
        if session.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'"):
            [(given,)] = session.execute(
                "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ? COLLATE NOCASE", table
            )
        return max(stored or 0, given)

    def advance_identity(self, session: Session, table: str, column: str, value: int) -> None:  # noqa: ARG002 - a table has one
        known = session.execute("SELECT 1 FROM sqlite_sequence WHERE name = ? COLLATE NOCASE", table)
        if known:
            session.execute(
                "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ? COLLATE NOCASE", value, table
            )
        else:
            session.execute(
                "INSERT INTO sqlite_sequence (name, seq) "
                "SELECT name, ? FROM sqlite_master WHERE type = 'table' AND name = ? COLLATE NOCASE",
                value,
                table,
            )

    def strides(self, session: Session, table: str) -> Mapping[str, int | None]:
        column = rowid_column(session, table)
        return {column: None} if column else {}
