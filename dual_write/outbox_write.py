"""One execution of a statement that writes to a captured table: what is asked of it, and what is learnt."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy
from sqlalchemy.sql.dml import Delete, Insert, Update

from dual_write import outbox_statement as statements
from dual_write.outbox_entry import Entry
from dual_write.outbox_statement import KEY

_OPTION = "strangler_outbox"
Parameters = Sequence[Mapping[str, Any]]


@dataclass(slots=True)
class Write:
    """Travels with the statement as an execution option. ``learn``: how the keys are learnt that it leaves.

    From what it returns by itself (``defaults``), from a column added to what it returns (``returned``, or
    ``text`` where only the compiled text can be added to), or from the ``values`` that it sets.
    """

    entry: Entry
    learn: Literal["", "defaults", "returned", "text", "values"] = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)


def prepared(
    connection: sa.Connection, statement: statements.Write, entry: Entry, parameters: Parameters
) -> statements.Write:
    """The statement as it is executed instead. Of an update or delete, the rows it means are logged now."""
    write = Write(entry)
    if isinstance(statement, Insert):
        statement = _inserting(connection, statement, write, parameters)
    else:
        statement = _changing(connection, statement, write, parameters)
    return statement.execution_options(**{_OPTION: write})


def of(statement: object) -> Write | None:
    """What travels with the statement, if it is one that writes to a captured table."""
    if not isinstance(statement, Insert | Update | Delete):
        return None
    write = statement.get_execution_options().get(_OPTION)
    return write if isinstance(write, Write) else None


def asking(connection: sa.Connection, sql: str, context: Any, entry: Entry) -> str:
    """The compiled text with the key added to what it returns: RETURNING comes last on both engines."""
    key = statements.key_text(entry, connection.dialect.name, str(context.invoked_statement.table.name))
    if connection.dialect.paramstyle in {"format", "pyformat"}:
        key = key.replace("%", "%%")
    return f"{sql}{', ' if context.compiled.effective_returning else ' RETURNING '}{key} AS {KEY}"


def told(cursor: Any, context: Any, write: Write) -> None:
    """Take the key that was added to the text off again before anybody sees it."""
    rows = cursor.fetchall()
    write.keys += [row[-1] for row in rows]
    context.cursor_fetch_strategy = FullyBufferedCursorFetchStrategy(
        cursor, list(cursor.description)[:-1], deque(tuple(row)[:-1] for row in rows)
    )


def record(
    connection: sa.Connection, statement: Any, write: Write, parameters: Parameters, result: Any
) -> None:
    """Log the keys that the statement, now executed, has left behind."""
    if write.learn == "values":
        for given in parameters:
            connection.execute(statements.arrivals(write.entry, statement, write.values, given))
    elif keys := list(_learnt(write, result)):
        entry = write.entry
        connection.execute(
            sa.insert(statements.LOGS[connection.dialect.name]),
            [
                {"strangler_stream": entry.stream, "strangler_tbl": entry.table, "strangler_key": key}
                for key in keys
            ],
        )


def _inserting(connection: sa.Connection, statement: Insert, write: Write, parameters: Parameters) -> Insert:
    """Its rows' keys come back with what it returns: nothing else knows what an upsert has hit."""
    statements.require_kept_key(statement, write.entry)
    # The ORM says what its flushes return by both; no public attribute tells the two apart.
    if statement._return_defaults or (statement.select is None and not statement._returning):
        write.learn = "defaults"
    elif len(parameters) > 1:
        write.learn = "returned"
    else:
        write.learn = "text"
        return statement
    key = statements.key_column(write.entry, connection.dialect.name, str(statement.table.name))
    if write.learn == "returned":
        return statement.returning(key)
    return statement.return_defaults(*statement.table.primary_key, supplemental_cols=[key])


def _changing(
    connection: sa.Connection, statement: statements.Changing, write: Write, parameters: Parameters
) -> statements.Changing:
    """The rows it means are locked and logged before it changes them, and new keys once it has."""
    entry, moves = write.entry, True
    if isinstance(statement, Update):
        values = statements.assigned(statement, parameters)
        moves = any(column in values for column in entry.key)
        if moves:
            write.learn, write.values = ("values" if len(parameters) > 1 else "text"), values
    if connection.dialect.name == "postgresql":
        return statements.self_logging(statement, entry, moves=moves)
    log = statements.logging(entry, "sqlite", statement.table, statement.whereclause, lock=False)
    for given in parameters or [{}]:
        connection.execute(log, statements.parameters_of(log, given))
    return statement


def _learnt(write: Write, result: Any) -> Iterator[str]:
    match write.learn:
        case "text":
            yield from write.keys
        case "defaults":
            yield from (row._mapping[KEY] for row in result.returned_defaults_rows or ())
        case "returned":
            rows = result.all()
            # As if the key had not been asked for.
            result._rewind(rows).columns(*range(len(result.keys()) - 1))
            yield from (row._mapping[KEY] for row in rows)
