"""SQLite tables whose changes the application logs itself: what `sync` leaves there for its outbox."""

from collections.abc import Sequence

from dual_write.adapter import Captured
from dual_write.errors import SchemaError
from dual_write.outbox_entry import Action, Entry, Name, upstream
from dual_write.rows import Session
from dual_write.sqlite_rows import writable_columns

_REPLACES = (
    "SELECT 1 FROM sqlite_master WHERE type = 'table' AND lower(name) = ? "
    "AND lower(sql) LIKE '%on conflict replace%'"
)
_CHANGES = ("CASCADE", "SET NULL", "SET DEFAULT")


def register(session: Session, captured: Captured) -> None:
    """Raises SchemaError when the table lacks a key column."""
    known = writable_columns(session, captured.table)
    if missing := [column for column in captured.key if column not in known]:
        raise SchemaError(f"table {captured.table!r} has no key column {missing[0]!r}; correct the plan")
    name = _name(captured.table)
    if session.execute(_REPLACES, name[1]):
        raise SchemaError(
            f"table {captured.table!r} is declared with ON CONFLICT REPLACE, which removes rows that an "
            'outbox cannot see; capture the phase by triggers (`capture = "trigger"` in the plan)'
        )
    entry = Entry(
        captured.stream, captured.table, name, captured.key, (), tuple(upstream(_actions(session), name))
    )
    session.execute(
        "INSERT INTO strangler_outbox VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET entry = excluded.entry",
        captured.stream,
        captured.table,
        entry.text(),
    )


def is_installed(session: Session, captured: Captured) -> bool:
    return bool(
        session.execute(
            "SELECT 1 FROM strangler_outbox WHERE stream = ? AND tbl = ?", captured.stream, captured.table
        )
    )


def unregister(session: Session, captured: Captured) -> None:
    if session.execute("SELECT 1 FROM sqlite_master WHERE name = 'strangler_outbox'"):
        session.execute(
            "DELETE FROM strangler_outbox WHERE stream = ? AND tbl = ?", captured.stream, captured.table
        )


def _actions(session: Session) -> Sequence[Action]:
    found = []
    for (table,) in session.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
        keys: dict[int, list[tuple[str, str | None]]] = {}
        said: dict[int, tuple[str, str, str]] = {}
        for number, parent, own, theirs, on_update, on_delete in session.execute(
            'SELECT id, "table", "from", "to", on_update, on_delete FROM pragma_foreign_key_list(?) '
            "ORDER BY id, seq",
            table,
        ):
            keys.setdefault(number, []).append((own, theirs))
            said[number] = parent, on_update, on_delete
        for number, columns in keys.items():
            parent, on_update, on_delete = said[number]
            if on_update in _CHANGES or on_delete in _CHANGES:
                found.append(
                    Action(
                        child=_name(table),
                        child_columns=tuple(own for own, _ in columns),
                        parent=_name(parent),
                        parent_columns=_referred(session, parent, [theirs for _, theirs in columns]),
                        deletes=on_delete in _CHANGES,
                        updates=on_update in _CHANGES,
                        takes=on_delete == "CASCADE",
                    )
                )
    return found


def _referred(session: Session, parent: str, columns: Sequence[str | None]) -> tuple[str, ...]:
    """A foreign key that names no columns refers to the primary key."""
    named = tuple(column for column in columns if column is not None)
    if len(named) == len(columns):
        return named
    rows = session.execute("SELECT name FROM pragma_table_xinfo(?) WHERE pk > 0 ORDER BY pk", parent)
    return tuple(name for (name,) in rows)


def _name(table: str) -> Name:
    return "", table.lower()
