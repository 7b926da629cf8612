"""The outbox: capture without triggers, for an application that writes through SQLAlchemy.

``install`` once, where the application makes its engine. From then on it logs by itself what a phase with
``capture = "outbox"`` captures, in the transaction that makes the change: the same entries in the same table
as triggers write. While no phase captures anything, nothing is logged.

Seen are the ORM (flush, bulk) and Core statements, on engines, sessions and their asynchronous kin, with
upserts, key updates, executemany, savepoints, and foreign keys that cascade. What cannot be seen exactly is
refused with UncapturedError before it is executed. What does not go through the engine is not seen at all.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any, Literal
from weakref import WeakSet

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.sql.dml import Delete, Insert, Update

from dual_write import outbox_registry as registries
from dual_write import outbox_statement as statements
from dual_write import outbox_write as writes
from dual_write.errors import DataError, UncapturedError
from dual_write.outbox_cascade import cascade
from dual_write.outbox_text import tables_written

__all__ = ["UncapturedError", "install"]

_log = logging.getLogger(__name__)
_REPLACE = re.compile(r"\s*(INSERT|UPDATE)\s+OR\s+REPLACE\b", re.IGNORECASE)
_installed: WeakSet[sa.Engine] = WeakSet()

Text = Literal["refuse", "warn"]


def install(target: Any, *, text: Text = "refuse") -> None:
    """Let an engine log what is written through it. A second call for the same engine changes nothing.

    ``target``: an Engine, an AsyncEngine, or a factory of sessions that is bound to one. ``text``: what to do
    with a statement given as text that writes to a captured table: refuse it with UncapturedError, or let it
    through unlogged and warn, in the log ``dual_write.outbox``.
    Raises DataError for a target that leads to no engine, and for engines other than SQLite and PostgreSQL.
    """
    engine = _engine(target)
    if engine.dialect.name not in statements.LOGS:
        raise DataError(f"the outbox supports SQLite and PostgreSQL, not {engine.dialect.name}")
    if engine in _installed:
        return
    _installed.add(engine)
    hook = _Hook(text)
    for name in ("begin", "begin_twophase", "after_cursor_execute", "after_execute"):
        event.listen(engine, name, getattr(hook, name))
    for name in ("before_execute", "before_cursor_execute"):
        event.listen(engine, name, getattr(hook, name), retval=True)


def _engine(target: Any) -> sa.Engine:
    bound = getattr(target, "kw", {}).get("bind", target)  # a factory of sessions
    bound = getattr(bound, "sync_engine", bound)
    if not isinstance(bound, sa.Engine):
        raise DataError(
            f"{type(target).__name__} leads to no engine; give outbox.install() the Engine or AsyncEngine, "
            "or a sessionmaker that has `bind`"
        )
    return bound


class _Hook:
    """What SQLAlchemy calls; each method has the name of its event."""

    def __init__(self, text: Text) -> None:
        self._text = text

    def begin(self, connection: sa.Connection) -> None:
        registries.forget(connection)

    def begin_twophase(self, connection: sa.Connection, _xid: Any) -> None:
        registries.forget(connection)

    def before_execute(
        self,
        connection: sa.Connection,
        statement: Any,
        multiple: Any,
        single: Any,
        options: Mapping[str, Any],
    ) -> tuple[Any, Any, Any]:
        if isinstance(statement, Insert | Update | Delete) and statement.table not in _LOGS:
            statement = _prepared(connection, statement, _parameters(multiple, single), options)
        return statement, multiple, single

    def before_cursor_execute(
        self,
        connection: sa.Connection,
        _cursor: Any,
        sql: str,
        parameters: Any,
        context: Any,
        _many: bool,
    ) -> tuple[str, Any]:
        write = writes.of(context.invoked_statement)
        if _may_hide_a_write(context):
            self._look_into(connection, sql, write)
        if write is not None and _REPLACE.match(sql):
            raise UncapturedError(
                f"OR REPLACE removes rows of {write.entry.table!r} that the outbox cannot tell. "
                "Write on_conflict_do_update(), or delete those rows first."
            )
        if write is not None and write.learn == "text":
            sql = writes.asking(connection, sql, context, write.entry)
        return sql, parameters

    def after_cursor_execute(
        self,
        _connection: sa.Connection,
        cursor: Any,
        _sql: str,
        _parameters: Any,
        context: Any,
        _many: bool,
    ) -> None:
        write = writes.of(context.invoked_statement)
        if write is not None and write.learn == "text":
            writes.told(cursor, context, write)

    def after_execute(
        self,
        connection: sa.Connection,
        statement: Any,
        multiple: Any,
        single: Any,
        _options: Mapping[str, Any],
        result: Any,
    ) -> None:
        write = writes.of(statement)
        if write is not None:
            writes.record(connection, statement, write, _parameters(multiple, single), result)

    def _look_into(self, connection: sa.Connection, sql: str, write: writes.Write | None) -> None:
        """Whether the text writes to captured tables besides the one that ``write`` takes care of."""
        written = tables_written(sql)
        if not written:
            return
        entries = registries.current(connection).entries
        names = {_catalogued(connection, schema, table) for schema, table in written}
        own = None if write is None else write.entry.name
        if not (unseen := sorted(entries[name].table for name in names & set(entries) if name != own)):
            return
        error = statements.unseen(unseen)
        if self._text == "refuse":
            raise error
        _log.warning("%s", error)


_LOGS = frozenset(statements.LOGS.values())


def _prepared(
    connection: sa.Connection,
    statement: statements.Write,
    parameters: writes.Parameters,
    options: Mapping[str, Any],
) -> statements.Write:
    registry = registries.current(connection)
    name = statements.named(statement.table, connection.dialect, options.get("schema_translate_map") or {})
    if registry is registries.NOTHING or name is None:
        return statement
    if not isinstance(statement, Insert):
        cascade(connection, statement, name, parameters, registry)
    entry = registry.entries.get(name)
    if entry is None:
        return statement
    if registries.is_autocommit(connection):
        raise UncapturedError(
            f"a write to {entry.table!r} in autocommit mode cannot be logged in the same transaction; "
            "begin one, or leave the mode"
        )
    return writes.prepared(connection, statement, entry, parameters)


def _may_hide_a_write(context: Any) -> bool:
    """Text, and statements with others inside; not the insert(), update() and delete() themselves."""
    compiled = context.compiled
    if compiled is None or isinstance(compiled.statement, sa.TextClause):
        return True
    return bool(getattr(compiled, "ctes", None))


def _catalogued(connection: sa.Connection, schema: str, table: str) -> tuple[str, str]:
    if connection.dialect.name == "sqlite":
        return "", table.lower()
    return schema or connection.dialect.default_schema_name or "public", table


def _parameters(multiple: Any, single: Any) -> writes.Parameters:
    return multiple or ([single] if single else [])
