"""The inbox: the row in the target that says whether, for which epoch and how far a stream was applied.

Every transaction that applies changes locks it first. That serialises relays, and fences off one that still
works for an epoch that is over.
"""

from dataclasses import dataclass, replace

from dual_write.adapter import Adapter, Position
from dual_write.errors import FencedError
from dual_write.rows import Session

_COLUMNS = "open, epoch, at_xid, at_id, floor_id, passed"


@dataclass(frozen=True, slots=True)
class Inbox:
    """``passed`` counts the entries that the position has gone by."""

    open: bool
    epoch: int
    position: Position
    passed: int


CLOSED = Inbox(open=False, epoch=0, position=Position(), passed=0)


def read(adapter: Adapter, session: Session, stream: str, *, lock: bool = False) -> Inbox:
    rows = session.execute(
        f"SELECT {_COLUMNS} FROM {adapter.name('inbox')} WHERE stream = ?{adapter.row_lock if lock else ''}",
        stream,
    )
    if not rows:
        return CLOSED
    is_open, epoch, xid, number, floor, passed = rows[0]
    return Inbox(bool(is_open), epoch, Position(xid, number, floor), passed)


def write(adapter: Adapter, session: Session, stream: str, inbox: Inbox) -> None:
    at = inbox.position
    session.execute(
        f"INSERT INTO {adapter.name('inbox')} (stream, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (stream) DO UPDATE SET open = excluded.open, epoch = excluded.epoch, "
        "at_xid = excluded.at_xid, at_id = excluded.at_id, floor_id = excluded.floor_id, "
        "passed = excluded.passed",
        stream,
        inbox.open,
        inbox.epoch,
        at.xid,
        at.id,
        at.floor,
        inbox.passed,
    )


def require_open(inbox: Inbox, stream: str) -> None:
    """Raises FencedError."""
    if not inbox.open:
        raise FencedError(
            f"nothing is applied along {stream!r} now: the direction is closed (epoch {inbox.epoch}); "
            "`strangler status` shows who the writer is"
        )


def require_unchanged(seen: Inbox, locked: Inbox, stream: str) -> None:
    """Raises FencedError when the direction was closed or re-opened since ``seen`` was read."""
    require_open(locked, stream)
    if locked.epoch != seen.epoch:
        raise FencedError(
            f"{stream!r} moved on to epoch {locked.epoch} while a batch of epoch {seen.epoch} was under way; "
            "the batch was dropped and will be read again"
        )


def opened(inbox: Inbox, epoch: int, stream: str) -> Inbox:
    """Raises FencedError for an epoch older than the stored one."""
    _require_current(inbox, epoch, stream)
    return replace(inbox, open=True, epoch=epoch)


def closed(inbox: Inbox, epoch: int, stream: str) -> Inbox:
    """Raises FencedError for an epoch older than the stored one."""
    _require_current(inbox, epoch, stream)
    return replace(inbox, open=False)


def _require_current(inbox: Inbox, epoch: int, stream: str) -> None:
    if epoch < inbox.epoch:
        raise FencedError(
            f"{stream!r} is at epoch {inbox.epoch} already; epoch {epoch} is over. "
            "Another controller has gone on: read the state again"
        )
