"""PostgreSQL tables whose changes the application logs itself: what `sync` leaves there for its outbox.

The entry stands in the comment on the guard's function, which everybody may read, whether or not there is
such a function: an application asks before its every transaction that writes.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from dual_write.adapter import Captured
from dual_write.errors import LockedError, SchemaError
from dual_write.names import table_name
from dual_write.outbox_entry import Action, Entry, Name, upstream
from dual_write.postgresql_rows import writable_columns
from dual_write.rows import Session

IDLE = "BEGIN RETURN NULL; END"
"""What the guard's function does while clients may write."""

_POLL_SECONDS = 0.01
_ACTIONS = """
SELECT cn.nspname, c.relname, pn.nspname, p.relname, f.confdeltype::text, f.confupdtype::text,
  (SELECT array_agg(a.attname::text ORDER BY k.i) FROM unnest(f.conkey) WITH ORDINALITY AS k(n, i)
   JOIN pg_attribute AS a ON a.attrelid = f.conrelid AND a.attnum = k.n),
  (SELECT array_agg(a.attname::text ORDER BY k.i) FROM unnest(f.confkey) WITH ORDINALITY AS k(n, i)
   JOIN pg_attribute AS a ON a.attrelid = f.confrelid AND a.attnum = k.n)
FROM pg_constraint AS f
JOIN pg_class AS c ON c.oid = f.conrelid JOIN pg_namespace AS cn ON cn.oid = c.relnamespace
JOIN pg_class AS p ON p.oid = f.confrelid JOIN pg_namespace AS pn ON pn.oid = p.relnamespace
WHERE f.contype = 'f' AND (f.confdeltype IN ('c', 'n', 'd') OR f.confupdtype IN ('c', 'n', 'd'))
"""
_TRANSACTIONS = (
    "SELECT DISTINCT l.virtualtransaction FROM pg_locks AS l JOIN pg_stat_activity AS s ON s.pid = l.pid "
    "WHERE l.locktype = 'virtualxid' AND l.granted AND s.datname = current_database() "
    "AND s.backend_type = 'client backend' AND s.pid <> pg_backend_pid()"
)


def registration(session: Session, captured: Captured) -> str:
    """The entry's text. Raises SchemaError when the table lacks a key column."""
    types = writable_columns(session, captured.table)
    if missing := [column for column in captured.key if column not in types]:
        raise SchemaError(f"table {captured.table!r} has no key column {missing[0]!r}; correct the plan")
    [name] = session.execute(
        "SELECT n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "WHERE c.oid = ?::text::regclass",
        table_name(captured.table),
    )
    return Entry(
        captured.stream,
        captured.table,
        _name(*name),
        captured.key,
        tuple(types[column].base for column in captured.key),
        tuple(upstream(_actions(session), _name(*name))),
    ).text()


def admit(session: Session) -> None:
    """Whoever may write to a captured table may log it. An entry names a key to be read again, no more."""
    session.execute("GRANT USAGE ON SCHEMA strangler TO PUBLIC")
    session.execute("GRANT INSERT (stream, tbl, key) ON strangler.change TO PUBLIC")


def wait_for_transactions(reading: Callable[[], AbstractContextManager[Session]], timeout: float) -> None:
    """Return when every transaction that may have asked for the entries before now has ended.

    Raises LockedError after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    with reading() as session:
        waiting = {each for (each,) in session.execute(_TRANSACTIONS)}
    while waiting:
        if time.monotonic() > deadline:
            raise LockedError(
                f"{len(waiting)} transactions that began before the outbox was told are still open after "
                f"{timeout:g} s; end them (pg_stat_activity shows them) and try again"
            )
        time.sleep(_POLL_SECONDS)
        with reading() as session:
            waiting &= {each for (each,) in session.execute(_TRANSACTIONS)}


def _actions(session: Session) -> Sequence[Action]:
    return [
        Action(
            child=_name(child_schema, child),
            child_columns=tuple(child_columns),
            parent=_name(parent_schema, parent),
            parent_columns=tuple(parent_columns),
            deletes=on_delete in "cnd",
            updates=on_update in "cnd",
            takes=on_delete == "c",
        )
        for (
            child_schema,
            child,
            parent_schema,
            parent,
            on_delete,
            on_update,
            child_columns,
            parent_columns,
        ) in session.execute(_ACTIONS)
    ]


def _name(schema: str, name: str) -> Name:
    return schema, name
