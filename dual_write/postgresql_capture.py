"""PostgreSQL's triggers: one a table, whose function logs changes or, while guarded, refuses them.

Guarding replaces the function's body instead of creating a trigger: that takes no lock on the table, so it
neither waits for readers and vacuum nor makes writers queue behind it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256

from dual_write import postgresql_outbox
from dual_write.adapter import Captured, Ownership
from dual_write.errors import LockedError, SchemaError
from dual_write.names import quote, table_name
from dual_write.postgresql_rows import key_expression, literal, writable_columns
from dual_write.rows import Session

_UNMARKED = "coalesce(current_setting('strangler.origin', true), '') = ''"
# Each is asked with every batch: one statement's way to the server and back.
_MARK = (
    "SELECT CASE WHEN has_parameter_privilege('session_replication_role', 'SET') "
    "THEN set_config('session_replication_role', 'replica', true) END "
    "FROM set_config('strangler.origin', ?, true)"
)
_MARK_ALONE = "SELECT set_config('strangler.origin', ?, true)"
_UNMARK_ALONE = "SELECT set_config('strangler.origin', '', true)"
_UNMARK = f"{_UNMARK_ALONE}, set_config('session_replication_role', 'origin', true)"
_POLL_SECONDS = 0.005
_GUARD = "guard"


def install(session: Session, captured: Captured) -> None:
    """Log every insert, update, delete and truncate of the table. A guard that stands is left alone."""
    table, trigger = table_name(captured.table), _trigger(captured)
    if not is_guarded(session, captured):
        _admit_clients(session, captured)
    for name, events, each in (
        (trigger, "INSERT OR UPDATE OR DELETE", "ROW"),
        (f"{trigger}_truncate", "TRUNCATE", "STATEMENT"),
    ):
        if _has_trigger(session, captured, name):
            continue
        session.execute(
            f"CREATE TRIGGER {name} AFTER {events} ON {table} FOR EACH {each} "
            f"WHEN ({_UNMARKED}) EXECUTE FUNCTION {_function(captured)}()"
        )
        # Rows that a logical replication subscription writes are changes too.
        session.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


def is_installed(session: Session, captured: Captured) -> bool:
    """Under whatever name the table has now."""
    return bool(session.execute("SELECT 1 FROM pg_trigger WHERE tgname = ?", _trigger(captured)))


def remove(session: Session, captured: Captured) -> None:
    [(exists,)] = session.execute("SELECT to_regclass(?) IS NOT NULL", table_name(captured.table))
    for name in (_trigger(captured), f"{_trigger(captured)}_truncate"):
        if exists and _has_trigger(session, captured, name):
            session.execute(f"DROP TRIGGER {name} ON {table_name(captured.table)}")
    session.execute(f"DROP FUNCTION IF EXISTS {_function(captured)}()")
    session.execute(f"DROP SEQUENCE IF EXISTS {_refusals(captured)}")


def guard(session: Session, captured: Captured, ownership: Ownership) -> None:
    """Refuse unmarked writes that begin from now on."""
    refusal = ownership.refusal(captured.table)
    # An outbox's entry stays: a transaction that asks while the guard stands may write when it is lifted.
    purpose = f"{_GUARD} {postgresql_outbox.registration(session, captured)}" if captured.outbox else _GUARD
    # A sequence keeps what it has given out when the refused transaction is rolled back.
    session.execute(f"CREATE SEQUENCE IF NOT EXISTS {_refusals(captured)}")
    counts = f"PERFORM nextval({literal(_refusals(captured))})"
    body = f"BEGIN {counts}; RAISE EXCEPTION USING MESSAGE = {literal(refusal)}; END"
    _define(session, captured, body, purpose)
    install(session, captured)


def unguard(session: Session, captured: Captured) -> None:
    if is_guarded(session, captured):
        _admit_clients(session, captured)


def is_guarded(session: Session, captured: Captured) -> bool:
    rows = session.execute(
        "SELECT obj_description(to_regprocedure(?), 'pg_proc')", f"{_function(captured)}()"
    )
    [(purpose,)] = rows
    return purpose is not None and purpose.split(" ")[0] == _GUARD


def refused(session: Session, captured: Captured) -> int:
    """How many statements the table's guard has refused since capture was installed."""
    name = _refusals(captured)
    if session.execute("SELECT to_regclass(?) IS NULL", name) == [(True,)]:
        return 0
    [(number,)] = session.execute(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {name}")
    return int(number)


def wait_for_writers(
    reading: Callable[[], AbstractContextManager[Session]], tables: Sequence[Captured], timeout: float
) -> None:
    """Return when every transaction that could have written before a guard stood has ended."""
    deadline = time.monotonic() + timeout
    names = [table_name(table.table) for table in tables]
    with reading() as session:
        writers = _writers(session, names)
    while writers:
        if time.monotonic() > deadline:
            raise LockedError(
                f"a transaction that wrote to {', '.join(table.table for table in tables)} is still open "
                f"after {timeout:g} s; end it (pg_stat_activity shows it) and try again"
            )
        time.sleep(_POLL_SECONDS)
        with reading() as session:
            writers &= _writers(session, names)


@contextmanager
def marked(session: Session, origin: str, asleep: Sequence[str]) -> Iterator[None]:
    """Capture passes over what is written inside, and foreign triggers and foreign key actions of the tables
    ``asleep`` do not fire for it.
    """
    [(role,)] = session.execute(_MARK if asleep else _MARK_ALONE, origin)
    replicating = bool(asleep) and role is not None
    # Without that right: the owner may put each trigger to sleep; foreign keys stay checked.
    foreign = [] if replicating else _foreign_triggers(session, asleep)
    for table, trigger in foreign:
        session.execute(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}")
    yield
    if foreign:
        # A table with checks still to come cannot be altered.
        session.execute("SET CONSTRAINTS ALL IMMEDIATE")
    for table, trigger in foreign:
        session.execute(f"ALTER TABLE {table} ENABLE TRIGGER {trigger}")
    session.execute(_UNMARK if replicating else _UNMARK_ALONE)


def _foreign_triggers(session: Session, tables: Sequence[str]) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for table in map(table_name, tables):
        found = session.execute(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = ?::text::regclass AND NOT tgisinternal "
            "AND tgenabled = 'O' AND tgname NOT LIKE 'strangler\\_%'",
            table,
        )
        rows += [(table, quote(name)) for (name,) in found]
    return rows


def _writers(session: Session, tables: Sequence[str]) -> set[str]:
    rows = session.execute(
        "SELECT DISTINCT l.virtualtransaction FROM pg_locks AS l "
        "JOIN unnest(?::text[]) AS t(name) ON true JOIN pg_partition_tree(t.name::regclass) AS p ON true "
        "WHERE l.relation = p.relid AND l.granted "
        "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        "AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock') "
        "UNION SELECT DISTINCT l.virtualtransaction FROM pg_locks AS l "
        "JOIN unnest(?::text[]) AS t(name) ON l.relation = t.name::regclass WHERE l.granted "
        "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        "AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')",
        list(tables),
        list(tables),
    )
    return {transaction for (transaction,) in rows}


def _admit_clients(session: Session, captured: Captured) -> None:
    """Let clients write: log what they do, unless their application does."""
    if captured.outbox:
        purpose = f"outbox {postgresql_outbox.registration(session, captured)}"
        _define(session, captured, postgresql_outbox.IDLE, purpose)
        postgresql_outbox.admit(session)
    else:
        _define(session, captured, _logging(session, captured), "capture")


def _logging(session: Session, captured: Captured) -> str:
    types = writable_columns(session, captured.table)
    if missing := [column for column in captured.key if column not in types]:
        raise SchemaError(f"table {captured.table!r} has no key column {missing[0]!r}; correct the plan")
    entry = (
        "INSERT INTO strangler.change (stream, tbl, key) "
        f"VALUES ({literal(captured.stream)}, {literal(captured.table)}, "
    )
    key_types = [types[column] for column in captured.key]
    new, old = (
        key_expression([f"{row}.{quote(column)}" for column in captured.key], key_types)
        for row in ("NEW", "OLD")
    )
    return (
        f"DECLARE new_key text; old_key text; BEGIN "
        f"IF TG_OP = 'TRUNCATE' THEN {entry}NULL); RETURN NULL; END IF; "
        f"IF TG_OP <> 'INSERT' THEN old_key := {old}; END IF; "
        f"IF TG_OP <> 'DELETE' THEN new_key := {new}; END IF; "
        # The old key first: where both are the same row to the target, as 1.5 and 1.50, the row stays.
        f"IF old_key IS DISTINCT FROM new_key AND old_key IS NOT NULL THEN {entry}old_key); END IF; "
        f"IF new_key IS NOT NULL THEN {entry}new_key); END IF; "
        f"RETURN NULL; END"
    )


def _define(session: Session, captured: Captured, body: str, purpose: str) -> None:
    name = _function(captured)
    # Definer's rights: the monolith's own user knows nothing of this schema.
    session.execute(
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
        f"SET search_path = pg_catalog, pg_temp AS {literal(body)}"
    )
    session.execute(f"COMMENT ON FUNCTION {name}() IS {literal(purpose)}")


def _has_trigger(session: Session, captured: Captured, name: str) -> bool:
    return bool(
        session.execute(
            "SELECT 1 FROM pg_trigger WHERE tgrelid = ?::text::regclass AND tgname = ?",
            table_name(captured.table),
            name,
        )
    )


def _function(captured: Captured) -> str:
    return f"strangler.capture_{_digest(captured)}"


def _refusals(captured: Captured) -> str:
    return f"strangler.refused_{_digest(captured)}"


def _trigger(captured: Captured) -> str:
    return f"strangler_capture_{_digest(captured)}"


def _digest(captured: Captured) -> str:
    return sha256(f"{captured.stream}\0{captured.table}".encode()).hexdigest()[:12]
