"""A connection of a check's own: it neither writes nor lingers, and what it sends does not depend on it."""

import time
from typing import Any

import sqlalchemy as sa

from dual_write.database import redacted, unreachable
from dual_write.errors import CheckFailed

BEGUN = "begun"
"""A snapshot's savepoint: a statement that fails would end the snapshot else."""

_POSTGRESQL = (
    "SET default_transaction_read_only = on",
    "SET timezone = 'UTC'",
    "SET datestyle = 'ISO'",
    "SET intervalstyle = 'postgres'",
    "SET bytea_output = 'hex'",
    "SET extra_float_digits = 1",
    "SET jit = off",
    # Statements are short: to start helpers for each takes as long as they save.
    "SET max_parallel_workers_per_gather = 0",
)
_SNAPSHOT = (
    "SET idle_in_transaction_session_timeout = 0",
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    "SELECT pg_current_snapshot()",
    f"SAVEPOINT {BEGUN}",
)


def open_session(engine: sa.Engine, role: str, seconds: int, *, snapshot: bool) -> tuple[Any, float]:
    """The driver's connection, and the seconds to the server and back.

    PostgreSQL may take ``seconds`` and one core for one statement. With ``snapshot`` everything is read as of
    now. Raises UnreachableError, and CheckFailed where a snapshot would have writers wait.
    """
    driver = _connected(engine)
    way = 0.0
    if engine.dialect.name == "postgresql":
        driver.rollback()
        driver.autocommit = True
        driver.prepare_threshold = None
        settings = [*_POSTGRESQL, f"SET statement_timeout = '{seconds}s'"]
        way = min(_timed(driver, setting) for setting in settings)
        for statement in _SNAPSHOT if snapshot else ():
            driver.execute(statement)
    else:
        driver.isolation_level = None
        driver.execute("PRAGMA query_only = ON")
        if snapshot:
            _begin_in_file(driver, f"{role} {redacted(engine.url)}")
    return driver, way


def _connected(engine: sa.Engine) -> Any:
    try:
        lease = engine.raw_connection()
    except (sa.exc.DBAPIError, engine.dialect.loaded_dbapi.Error) as error:
        raise unreachable(engine.url, error) from error
    driver: Any = lease.dbapi_connection
    # Its settings are this check's own: it must not go back to the pool.
    lease.detach()
    return driver


def _timed(driver: Any, statement: str) -> float:
    began = time.monotonic()
    driver.execute(statement)
    return time.monotonic() - began


def _begin_in_file(driver: Any, named: str) -> None:
    [(journal,)] = driver.execute("PRAGMA journal_mode")
    if journal != "wal":
        driver.close()
        raise CheckFailed(
            f"{named} keeps a journal in which a snapshot would have writers wait; "
            "set PRAGMA journal_mode = WAL, or check without a snapshot"
        )
    driver.execute("BEGIN")
    driver.execute("SELECT count(*) FROM sqlite_schema").fetchall()
