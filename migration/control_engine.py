"""Connections to the control database: SQLite in WAL mode, or PostgreSQL."""

from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError

from dual_write.database import open_engine

READ_ONLY = "control_read_only"
"""Execution option of a connection that only reads: on SQLite it does not wait for a writer."""


def control_engine(url: URL, *, durable: bool) -> Engine:
    """An engine that never creates the database and never keeps using one whose file is gone.

    ``durable`` makes every commit survive a power failure; without it the last few may be undone.
    """
    if url.get_backend_name() == "sqlite":
        return _sqlite(sqlite_file(url), durable=durable)
    return open_engine(url)


def sqlite_file(url: URL) -> Path:
    """The file behind an SQLite URL."""
    return Path(url.database or "").absolute()


def database_file(engine: Engine) -> Path | None:
    """The file behind such an engine; None for PostgreSQL."""
    if engine.dialect.name != "sqlite":
        return None
    return Path(unquote((engine.url.database or "").removeprefix("file:")))


def _sqlite(file: Path, *, durable: bool) -> Engine:
    url = URL.create("sqlite", database=f"file:{quote(str(file))}", query={"mode": "rw", "uri": "true"})
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        record.info["file"] = file_identity(file)
        connection.isolation_level = None  # transactions begin where `begin` below says
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout = 5000")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        cursor.close()

    @event.listens_for(engine, "checkout")
    def still_there(_connection: Any, record: Any, _proxy: Any) -> None:
        if record.info["file"] != file_identity(file):
            raise DisconnectionError("the control database's file was removed or replaced")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads before it writes would fail under SQLite's deferred locking.
        read_only = connection.get_execution_options().get(READ_ONLY, False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def file_identity(file: Path) -> tuple[int, int] | None:
    """What tells a file from another that took its name; None when there is none."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
