"""The outbox: capture without triggers, for an application that writes through SQLAlchemy.

``install`` once where the application makes its engine. From then on what a phase with ``capture = "outbox"``
captures is logged by the application itself, in the transaction that makes the change: the same entries in
the same table as triggers write. While no phase captures anything, nothing is logged.

Seen are the ORM (flush, bulk) and Core statements, on engines, sessions and their asynchronous kin, with
upserts, key updates, executemany, savepoints, and foreign keys that cascade. What cannot be seen exactly is
refused with UncapturedError before it is executed. What does not go through the engine is not seen at all.
"""

import logging
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy
from sqlalchemy.sql.dml import Delete, Insert, Update

from dual_write import outbox_registry
from dual_write import outbox_statement as statements
from dual_write.errors import DataError, UncapturedError
from dual_write.outbox_cascade import cascade
from dual_write.outbox_entry import Entry
from dual_write.outbox_statement import KEY
from dual_write.outbox_text import tables_written

__all__ = ["UncapturedError", "install"]

_log = logging.getLogger(__name__)
_OPTION = "strangler_outbox"
_INSTALLED = "strangler_outbox_installed"
_REPLACE = re.compile(r"\s*(INSERT|UPDATE)\s+OR\s+REPLACE\b", re.IGNORECASE)

Text = Literal["refuse", "warn"]


def install(target: Any, *, text: Text = "refuse") -> None:
    """Let an engine log what is written through it. ``target``: an Engine, an AsyncEngine, or a session
    factory bound to one.

    ``text``: what to do with a statement given as text that writes to a captured table: refuse it with
    UncapturedError, or only warn in the log ``dual_write.outbox``, where what it changes is logged otherwise.
    Raises DataError for a target that leads to no engine, and for engines other than SQLite and PostgreSQL.
    """
    engine = _engine(target)
    if engine.dialect.name not in statements.LOGS:
        raise DataError(f"the outbox supports SQLite and PostgreSQL, not {engine.dialect.name}")
    hook = _Hook(text)
    for name, modifies in (
        ("begin", False),
        ("begin_twophase", False),
        ("before_execute", True),
        ("before_cursor_execute", True),
        ("after_cursor_execute", False),
        ("after_execute", False),
    ):
        event.listen(engine, name, getattr(hook, name), **({"retval": True} if modifies else {}))


def _engine(target: Any) -> sa.Engine:
    bound = getattr(target, "kw", {}).get("bind", target)  # a factory of sessions
    bound = getattr(bound, "sync_engine", bound)
    if not isinstance(bound, sa.Engine):
        raise DataError(
            f"{type(target).__name__} leads to no engine; give outbox.install() the Engine or AsyncEngine, "
            "or a sessionmaker that has `bind`"
        )
    return bound


@dataclass(slots=True)
class _Write:
    """One execution of a statement on its way: of which captured table, how its new keys are learnt."""

    entry: Entry | None
    learn: Literal["", "defaults", "returned", "text", "values"] = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)


class _Hook:
    """What SQLAlchemy calls; each method has the name of its event."""

    def __init__(self, text: Text) -> None:
        self._text = text

    def begin(self, connection: sa.Connection) -> None:
        outbox_registry.forget(connection)

    def begin_twophase(self, connection: sa.Connection, _xid: Any) -> None:
        outbox_registry.forget(connection)

    def before_execute(
        self, connection: sa.Connection, statement: Any, multiple: Any, single: Any, options: Mapping[str, Any]
    ) -> tuple[Any, Any, Any]:
        if isinstance(statement, Insert | Update | Delete) and statement.table not in statements.LOGS.values():
            statement = self._prepared(connection, statement, _parameters(multiple, single), options)
        return statement, multiple, single

    def _prepared(
        self,
        connection: sa.Connection,
        statement: statements.Write,
        parameters: Sequence[Mapping[str, Any]],
        options: Mapping[str, Any],
    ) -> statements.Write:
        registry = outbox_registry.current(connection)
        if registry is outbox_registry.NOTHING:
            return statement
        schemas = options.get("schema_translate_map") or {}
        name = statements.named(statement.table, connection.dialect, schemas)
        entry = None if name is None else registry.entries.get(name)
        if entry is not None and outbox_registry.is_autocommit(connection):
            raise UncapturedError(
                f"a write to {entry.table!r} in autocommit mode cannot be logged in the same transaction; "
                "begin one, or leave the mode"
            )
        write = _Write(entry)
        if isinstance(statement, Insert):
            statement = statement if entry is None else _inserting(statement, entry, write, connection, parameters)
        else:
            if name is not None:
                cascade(connection, statement, name, parameters, registry)
            if entry is not None:
                statement = _changing(statement, entry, write, connection, parameters)
        return statement.execution_options(**{_OPTION: write})

    def before_cursor_execute(
        self, connection: sa.Connection, _cursor: Any, sql: str, parameters: Any, context: Any, _many: bool
    ) -> tuple[str, Any]:
        write = _write(context)
        if write is None or write.entry is None or getattr(context.compiled, "ctes", None):
            self._text_seen(connection, sql, context, write)
        if write is not None and write.entry is not None:
            if _REPLACE.match(sql):
                raise UncapturedError(
                    f"{sql.split(None, 3)[0]} OR REPLACE removes rows of {write.entry.table!r} that the outbox "
                    "cannot tell. Write on_conflict_do_update(), or delete those rows first."
                )
            if write.learn == "text":
                sql = _returning(sql, write.entry, connection, context)
        return sql, parameters

    def _text_seen(self, connection: sa.Connection, sql: str, context: Any, write: _Write | None) -> None:
        """Statements that are no insert(), update() or delete(), or hide another one inside."""
        compiled = context.compiled
        if compiled is not None and compiled.is_sql and not isinstance(compiled.statement, sa.TextClause):
            if not compiled.ctes:
                return
        if not (written := tables_written(sql)):
            return
        registry = outbox_registry.current(connection)
        default = "" if connection.dialect.name == "sqlite" else connection.dialect.default_schema_name or ""
        names = {(schema if default and schema else default, _case(table, default)) for schema, table in written}
        own = None if write is None or write.entry is None else write.entry.name
        seen = sorted(entry.table for name, entry in registry.entries.items() if name in names and name != own)
        if not seen:
            return
        error = statements.unseen(seen)
        if self._text == "refuse":
            raise error
        _log.warning("%s", error)

    def after_cursor_execute(
        self, connection: sa.Connection, cursor: Any, _sql: str, _parameters: Any, context: Any, _many: bool
    ) -> None:
        write = _write(context)
        if write is None or write.learn != "text":
            return
        rows = cursor.fetchall()
        write.keys += [row[-1] for row in rows]
        # What was added to the end of RETURNING is taken off again before anybody sees it.
        context.cursor_fetch_strategy = FullyBufferedCursorFetchStrategy(
            cursor, list(cursor.description)[:-1], deque(tuple(row)[:-1] for row in rows)
        )

    def after_execute(
        self,
        connection: sa.Connection,
        statement: Any,
        multiple: Any,
        single: Any,
        _options: Mapping[str, Any],
        result: Any,
    ) -> None:
        if not isinstance(statement, Insert | Update):
            return
        write = statement.get_execution_options().get(_OPTION)
        if not isinstance(write, _Write) or write.entry is None:
            return
        if write.learn == "values":
            assert isinstance(statement, Update)  # noqa: S101 - inserts learn otherwise
            for parameters in _parameters(multiple, single):
                connection.execute(statements.arrivals(write.entry, statement, write.values, parameters))
        elif write.learn:
            _record(connection, write.entry, list(_learnt(write, result)))


def _inserting(
    statement: Insert,
    entry: Entry,
    write: _Write,
    connection: sa.Connection,
    parameters: Sequence[Mapping[str, Any]],
) -> Insert:
    """Its new rows' keys come back with what it returns: no other way knows what an upsert has hit."""
    key = statements.key_column(entry, connection.dialect.name, str(statement.table.name))
    # The ORM says what its flushes return by both; no public attribute tells the two apart.
    if statement._return_defaults or (statement.select is None and not statement._returning):
        write.learn = "defaults"
        return statement.return_defaults(*statement.table.primary_key, supplemental_cols=[key])
    if len(parameters) < 2:
        write.learn = "text"
        return statement
    write.learn = "returned"
    return statement.returning(key)


def _changing(
    statement: statements.Changing,
    entry: Entry,
    write: _Write,
    connection: sa.Connection,
    parameters: Sequence[Mapping[str, Any]],
) -> statements.Changing:
    """The rows it means are locked and logged before it changes them, and new keys once it has."""
    moves = True
    if isinstance(statement, Update):
        values = statements.assigned(statement, parameters)
        moves = any(column in values for column in entry.key)
        if moves:
            write.learn = "values" if len(parameters) > 1 else "text"
            write.values = values
    if connection.dialect.name == "postgresql":
        return statements.self_logging(statement, entry, moves=moves)
    log = statements.logging(entry, "sqlite", statement.table, statement.whereclause, lock=False)
    for given in parameters or [{}]:
        connection.execute(log, statements.parameters_of(log, given))
    return statement


def _returning(sql: str, entry: Entry, connection: sa.Connection, context: Any) -> str:
    key = statements.key_text(entry, connection.dialect.name, str(context.invoked_statement.table.name))
    if connection.dialect.paramstyle in {"format", "pyformat"}:
        key = key.replace("%", "%%")
    return f"{sql}{', ' if context.compiled.effective_returning else ' RETURNING '}{key} AS {KEY}"


def _learnt(write: _Write, result: Any) -> Iterator[str]:
    if write.learn == "text":
        yield from write.keys
        return
    if write.learn == "defaults":
        rows = result.returned_defaults_rows
    else:
        rows = result.all()
        result._rewind(rows).columns(*range(len(result.keys()) - 1))  # as if the key had not been asked for
    for row in rows or ():
        yield row._mapping[KEY]


def _record(connection: sa.Connection, entry: Entry, keys: Sequence[str]) -> None:
    if keys:
        log = statements.LOGS[connection.dialect.name]
        rows = [
            {"strangler_stream": entry.stream, "strangler_tbl": entry.table, "strangler_key": key} for key in keys
        ]
        connection.execute(sa.insert(log), rows)


def _write(context: Any) -> _Write | None:
    statement = context.invoked_statement
    if not isinstance(statement, Insert | Update | Delete):
        return None
    write = statement.get_execution_options().get(_OPTION)
    return write if isinstance(write, _Write) else None


def _parameters(multiple: Any, single: Any) -> Sequence[Mapping[str, Any]]:
    return multiple or ([single] if single else [])


def _case(table: str, default: str) -> str:
    return table if default else table.lower()
