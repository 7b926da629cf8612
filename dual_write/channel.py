"""Channels: one stream between its two databases, read and applied step by step."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial

from dual_write import inbox as inboxes
from dual_write import parking
from dual_write.adapter import Adapter, Change
from dual_write.apply import WHOLE_TABLE, Applier, Failure, Work, gather, routed
from dual_write.batch import Batch, Step, after
from dual_write.conflict import Known, Opposite
from dual_write.errors import SchemaError
from dual_write.inbox import Inbox
from dual_write.parking import Parked
from dual_write.rows import Row, Session
from dual_write.stream import Stream
from dual_write.sweeping import sweep
from dual_write.view import View, look

_RETRIED = 1_000
"""So many parked keys are tried at once where no entries are read with them."""


class Channel:
    """Reads a stream's change log and brings the target's rows up to date. Not safe between threads."""

    def __init__(
        self,
        stream: Stream,
        source: Adapter,
        target: Adapter,
        faults: Mapping[str, SchemaError] | None = None,
        opposite: Stream | None = None,
    ) -> None:
        """``faults``: source tables that are known not to fit the plan, with the reason. ``opposite``: the
        stream that flows against this one while both sides take writes.
        """
        self.stream = stream
        self.source = source
        self.target = target
        self.known_faults = stream.of_source(faults or {})
        self.opposite = None if opposite is None else Opposite(opposite.name, source, target)
        self._mended: frozenset[str] = frozenset()

    @cached_property
    def view(self) -> View:
        """Both schemas as they were looked at last."""
        return look(self.stream, self.source, self.target, self.known_faults)

    @property
    def whole(self) -> View:
        """The view, when every table can be carried. Raises SchemaError, or MappingError."""
        for error in self.view.faults.values():
            raise error
        return self.view

    @cached_property
    def applier(self) -> Applier:
        return Applier(
            self.target,
            self.stream.name,
            self.stream.to.other,
            self.view.carriers,
            partial(sweep, self.source),
            self.opposite,
        )

    def prove(self) -> None:
        """Raises SchemaError or MappingError when the stream cannot flow between these databases."""
        self.refresh()
        _ = self.whole

    def refresh(self) -> None:
        """Look at both schemas again before the next step."""
        before: View | None = self.__dict__.pop("view", None)
        self.__dict__.pop("applier", None)
        if before is not None and before.faults:
            self._mended |= set(before.faults) - set(self.view.faults)

    def step(self, limit: int, *, beyond_horizon: bool = False, retry_all: bool = False) -> Step:
        """Read up to ``limit`` entries and apply them. Raises FencedError when the stream is closed."""
        batch = self.read(limit, beyond_horizon=beyond_horizon, retry_all=retry_all)
        return Step(0) if batch is None else self.write(batch)

    def read(
        self,
        limit: int,
        *,
        behind: Inbox | None = None,
        beyond_horizon: bool = False,
        retry_all: bool = False,
    ) -> Batch | None:
        """The next batch; with ``behind`` the one behind that place. None when there is nothing.

        A table that has changed is looked at again, but not with ``behind``: then None is said as well.

        Nothing is waited for while the source is being read: on SQLite a reader that waits for another lock
        would hold up the monolith's commits. The changes of a table that no longer fits its mapping are to
        be parked, and tried again when it does.
        """
        while True:
            view = self.view
            if behind is None:
                seen, due, outdated = self._look_in(view, limit, retry_all=retry_all)
            else:
                seen, due, outdated = behind, [], False
            inboxes.require_open(seen, self.stream.name)
            with self.source.reading() as here:
                known = None if self.opposite is None else self.opposite.known(here)
                read = self.source.remaining if beyond_horizon else self.source.changes
                changes = read(here, self.stream.name, seen.position, limit)
                works = gather(routed(changes, view.lanes), due)
                if works or view.faults:
                    now = self.source.shapes(here, list(view.source))
                    outdated = outdated or view.outdated(now, of_source=True)
                if not outdated:
                    return self._batch(
                        here, view, seen, known, works, changes, limit, beyond_horizon, len(due)
                    )
            if behind is not None:
                return None  # whoever writes the batch before it will look at the schema again
            self.refresh()

    def _look_in(self, view: View, limit: int, *, retry_all: bool) -> tuple[Inbox, list[Parked], bool]:
        """The inbox, what is due of what is parked, and whether a target that did not fit has changed."""
        with self.target.reading() as there:
            seen = inboxes.read(self.target, there, self.stream.name)
            due = parking.due(
                self.target,
                there,
                self.stream.name,
                math.inf if retry_all else time.time(),
                limit or _RETRIED,
                at_once=self._mended,
                never=view.faults,
            )
            changed = bool(view.faults) and view.outdated(
                self.target.shapes(there, list(view.target)), of_source=False
            )
        return seen, due, changed

    def _batch(
        self,
        session: Session,
        view: View,
        seen: Inbox,
        known: Known | None,
        works: Sequence[Work],
        changes: Sequence[Change],
        limit: int,
        beyond_horizon: bool,
        due: int,
    ) -> Batch | None:
        if not works:
            return None
        works, stuck = view.fitting(works)
        return Batch(
            seen,
            view,
            known,
            works,
            stuck,
            self.hydrate(session, view, works),
            len(changes),
            after(seen.position, changes, beyond_horizon=beyond_horizon),
            full=len(changes) == limit,
            retried_all=due < (limit or _RETRIED),
        )

    def write(self, batch: Batch) -> Step:
        """Apply a batch, unless another process has applied its entries meanwhile. Raises FencedError.

        It was read before the target is locked, so that the lock is held for the writing alone.
        """
        name = self.stream.name
        with self.target.writing() as there:
            locked = inboxes.read(self.target, there, name, lock=True)
            inboxes.require_unchanged(batch.seen, locked, name)
            if locked.position != batch.seen.position:
                return Step(0, raced=True)
            view = batch.view
            if view is not self.view or view.outdated(
                self.target.shapes(there, list(view.target)), of_source=False
            ):
                return self._look_again()
            works = [*batch.works, *(failure.work for failure in batch.stuck)]
            failures = self.applier.apply(there, locked.epoch, batch.works, batch.rows, batch.known)
            names = {(work.table, work.key) for work in works}
            any_parked = parking.any_parked(self.target, there, name)
            parked = parking.among(self.target, there, name, names) if any_parked else []
            self.park(there, works, [*batch.stuck, *failures], parked)
            moved = replace(locked, position=batch.position, passed=locked.passed + batch.entries)
            inboxes.write(self.target, there, name, moved)
        if batch.retried_all:
            self._mended = frozenset()
        return Step(batch.entries)

    def _look_again(self) -> Step:
        """A schema has changed: the batch is read anew, by what the tables are now."""
        self.refresh()
        return Step(0, raced=True, outdated=True)

    def guarded(self) -> bool:
        """Whether every table of the source refuses client writes."""
        tables = self.stream.captured()
        return len(self.source.guarded(tables)) == len(tables)

    def flows(self) -> bool:
        """Whether what the source captures is applied."""
        with self.target.reading() as session:
            return inboxes.read(self.target, session, self.stream.name).open

    def parked(self) -> list[Parked]:
        with self.target.reading() as session:
            return parking.read(self.target, session, self.stream.name)

    def give_up_conflicts(self) -> list[Parked]:
        """Take none of the source's changes that are in conflict with the target's; what was given up."""
        with self.target.writing() as session:
            inboxes.read(self.target, session, self.stream.name, lock=True)
            return parking.give_up_conflicts(self.target, session, self.stream.name)

    def retry_parked(self) -> None:
        """Let parked keys be tried again by the next step."""
        with self.target.writing() as session:
            parking.hasten(self.target, session, self.stream.name)

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

    def hydrate(self, session: Session, view: View, works: Sequence[Work]) -> dict[tuple[str, str], Row]:
        """The rows as they are now, by lane and key."""
        keys: dict[str, list[str]] = {}
        names = {lane: carrier.flow.name for lane, carrier in view.carriers.items()}
        for lane, key, _, _ in works:
            if key != WHOLE_TABLE:
                keys.setdefault(names[lane], []).append(key)
        found: dict[tuple[str, str], Row] = {}
        for name, wanted in keys.items():
            rows = view.carriers[name].reader.rows(session, list(dict.fromkeys(wanted)))
            for lane in view.carriers[name].flow.lanes:
                found |= {(lane, key): row for key, row in rows.items()}
        return found

    def park(
        self, session: Session, works: Sequence[Work], failures: Sequence[Failure], parked: Sequence[Parked]
    ) -> None:
        """Put aside what failed, take out of ``parked`` what did not; the caller has locked the inbox."""
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
