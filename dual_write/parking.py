"""Parked keys: changes that the target would not take, kept aside so that they hold up nobody else."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from dual_write.adapter import Adapter
from dual_write.rows import Session

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 60.0
_KEYS = 10_000  # in one statement: fewer than either engine takes

# PostgreSQL quotes the offending value at the end of a message.
_VALUE = re.compile(r': ".*"?$', re.DOTALL)


CONFLICT = "both sides changed it, each without the other's change"
"""What a key is parked with that no side may overwrite silently (see ``conflict``)."""


@dataclass(frozen=True, slots=True)
class Parked:
    """A key that waits to be tried again, with the log entries it stands for. ``due`` is in epoch seconds."""

    table: str
    key: str
    seq: int
    entries: int
    attempts: int
    due: float
    error: str

    @property
    def conflict(self) -> bool:
        return self.error == CONFLICT


def again(
    table: str, key: str, seq: int, entries: int, before: Parked | None, error: Exception, now: float
) -> Parked:
    """The key after one more failure: later entries join those it already stands for."""
    attempts = 1 + (before.attempts if before else 0)
    pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(attempts - 1, 16))
    entries += before.entries if before else 0
    return Parked(table, key, seq, entries, attempts, now + pause, reason(error))


def reason(error: Exception) -> str:
    """Why, without the values that the row holds."""
    lines = str(error).strip().splitlines()
    return _VALUE.sub(': "***"', lines[0]) if lines else type(error).__name__


def read(adapter: Adapter, session: Session, stream: str) -> list[Parked]:
    return _select(adapter, session, "stream = ? ORDER BY seq", stream)


def any_parked(adapter: Adapter, session: Session, stream: str) -> bool:
    return bool(_select(adapter, session, "stream = ? LIMIT 1", stream))


def due(
    adapter: Adapter,
    session: Session,
    stream: str,
    now: float,
    limit: int,
    *,
    at_once: Collection[str],
    never: Collection[str],
) -> list[Parked]:
    """The first ``limit`` keys whose time has come, or whose table is in ``at_once``; none of ``never``."""
    return _select(
        adapter,
        session,
        f"stream = ? AND (due <= ? OR tbl IN ({_marks(at_once)})) AND tbl NOT IN ({_marks(never)}) "
        "ORDER BY seq LIMIT ?",
        stream,
        now,
        *at_once,
        *never,
        limit,
    )


def among(
    adapter: Adapter, session: Session, stream: str, names: Collection[tuple[str, str]]
) -> list[Parked]:
    """Those of the (table, key) ``names`` that are parked."""
    keys = list({key for _, key in names})
    return [
        found
        for start in range(0, len(keys), _KEYS)
        for part in (keys[start : start + _KEYS],)
        for found in _select(adapter, session, f"stream = ? AND key IN ({_marks(part)})", stream, *part)
        if (found.table, found.key) in names
    ]


def _select(adapter: Adapter, session: Session, condition: str, *values: object) -> list[Parked]:
    rows = session.execute(
        f"SELECT tbl, key, seq, entries, attempts, due, error FROM {adapter.name('parked')} "
        f"WHERE {condition}",
        *values,
    )
    return [Parked(*row) for row in rows]


def _marks(values: Collection[str]) -> str:
    """Placeholders; for none, the text that no table is called."""
    return ", ".join("?" for _ in values) or "''"


def park(adapter: Adapter, session: Session, stream: str, parked: Sequence[Parked]) -> None:
    for entry in parked:
        session.execute(
            f"INSERT INTO {adapter.name('parked')} VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (stream, tbl, key) DO UPDATE SET seq = excluded.seq, entries = excluded.entries, "
            "attempts = excluded.attempts, due = excluded.due, error = excluded.error",
            stream,
            entry.table,
            entry.key,
            entry.seq,
            entry.entries,
            entry.attempts,
            entry.due,
            entry.error,
        )


def unpark(adapter: Adapter, session: Session, stream: str, entry: Parked) -> None:
    session.execute(
        f"DELETE FROM {adapter.name('parked')} WHERE stream = ? AND tbl = ? AND key = ?",
        stream,
        entry.table,
        entry.key,
    )


def hasten(adapter: Adapter, session: Session, stream: str) -> None:
    """Let every parked key of the stream be tried again at once."""
    session.execute(f"UPDATE {adapter.name('parked')} SET due = 0 WHERE stream = ?", stream)


def give_up_conflicts(adapter: Adapter, session: Session, stream: str) -> list[Parked]:
    """Forget the keys that are parked because both sides changed them; these."""
    conflicts = [entry for entry in read(adapter, session, stream) if entry.conflict]
    for entry in conflicts:
        unpark(adapter, session, stream, entry)
    return conflicts
