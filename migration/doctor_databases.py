"""What a database says about whether its tables can be captured, guarded and written to."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from dual_write.database import open_engine, ping, redacted
from dual_write.errors import CheckFailed, DataError, UnreachableError
from dual_write.names import table_name
from dual_write.standby import await_replay

_REPLAY_SECONDS = 5.0
_OPEN_TRANSACTION_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Fact:
    """Something found out about a database: ``good``, or what is wrong and what to do about it.

    ``fatal`` says that the plan cannot run with it.
    """

    text: str
    good: bool = True
    fatal: bool = False
    remedy: str = ""


def reach(engine: sa.Engine) -> None:
    """Raise UnreachableError unless the database answers; unlike connecting, this makes no SQLite file."""
    if engine.dialect.name == "sqlite":
        file = Path(engine.url.database or "")
        if not file.is_file():
            raise UnreachableError(f"there is no database file {file}; create it with its tables first")
    ping(engine)


def facts(connection: sa.Connection, tables: Sequence[str]) -> Iterator[Fact]:
    """What can be said about a database in which ``tables`` are to be captured and written."""
    if connection.dialect.name == "sqlite":
        yield from _sqlite(connection)
    else:
        yield from _postgresql(connection, tables)


def replica(primary: sa.Engine, url: str) -> Fact:
    """Whether checks can read from the standby behind ``url``."""
    standby = open_engine(url)
    try:
        await_replay(primary, standby, _REPLAY_SECONDS)
    except CheckFailed as error:
        return Fact(f"{error}", good=False, remedy="A check waits a minute for it, and fails then.")
    except DataError as error:
        return Fact(f"{error}", good=False, fatal=True, remedy="No check can read from it.")
    finally:
        standby.dispose()
    return Fact(f"{redacted(url)} is a standby of it and keeps up: checks read from there")


def foreign_triggers(connection: sa.Connection, table: str) -> list[str]:
    """The names of the table's own triggers: those that the toolkit did not make."""
    if connection.dialect.name == "sqlite":
        found = connection.scalars(
            sa.text(
                "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND lower(tbl_name) = lower(:name)"
            ),
            {"name": table},
        )
    else:
        found = connection.scalars(
            sa.text(
                "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass(:name) AND NOT tgisinternal "
                "AND tgenabled <> 'D'"
            ),
            {"name": table_name(table)},
        )
    return sorted(name for name in found if not name.startswith("strangler_"))


def _sqlite(connection: sa.Connection) -> Iterator[Fact]:
    file = Path(connection.engine.url.database or "")
    if not (os.access(file, os.W_OK) and os.access(file.absolute().parent, os.W_OK)):
        yield Fact(
            f"{file} or its directory cannot be written by this user, so no trigger can be created",
            good=False,
            fatal=True,
            remedy="Run as the user who owns the file, or give this one the right to write.",
        )
    mode = str(connection.scalar(sa.text("PRAGMA journal_mode"))).lower()
    if mode == "wal":
        yield Fact("journal mode WAL: readers and the writer do not wait for each other")
    else:
        yield Fact(
            f"journal mode {mode!r}: whoever writes makes everybody who reads wait, also the relay",
            good=False,
            remedy="If the application allows it, run `PRAGMA journal_mode = WAL` once on the file.",
        )


def _postgresql(connection: sa.Connection, tables: Sequence[str]) -> Iterator[Fact]:
    role = connection.scalar(sa.text("SELECT current_user"))
    if not connection.scalar(
        sa.text(
            "SELECT to_regnamespace('strangler') IS NOT NULL "
            "OR has_database_privilege(current_database(), 'CREATE')"
        )
    ):
        yield Fact(
            f"{role} may not create the schema `strangler`, where changes are logged",
            good=False,
            fatal=True,
            remedy=f"GRANT CREATE ON DATABASE {connection.engine.url.database} TO {role}.",
        )
    for table in tables:
        owner = connection.scalar(sa.text(_OTHER_OWNER), {"name": table_name(table)})
        if owner is not None:
            yield Fact(
                f"{role} does not own table {table!r}, and only an owner may put triggers on it and take "
                "them off again",
                good=False,
                fatal=True,
                remedy=f"GRANT {owner} TO {role}, or name the owner in the database's URL.",
            )
    if _may_replicate(connection):
        yield Fact(f"{role} may put triggers and foreign keys to sleep while changes are applied")
    else:
        yield Fact(
            f"{role} may not set session_replication_role: foreign keys are checked while changes are "
            "applied, so a row waits for those it refers to",
            good=False,
            remedy=f"As a superuser: GRANT SET ON PARAMETER session_replication_role TO {role} "
            "(PostgreSQL 15 or later).",
        )
    yield from _open_transactions(connection)


_OTHER_OWNER = (
    "SELECT quote_ident(pg_get_userbyid(relowner)) FROM pg_class "
    "WHERE oid = to_regclass(:name) AND NOT pg_has_role(relowner, 'USAGE')"
)


def _may_replicate(connection: sa.Connection) -> bool:
    """Before version 15 only superusers may."""
    version = connection.dialect.server_version_info
    question = (
        "SELECT has_parameter_privilege('session_replication_role', 'SET')"
        if version is not None and version >= (15,)
        else "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
    )
    return bool(connection.scalar(sa.text(question)))


def _open_transactions(connection: sa.Connection) -> Iterator[Fact]:
    row = connection.execute(
        sa.text(
            "SELECT pid, extract(epoch FROM now() - xact_start) AS age FROM pg_stat_activity "
            "WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid() "
            "ORDER BY xact_start LIMIT 1"
        )
    ).one_or_none()
    if row is not None and row.age > _OPEN_TRANSACTION_SECONDS:
        yield Fact(
            f"a transaction (pid {row.pid}) has been open for {row.age:.0f} s: changes wait behind it",
            good=False,
            remedy="Find in pg_stat_activity what keeps it open, and end it.",
        )
