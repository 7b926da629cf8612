"""SQLite's change log, looked at by key."""

from collections.abc import Sequence

from dual_write import keys
from dual_write.adapter import Position
from dual_write.rows import Session


def as_written_here(key: str) -> str:
    """The monolith's process may run another SQLite, which escapes text its own way."""
    return keys.encode(keys.decode(key))


def logged(
    session: Session, stream: str, position: Position, table: str, wanted: Sequence[str] | None
) -> bool:
    """As ``Adapter.logged``."""
    rows = session.execute(
        "SELECT key FROM strangler_change WHERE stream = ? AND id > ? AND tbl = ?",
        stream,
        max(position.id, position.floor),
        table,
    )
    return any(wanted is None or key is None or as_written_here(key) in wanted for (key,) in rows)
