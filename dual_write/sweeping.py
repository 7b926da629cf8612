"""Sweeping: a target's table brought to what the source has, after a truncation or before a backfill."""

from dual_write.adapter import Adapter
from dual_write.carrier import Carrier
from dual_write.rows import Session

_SCAN = 10_000


def sweep(source: Adapter, session: Session, swept: Carrier) -> None:
    """Delete the target's rows that the source no longer has; the inbox is locked by the caller.

    Rows that are made of several tables' are written as well: one of these tables may be empty now.
    """
    after = None
    with source.reading() as here:
        while swept.flow.joined and (rows := swept.reader.chunk(here, after, _SCAN)):
            swept.writer.upsert(session, [swept.row(row) for _, row in rows])
            after = rows[-1][0]
        after = None
        while keys := swept.reader.keys(here, after, _SCAN):
            swept.writer.stage(session, [swept.key(key) for key in keys])
            after = keys[-1]
    swept.writer.sweep(session)
