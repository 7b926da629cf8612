"""Channels: one stream between its two databases, read and applied step by step."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from dual_write import inbox as inboxes
from dual_write import parking
from dual_write.adapter import Adapter, Change, Position
from dual_write.apply import WHOLE_TABLE, Applier, Failure, Work, gather
from dual_write.carrier import Carrier, carrier
from dual_write.errors import SchemaError
from dual_write.inbox import Inbox
from dual_write.parking import Parked
from dual_write.rows import Row, Session
from dual_write.stream import Stream, parents_first

_SCAN = 10_000


@dataclass(frozen=True, slots=True)
class Step:
    """``passed`` entries of the log; ``raced`` when another process took the batch."""

    passed: int
    raced: bool = False


class Channel:
    """Reads a stream's change log and brings the target's rows up to date. Not safe between threads."""

    def __init__(self, stream: Stream, source: Adapter, target: Adapter) -> None:
        self.stream = stream
        self.source = source
        self.target = target

    @cached_property
    def carriers(self) -> dict[str, Carrier]:
        """By source table, parents first. Raises SchemaError or MappingError."""
        with self.source.reading() as here, self.target.reading() as there:
            flows = {flow.target: flow for flow in self.stream.flows()}
            order = parents_first(flows, self.target.references(there, list(flows)))
            made = [carrier(flows[table], self.source, here, self.target, there) for table in order]
        return {made_.flow.source: made_ for made_ in made}

    @cached_property
    def applier(self) -> Applier:
        return Applier(self.target, self.stream.name, self.stream.to.other, self.carriers, self.sweep)

    def prove(self) -> None:
        """Raises SchemaError or MappingError when the stream cannot flow between these databases."""
        self.refresh()
        _ = self.carriers

    def refresh(self) -> None:
        """Look at both schemas again before the next step."""
        for cached in ("carriers", "applier"):
            self.__dict__.pop(cached, None)

    def step(self, limit: int, *, beyond_horizon: bool = False, retry_all: bool = False) -> Step:
        """Apply up to ``limit`` entries. Raises FencedError when the stream is closed.

        The batch is read before the target is locked, so that its lock is held for the writing alone; a
        batch that another process applied meanwhile is dropped. Nothing is waited for while the source is
        being read: on SQLite a reader that waits for another lock would hold up the monolith's commits.
        """
        carriers = self.carriers
        with self.target.reading() as there:
            seen = inboxes.read(self.target, there, self.stream.name)
            parked = parking.read(self.target, there, self.stream.name)
        inboxes.require_open(seen, self.stream.name)
        now = time.time()
        due = [entry for entry in parked if retry_all or entry.due <= now]
        with self.source.reading() as here:
            look = self.source.remaining if beyond_horizon else self.source.changes
            changes = look(here, self.stream.name, seen.position, limit)
            works = gather(changes, due)
            if not works:
                return Step(0)
            rows = self._hydrate(here, carriers, works)
        position = _after(seen.position, changes, beyond_horizon=beyond_horizon)
        with self.target.writing() as there:
            locked = inboxes.read(self.target, there, self.stream.name, lock=True)
            inboxes.require_unchanged(seen, locked, self.stream.name)
            if locked.position != seen.position:
                return Step(0, raced=True)
            failures = self.applier.apply(there, locked.epoch, works, rows)
            self._park(there, works, failures, parked)
            moved = replace(locked, position=position, passed=locked.passed + len(changes))
            inboxes.write(self.target, there, self.stream.name, moved)
        return Step(len(changes))

    def guarded(self) -> bool:
        """Whether every table of the source refuses client writes."""
        tables = self.stream.captured()
        return len(self.source.guarded(tables)) == len(tables)

    def opened(self) -> bool:
        """Whether the target takes this stream's changes."""
        with self.target.reading() as session:
            return inboxes.read(self.target, session, self.stream.name).open

    def parked(self) -> list[Parked]:
        with self.target.reading() as session:
            return parking.read(self.target, session, self.stream.name)

    def end(self) -> int:
        """The newest entry's id in the stream's log."""
        with self.source.reading() as session:
            [(end,)] = session.execute(
                f"SELECT coalesce(max(id), 0) FROM {self.source.name('change')} WHERE stream = ?",
                self.stream.name,
            )
        return int(end)

    def waits(self, end: int) -> bool:
        """Whether an entry up to ``end`` has yet to be applied; never when the stream is closed."""
        with self.target.reading() as session:
            inbox = inboxes.read(self.target, session, self.stream.name)
        if not inbox.open:
            return False
        with self.source.reading() as session:
            waiting = self.source.remaining(session, self.stream.name, inbox.position, 1)
        return bool(waiting) and waiting[0].id <= end

    def passing_all(self, inbox: Inbox) -> Inbox:
        """The inbox as if everything in the guarded source's log had been applied."""
        with self.source.reading() as session:
            waiting, _ = self.source.backlog(session, self.stream.name, inbox.position)
        position = replace(inbox.position, floor=max(self.end(), inbox.position.floor))
        return replace(inbox, position=position, passed=inbox.passed + waiting)

    def sweep(self, session: Session, swept: Carrier) -> None:
        """Delete the target's rows that the source no longer has; the inbox is locked by the caller."""
        after = None
        with self.source.reading() as here:
            while keys := swept.reader.keys(here, after, _SCAN):
                swept.writer.stage(session, [swept.key(key) for key in keys])
                after = keys[-1]
        swept.writer.sweep(session)

    def _hydrate(
        self, session: Session, carriers: Mapping[str, Carrier], works: Sequence[Work]
    ) -> dict[tuple[str, str], Row]:
        keys: dict[str, list[str]] = {}
        for work in works:
            if work.table not in carriers:
                raise SchemaError(
                    f"the log of {self.stream.name!r} names table {work.table!r}, "
                    "which the plan no longer has; put it back, "
                    "or run `strangler rollback` to `off` and start the phase again"
                )
            if work.key != WHOLE_TABLE:
                keys.setdefault(work.table, []).append(work.key)
        return {
            (table, key): row
            for table, wanted in keys.items()
            for key, row in carriers[table].reader.rows(session, wanted).items()
        }

    def _park(
        self, session: Session, works: Sequence[Work], failures: Sequence[Failure], parked: Sequence[Parked]
    ) -> None:
        before = {(entry.table, entry.key): entry for entry in parked}
        failed = {(failure.work.table, failure.work.key) for failure in failures}
        now = time.time()
        for work in works:
            name = (work.table, work.key)
            if name in before and name not in failed:
                parking.unpark(self.target, session, self.stream.name, before[name])
        parking.park(
            self.target,
            session,
            self.stream.name,
            [
                parking.again(
                    work.table,
                    work.key,
                    work.seq,
                    work.entries,
                    before.get((work.table, work.key)),
                    failure.error,
                    now,
                )
                for failure in failures
                for work in (failure.work,)
            ],
        )


def _after(position: Position, changes: Sequence[Change], *, beyond_horizon: bool) -> Position:
    """A drain reads by id and leaves the place in reading order alone: transactions older than what it has
    applied may still write to these tables, after the next change of writer."""
    if not changes:
        return position
    last = changes[-1]
    if beyond_horizon:
        return replace(position, floor=last.id)
    return replace(position, xid=last.xid, id=last.id)
