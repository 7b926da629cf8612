"""Backfill: the rows that were there before capture began, copied in key order and resumable.

Capture comes first, so every later change of a row is in the log and leaves a version on the target when it
is applied. A backfilled row carries no version and is written only where none is stored. That alone decides
between a chunk and the changes made while it was read: no marks in the log are needed.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from dual_write import inbox as inboxes
from dual_write import parking
from dual_write.carrier import Carrier
from dual_write.channel import Channel
from dual_write.rows import Copier, Row, Session
from dual_write.sweeping import sweep

_CHUNK = 2_000


@dataclass(frozen=True, slots=True)
class BackfillProgress:
    """Rows copied so far of an estimated total, for the table being copied."""

    table: str
    rows: int
    total: int
    done: bool


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far one table is copied. ``stale``: the target held rows at the start, which may have to go."""

    after: str | None
    copied: int
    stale: bool
    done: bool


class Backfill:
    """Copies one stream's tables, parents first."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._name = channel.stream.name

    def run(self, progress: Callable[[BackfillProgress], None], stop: Callable[[], bool]) -> bool:
        """Copy what is missing; True when complete, False when stopped. Raises FencedError when closed."""
        return all(self._table(carrier, progress, stop) for carrier in self._channel.whole.ordered)

    def complete(self) -> bool:
        with self._channel.target.reading() as session:
            return all(
                checkpoint is not None and checkpoint.done
                for checkpoint in (self._read(session, mapping) for mapping in self._tables())
            )

    def copied(self) -> int:
        """The rows copied so far."""
        with self._channel.target.reading() as session:
            found = [self._read(session, table) for table in self._tables()]
        return sum(checkpoint.copied for checkpoint in found if checkpoint is not None)

    def _tables(self) -> Sequence[str]:
        return [flow.name for flow in self._channel.stream.flows()]

    def _table(
        self, carrier: Carrier, progress: Callable[[BackfillProgress], None], stop: Callable[[], bool]
    ) -> bool:
        checkpoint = self._start(carrier)
        with self._channel.source.reading() as session:
            total = carrier.reader.estimate(session)
        while not checkpoint.done:
            if stop():
                return False
            checkpoint = self._chunk(carrier, checkpoint)
            total = max(total, checkpoint.copied)
            progress(BackfillProgress(carrier.flow.name, checkpoint.copied, total, checkpoint.done))
        return True

    def _start(self, carrier: Carrier) -> Checkpoint:
        with self._channel.target.writing() as session:
            inboxes.require_open(self._lock(session), self._name)
            found = self._read(session, carrier.flow.name)
            if found is None:
                found = Checkpoint(None, 0, not carrier.writer.empty(session), done=False)
                self._write(session, carrier.flow.name, found)
            return found

    def _chunk(self, carrier: Carrier, checkpoint: Checkpoint) -> Checkpoint:
        source, target, flow = self._channel.source, self._channel.target, carrier.flow
        if source.engine == target.engine:
            copier = target.copier(self._name, flow, carrier.reader, carrier.writer)
            if copier is not None:
                return self._copied(carrier, checkpoint, copier)
        with source.reading() as here:
            rows = carrier.reader.chunk(here, checkpoint.after, _CHUNK)
        following = _following(checkpoint, len(rows), rows[-1][0] if len(rows) == _CHUNK else None)
        with target.writing() as there:
            if (overtaken := self._overtaken(there, flow.name, checkpoint)) is not None:
                return overtaken
            self._rows(there, carrier, rows)
            self._finish(there, carrier, following)
        return following

    def _copied(self, carrier: Carrier, checkpoint: Checkpoint, copier: Copier) -> Checkpoint:
        source, target, flow = self._channel.source, self._channel.target, carrier.flow
        with source.reading() as here, target.writing() as there:
            fetched = copier.fetch(here, there, checkpoint.after)
            if (overtaken := self._overtaken(there, flow.name, checkpoint)) is not None:
                return overtaken
            try:
                with there.savepoint(), self._replicating(there, carrier):
                    copier.merge(there)
            except Exception as error:
                if not target.is_row_fault(error):
                    raise
                self._rows(there, carrier, carrier.reader.chunk(here, checkpoint.after, fetched.rows))
            following = _following(checkpoint, fetched.rows, fetched.last)
            self._finish(there, carrier, following)
        return following

    def _rows(self, session: Session, carrier: Carrier, rows: Sequence[tuple[str, Row]]) -> None:
        """Write rows that have no version; those that the target does not take are parked."""
        keys, versioned = [key for key, _ in rows], set[str]()
        for lane in carrier.flow.lanes:
            versioned |= self._channel.target.versioned(session, self._name, lane, keys)
        with self._replicating(session, carrier):
            for part in (rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)):
                self._part(session, carrier, [(key, row) for key, row in part if key not in versioned])

    def _part(self, session: Session, carrier: Carrier, rows: Sequence[tuple[str, Row]]) -> None:
        try:
            with session.savepoint():
                if rows:
                    carrier.writer.upsert(session, [carrier.row(row) for _, row in rows])
        except Exception as error:
            if not self._channel.target.is_row_fault(error):
                raise
            if len(rows) > 1:
                for row in rows:
                    self._part(session, carrier, [row])
                return
            # No log entry stands for the row: it is parked with none, and tried again with the others.
            parked = parking.again(carrier.flow.name, rows[0][0], 0, 0, None, error, time.time())
            parking.park(self._channel.target, session, self._name, [parked])

    def _replicating(self, session: Session, carrier: Carrier) -> AbstractContextManager[None]:
        flow = carrier.flow
        return self._channel.target.replicating(
            session, self._channel.stream.to.other, [flow.target], flow.suppress_triggers
        )

    def _overtaken(self, session: Session, table: str, checkpoint: Checkpoint) -> Checkpoint | None:
        """Lock the inbox; what another process has reached, if it works on the same table."""
        inboxes.require_open(self._lock(session), self._name)
        found = self._read(session, table)
        return None if found == checkpoint else found

    def _finish(self, session: Session, carrier: Carrier, checkpoint: Checkpoint) -> None:
        if checkpoint.done and checkpoint.stale:
            with self._replicating(session, carrier):
                sweep(self._channel.source, session, carrier)
        self._write(session, carrier.flow.name, checkpoint)

    def _lock(self, session: Session) -> inboxes.Inbox:
        return inboxes.read(self._channel.target, session, self._name, lock=True)

    def _read(self, session: Session, table: str) -> Checkpoint | None:
        rows = session.execute(
            f"SELECT after_key, copied, stale, done FROM {self._channel.target.name('backfill')} "
            "WHERE stream = ? AND tbl = ?",
            self._name,
            table,
        )
        return Checkpoint(rows[0][0], rows[0][1], bool(rows[0][2]), bool(rows[0][3])) if rows else None

    def _write(self, session: Session, table: str, checkpoint: Checkpoint) -> None:
        session.execute(
            f"INSERT INTO {self._channel.target.name('backfill')} VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (stream, tbl) DO UPDATE SET "
            "after_key = excluded.after_key, copied = excluded.copied, "
            "stale = excluded.stale, done = excluded.done",
            self._name,
            table,
            checkpoint.after,
            checkpoint.copied,
            checkpoint.stale,
            checkpoint.done,
        )


def _following(checkpoint: Checkpoint, rows: int, last: str | None) -> Checkpoint:
    """``last`` is None behind the table's last row."""
    return Checkpoint(last or checkpoint.after, checkpoint.copied + rows, checkpoint.stale, done=last is None)
