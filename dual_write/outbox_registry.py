"""Which tables are captured now: asked of the application's own database once in each of its transactions.

`sync` and the end of a phase wait for the transactions that may have asked before (``postgresql_outbox``); on
SQLite there are none, because whoever asks has the file's write lock already.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import sqlalchemy as sa

from dual_write.outbox_entry import Action, Entry, Name, entry

_HELD = "strangler.outbox"
_POSTGRESQL = (
    "SELECT substring(d.description FROM position('{' IN d.description)) FROM pg_catalog.pg_namespace AS n "
    "JOIN pg_catalog.pg_proc AS p ON p.pronamespace = n.oid JOIN pg_catalog.pg_description AS d "
    "ON d.objoid = p.oid AND d.classoid = 'pg_catalog.pg_proc'::regclass "
    "WHERE n.nspname = 'strangler' AND position('{' IN d.description) > 0"
)


@dataclass(frozen=True, slots=True)
class Registry:
    """The captured tables by name, and the foreign keys by which other tables' changes reach them."""

    entries: Mapping[Name, Entry]
    actions: frozenset[Action]


NOTHING = Registry({}, frozenset())


def current(connection: sa.Connection) -> Registry:
    """What is captured in the connection's transaction; on SQLite this begins one that may write."""
    known = connection.info.get(_HELD)
    if known is None:
        known = connection.info[_HELD] = _read(connection)
        if is_autocommit(connection):
            forget(connection)
    return cast("Registry", known)


def forget(connection: sa.Connection) -> None:
    """A transaction begins."""
    connection.info.pop(_HELD, None)


def is_autocommit(connection: sa.Connection) -> bool:
    """Whether each statement is a transaction of its own."""
    driver = connection.connection.dbapi_connection
    if driver is None or not connection.dialect.detect_autocommit_setting(driver):
        return False
    return connection.dialect.name != "sqlite" or not _in_transaction(connection)


def _read(connection: sa.Connection) -> Registry:
    if connection.dialect.name == "sqlite":
        texts = _sqlite(connection)
    else:
        texts = list(connection.exec_driver_sql(_POSTGRESQL).scalars())
    entries = [entry(text) for text in texts]
    if not entries:
        return NOTHING
    actions = frozenset(action for each in entries for action in each.actions)
    return Registry({each.name: each for each in entries}, actions)


def _sqlite(connection: sa.Connection) -> list[str]:
    if not is_autocommit(connection) and not _in_transaction(connection):
        # A write follows, which would take this lock; asked without it, the answer could be old by then.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    if not connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = 'strangler_outbox'").first():
        return []
    return list(connection.exec_driver_sql("SELECT entry FROM strangler_outbox").scalars())


def _in_transaction(connection: sa.Connection) -> bool:
    driver = connection.connection.driver_connection
    return bool(driver is not None and driver.in_transaction)
