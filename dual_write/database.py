"""Opening the databases that a plan names, and naming them in messages without their passwords."""

import sqlite3

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from dual_write.errors import DataError, UnreachableError

BUSY_SECONDS = 5.0
CONNECT_SECONDS = 5

# Text that leaves a PostgreSQL session has to mean the same in every other session.
_POSTGRESQL_SETTINGS = (
    "-c timezone=UTC -c datestyle=ISO -c intervalstyle=postgres -c bytea_output=hex -c extra_float_digits=1"
)


def redacted(url: str | URL) -> str:
    """The URL as it may be shown: the password, wherever it stands, is replaced by ``***``."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        return "(not a database URL)"
    query = {name: "***" if "password" in name else value for name, value in parsed.query.items()}
    return parsed.set(query=query).render_as_string(hide_password=True)


def normalised(url: str | URL) -> URL:
    """The URL with the driver that this package speaks. Raises DataError for an engine it does not know."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise DataError(
            "the database is not given as a URL; write sqlite:///file.db or postgresql://user@host/name"
        ) from error
    backend = parsed.drivername.partition("+")[0]
    if backend in {"postgres", "postgresql"}:
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite":
        return parsed.set(drivername="sqlite+pysqlite")
    raise DataError(f"{backend!r} databases are not supported; use sqlite:/// or postgresql://")


def open_engine(url: str | URL) -> sa.Engine:
    """An engine for ``url``; nothing is connected yet. Raises DataError for an unusable URL."""
    target = normalised(url)
    try:
        if target.get_backend_name() == "sqlite":
            engine = sa.create_engine(target, connect_args={"timeout": BUSY_SECONDS})
            event.listen(engine, "connect", _prepare_sqlite)
            return engine
        return sa.create_engine(
            target,
            pool_pre_ping=True,
            connect_args={"connect_timeout": CONNECT_SECONDS, "options": _options(target)},
        )
    except NoSuchModuleError as error:
        raise DataError(f"no driver for {redacted(url)}: {error}") from error


def ping(engine: sa.Engine) -> None:
    """Raises UnreachableError unless the database answers."""
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
    except sa.exc.DBAPIError as error:
        raise unreachable(engine.url, error) from error


def unreachable(url: str | URL, error: Exception) -> UnreachableError:
    """The error for a database that does not answer, with what the driver said and what to do."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig is not None else error
    said = (str(cause).strip().splitlines() or ["no reason given"])[0]
    remedy = (
        "check that the file's directory exists and is writable"
        if make_url(url).get_backend_name() == "sqlite"
        else "check that the server runs, and the host, port, user and password"
    )
    return UnreachableError(f"database {redacted(url)} does not answer ({said}); {remedy}")


def _options(url: URL) -> str:
    own = url.query.get("options", "")
    return f"{_POSTGRESQL_SETTINGS} {own if isinstance(own, str) else ' '.join(own)}".strip()


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
