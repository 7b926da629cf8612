"""Channels: one stream between its two databases, read and applied step by step."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from dual_write import drift_log, parking
from dual_write import inbox as inboxes
from dual_write.adapter import Adapter, Change, Position
from dual_write.apply import WHOLE_TABLE, Applier, Failure, Work, gather
from dual_write.carrier import Carrier
from dual_write.drift import Drift, lost_capture, shapes
from dual_write.errors import MappingError, SchemaError
from dual_write.inbox import Inbox
from dual_write.parking import Parked
from dual_write.rows import Row, Session
from dual_write.stream import Stream
from dual_write.view import View, look

_SCAN = 10_000


@dataclass(frozen=True, slots=True)
class Step:
    """``passed`` entries of the log; ``raced`` when another process took the batch."""

    passed: int
    raced: bool = False


class Channel:
    """Reads a stream's change log and brings the target's rows up to date. Not safe between threads."""

    def __init__(
        self,
        stream: Stream,
        source: Adapter,
        target: Adapter,
        faults: Mapping[str, SchemaError] | None = None,
    ) -> None:
        """``faults``: source tables that are known not to fit the plan, with the reason."""
        self.stream = stream
        self.source = source
        self.target = target
        self._known_faults = stream.of_source(faults or {})
        self._mended: frozenset[str] = frozenset()

    @cached_property
    def view(self) -> View:
        """Both schemas as they were looked at last."""
        return look(self.stream, self.source, self.target, self._known_faults)

    @property
    def carriers(self) -> Mapping[str, Carrier]:
        """By source table, parents first. Raises SchemaError when one cannot be carried, or MappingError."""
        for error in self.view.faults.values():
            raise error
        return self.view.carriers

    @cached_property
    def applier(self) -> Applier:
        return Applier(self.target, self.stream.name, self.stream.to.other, self.view.carriers, self.sweep)

    def prove(self) -> None:
        """Raises SchemaError or MappingError when the stream cannot flow between these databases."""
        self.refresh()
        _ = self.carriers

    def refresh(self) -> None:
        """Look at both schemas again before the next step."""
        before: View | None = self.__dict__.pop("view", None)
        self.__dict__.pop("applier", None)
        if before is not None and before.faults:
            self._mended |= set(before.faults) - set(self.view.faults)

    def step(self, limit: int, *, beyond_horizon: bool = False, retry_all: bool = False) -> Step:
        """Apply up to ``limit`` entries. Raises FencedError when the stream is closed.

        The batch is read before the target is locked, so that its lock is held for the writing alone; a
        batch that another process applied meanwhile is dropped. Nothing is waited for while the source is
        being read: on SQLite a reader that waits for another lock would hold up the monolith's commits.

        The changes of a table that no longer fits its mapping are parked, and tried again when it does.
        """
        view = self.view
        with self.target.reading() as there:
            seen = inboxes.read(self.target, there, self.stream.name)
            due = parking.due(
                self.target,
                there,
                self.stream.name,
                math.inf if retry_all else time.time(),
                limit,
                at_once=self._mended,
                never=view.faults,
            )
            any_parked = bool(due) or parking.any_parked(self.target, there, self.stream.name)
            mended = view.faults and view.outdated(
                self.target.shapes(there, list(view.target)), of_source=False
            )
        inboxes.require_open(seen, self.stream.name)
        if mended:
            return self._look_again()
        with self.source.reading() as here:
            read = self.source.remaining if beyond_horizon else self.source.changes
            changes = read(here, self.stream.name, seen.position, limit)
            every = gather(changes, due)
            works = [work for work in every if view.fault(work.table) is None]
            changed = (every or view.faults) and view.outdated(
                self.source.shapes(here, list(view.source)), of_source=True
            )
            if changed or not every:
                return self._look_again() if changed else Step(0)
            stuck = [Failure(work, error) for work in every if (error := view.fault(work.table)) is not None]
            rows = self._hydrate(here, works)
        position = _after(seen.position, changes, beyond_horizon=beyond_horizon)
        with self.target.writing() as there:
            locked = inboxes.read(self.target, there, self.stream.name, lock=True)
            inboxes.require_unchanged(seen, locked, self.stream.name)
            if locked.position != seen.position:
                return Step(0, raced=True)
            if view.outdated(self.target.shapes(there, list(view.target)), of_source=False):
                return self._look_again()
            failures = self.applier.apply(there, locked.epoch, works, rows)
            names = {(work.table, work.key) for work in every} if any_parked else set()
            parked = parking.among(self.target, there, self.stream.name, names)
            self._park(there, every, [*stuck, *failures], parked)
            moved = replace(locked, position=position, passed=locked.passed + len(changes))
            inboxes.write(self.target, there, self.stream.name, moved)
        if len(due) < limit:
            self._mended = frozenset()
        return Step(len(changes))

    def _look_again(self) -> Step:
        """A schema has changed: the batch is read anew, by what the tables are now."""
        self.refresh()
        return Step(0, raced=True)

    def accept(self) -> None:
        """Take the tables' shapes as they are now for right, of those that can be carried so."""
        try:
            view = look(self.stream, self.source, self.target, self._known_faults)
        except MappingError:
            return  # it cannot run in this direction: the gate before `live` says so
        with self.target.writing() as session:
            for flow in (made.flow for made in view.carriers.values()):
                now = shapes(flow, view.source[flow.source], view.target[flow.target])
                drift_log.write(self.target, session, self.stream.name, flow.target, now)
        self.refresh()

    def drift(self) -> list[Drift]:
        """What has changed of the stream's tables since capture began; nothing where it did not."""
        if not self._remembers():
            return []
        self.refresh()
        lost = self.source.uncaptured(self.stream.captured())
        return [*self.view.drifts, *(lost_capture(table) for table in lost)]

    def forget_shapes(self) -> None:
        """Nothing is expected of the tables any more."""
        if self._remembers():
            with self.target.writing() as session:
                drift_log.forget(self.target, session, self.stream.name)

    def _remembers(self) -> bool:
        with self.target.reading() as session:
            return self.target.has_bookkeeping(session) and bool(
                drift_log.read(self.target, session, self.stream.name)
            )

    def guarded(self) -> bool:
        """Whether every table of the source refuses client writes."""
        tables = self.stream.captured()
        return len(self.source.guarded(tables)) == len(tables)

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

    def _hydrate(self, session: Session, works: Sequence[Work]) -> dict[tuple[str, str], Row]:
        keys: dict[str, list[str]] = {}
        for work in works:
            if work.key != WHOLE_TABLE:
                keys.setdefault(work.table, []).append(work.key)
        return {
            (table, key): row
            for table, wanted in keys.items()
            for key, row in self.view.carriers[table].reader.rows(session, wanted).items()
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
