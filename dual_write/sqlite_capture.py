"""SQLite's triggers: those that log changes or refuse stray writes, and foreign ones put to sleep."""

from collections.abc import Sequence
from hashlib import sha256

from dual_write.adapter import Captured, Ownership
from dual_write.errors import SchemaError
from dual_write.keys import sqlite_expression
from dual_write.names import quote
from dual_write.rows import Session
from dual_write.sqlite_rows import text, writable_columns

_UNMARKED = "NOT EXISTS (SELECT 1 FROM strangler_session)"
_EVENTS = ("INSERT", "UPDATE", "DELETE")


def install(session: Session, captured: Captured) -> None:
    """Log every insert, update and delete of the table; replaces what an earlier install left."""
    known = writable_columns(session, captured.table)
    if missing := [column for column in captured.key if column not in known]:
        raise SchemaError(f"table {captured.table!r} has no key column {missing[0]!r}; correct the plan")
    _drop(session, captured, "log")
    table = quote(captured.table)
    columns = [quote(column) for column in captured.key]
    new, old = sqlite_expression("NEW", columns), sqlite_expression("OLD", columns)
    entry = (
        "INSERT INTO strangler_change (stream, tbl, key) "
        f"SELECT {text(captured.stream)}, {text(captured.table)}, "
    )
    bodies = {
        "INSERT": f"{entry}{new};",
        # The old key first: where both are the same row to the target, as 'a' and 'A' may be, the row stays.
        "UPDATE": f"{entry}{old} WHERE {old} <> {new}; {entry}{new};",
        "DELETE": f"{entry}{old};",
    }
    for event, body in bodies.items():
        name = _name(captured, "log", event)
        session.execute(f"CREATE TRIGGER {name} AFTER {event} ON {table} WHEN {_UNMARKED} BEGIN {body} END")
    # REPLACE deletes rows that hold the new row's unique values without firing delete triggers.
    for number, unique in enumerate(_unique_columns(session, captured.table)):
        held = " AND ".join(f"{quote(column)} = NEW.{quote(column)}" for column in unique)
        key = sqlite_expression("r", columns)
        listed = ", ".join(quote(column) for column in unique)
        for event, condition in (("INSERT", ""), (f"UPDATE OF {listed}", f" AND {key} <> {old}")):
            name = _name(captured, "log", f"{event.split()[0]}_unique{number}")
            session.execute(
                f"CREATE TRIGGER {name} BEFORE {event} ON {table} WHEN {_UNMARKED} BEGIN "
                f"{entry}{key} FROM {table} AS r WHERE {held}{condition}; END"
            )


def is_installed(session: Session, captured: Captured) -> bool:
    return bool(_triggers(session, captured, "log"))


def remove(session: Session, captured: Captured) -> None:
    _drop(session, captured, "log")
    _drop(session, captured, "guard")


def guard(session: Session, captured: Captured, ownership: Ownership) -> None:
    """Refuse unmarked writes from now on."""
    _drop(session, captured, "guard")
    refusal = text(ownership.refusal(captured.table))
    for event in _EVENTS:
        session.execute(
            f"CREATE TRIGGER {_name(captured, 'guard', event)} BEFORE {event} ON {quote(captured.table)} "
            f"WHEN {_UNMARKED} BEGIN SELECT RAISE(ABORT, {refusal}); END"
        )


def unguard(session: Session, captured: Captured) -> None:
    _drop(session, captured, "guard")


def is_guarded(session: Session, captured: Captured) -> bool:
    return bool(_triggers(session, captured, "guard"))


def foreign_triggers(session: Session, tables: Sequence[str]) -> list[tuple[str, str]]:
    """Name and statement of the tables' triggers that are not the toolkit's."""
    marks = ", ".join("?" for _ in tables)
    rows = session.execute(
        f"SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND lower(tbl_name) IN ({marks}) "
        "AND name NOT GLOB 'strangler_*' ORDER BY rowid",
        *(table.lower() for table in tables),
    )
    return [(name, sql) for name, sql in rows]


def _drop(session: Session, captured: Captured, purpose: str) -> None:
    for name in _triggers(session, captured, purpose):
        session.execute(f"DROP TRIGGER {quote(name)}")


def _triggers(session: Session, captured: Captured, purpose: str) -> list[str]:
    pattern = f"strangler_{purpose}_{_digest(captured)}_*"
    rows = session.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND name GLOB ?", pattern)
    return [name for (name,) in rows]


def _name(captured: Captured, purpose: str, event: str) -> str:
    return f"strangler_{purpose}_{_digest(captured)}_{event.lower()}"


def _digest(captured: Captured) -> str:
    return sha256(f"{captured.stream}\0{captured.table}".encode()).hexdigest()[:12]


def _unique_columns(session: Session, table: str) -> list[tuple[str, ...]]:
    indexes = session.execute('SELECT name FROM pragma_index_list(?) WHERE "unique" = 1', table)
    groups = []
    for (index,) in indexes:
        columns = [column for (column,) in session.execute("SELECT name FROM pragma_index_info(?)", index)]
        # An index over an expression has no column to compare; its REPLACE is left to the check.
        if None not in columns:
            groups.append(tuple(columns))
    return groups
