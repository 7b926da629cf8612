"""One phase's data on both sides: the surface that the control plane and the relay work with."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from sys import maxsize

from dual_write import inbox as inboxes
from dual_write import numbering
from dual_write.accounts import Accounts, Lag, accounts, lag
from dual_write.adapter import Captured, Ownership
from dual_write.ahead import LARGEST, ReadAhead
from dual_write.backfill import Backfill, BackfillProgress
from dual_write.changes import Changes
from dual_write.channel import Channel
from dual_write.drain import drain, settle
from dual_write.errors import FencedError, LockedError, SchemaError
from dual_write.installation import Installation, has_bookkeeping
from dual_write.mapping import TableFlow, TableMapping
from dual_write.parking import Parked
from dual_write.rows import Row
from dual_write.sequences import SequenceBehind, behind, hand_over
from flags.side import Side

__all__ = ["Accounts", "BackfillProgress", "Lag", "Replication"]


class Replication(Installation):
    """Capture, backfill, relay, guard and hand-over for one phase. Methods block; use one instance a thread.

    A direction is named by the side it ends on: ``to=Side.SERVICE`` is monolith → service.
    Every method is idempotent: the reconciler may call it again after a crash.
    Any method may raise UnreachableError, LockedError (worth another try) and SchemaError.
    """

    def __init__(
        self,
        phase: str,
        monolith_url: str,
        service_url: str,
        mappings: Sequence[TableMapping],
        *,
        outbox: bool = False,
        faults: Mapping[str, SchemaError] | None = None,
    ) -> None:
        """As `Installation`."""
        super().__init__(phase, monolith_url, service_url, mappings, outbox=outbox, faults=faults)
        self._ahead = {channel.stream.name: ReadAhead(channel) for channel in self._channels}
        self._purged: dict[str, int] = {}

    def dispose(self) -> None:
        """Close connections."""
        for ahead in self._ahead.values():
            ahead.close()
        super().dispose()

    # --- direction

    def open(self, to: Side, epoch: int) -> None:
        """Let changes be applied on ``to`` as of ``epoch``; refuses with FencedError an older epoch.

        What a guarded source's log held before a newer epoch was for the other side to decide: it is passed.
        """
        for channel in self._towards(to):
            name = channel.stream.name
            with channel.target.writing() as session:
                inbox = inboxes.read(channel.target, session, name, lock=True)
                if channel.stream.follow:
                    inbox = inboxes.opened(inbox, max(epoch, inbox.epoch), name)
                elif epoch > inbox.epoch and channel.guarded():
                    inbox = inboxes.opened(channel.passing_all(inbox), epoch, name)
                else:
                    inbox = inboxes.opened(inbox, epoch, name)
                inboxes.write(channel.target, session, name, inbox)

    def close(self, to: Side, epoch: int) -> None:
        """Stop changes of moved tables from being applied on ``to``; follow tables flow on."""
        for channel in self._towards(to):
            if channel.stream.follow:
                continue
            name = channel.stream.name
            with channel.target.writing() as session:
                inbox = inboxes.read(channel.target, session, name, lock=True)
                inboxes.write(channel.target, session, name, inboxes.closed(inbox, epoch, name))

    def flows(self, to: Side) -> bool:
        """Whether changes of moved tables are applied on ``to``."""
        return all(channel.flows() for channel in self._towards(to) if not channel.stream.follow)

    # --- rows

    def backfill(self, progress: Callable[[BackfillProgress], None], stop: Callable[[], bool]) -> bool:
        """Copy the rows that were there before capture. Resumes; True when complete."""
        return all(Backfill(channel).run(progress, stop) for channel in self._towards(Side.SERVICE))

    def backfilled(self) -> bool:
        """Whether every table's backfill is complete."""
        return all(Backfill(channel).complete() for channel in self._towards(Side.SERVICE))

    def backfilled_rows(self, to: Side) -> int:
        """How many rows the backfill has copied to ``to``."""
        return sum(Backfill(channel).copied() for channel in self._towards(to))

    def step(self, to: Side, limit: int = LARGEST) -> int:
        """Apply one batch towards ``to``, of ``limit`` entries at most; the number that were passed.

        Raises FencedError when closed. While moved tables are closed, following ones still flow; FencedError
        is for when nothing does.
        """
        passed, closed = 0, 0
        channels = self._towards(to)
        for channel in channels:
            try:
                passed += self._ahead[channel.stream.name].step(limit).passed
            except FencedError:
                closed += 1
                if closed == len(channels):
                    raise
            except SchemaError:
                channel.refresh()
                raise
        return passed

    def settle(self, to: Side, seconds: float) -> bool:
        """Carry over what is captured by now; False when that was not done within ``seconds``."""
        return settle(self._towards(to), partial(self.step, to), time.monotonic() + seconds)

    def changed_last(self, to: Side, flow: TableFlow, limit: int) -> list[Row]:
        """The keys of ``flow`` that changed last on the source, newest first, as its driver delivers them.

        Up to ``limit`` of each of the tables that it reads.
        """
        for channel in self._towards(to):
            carrier = channel.whole.carriers.get(flow.name)
            if carrier is None or carrier.flow.target != flow.target:
                continue
            with channel.source.reading() as session:
                keys = [
                    key
                    for table in flow.lanes.values()
                    for key in channel.source.latest(session, channel.stream.name, table, limit)
                ]
                return carrier.reader.delivered(session, list(dict.fromkeys(keys)))
        return []

    def changes(self, to: Side) -> Changes | None:
        """What changes towards ``to``; None when nothing flows that way."""
        towards = self._towards(to)
        return Changes(towards, self._towards(to.other)) if towards else None

    def drain(self, to: Side, deadline: float) -> int:
        """With the source guarded: apply all that its log holds, without waiting for the horizon.

        ``deadline`` is in seconds of ``time.monotonic``. Raises DrainTimeout, also when a key stays parked.
        Returns the entries applied.
        """
        return sum(drain(self.phase, channel, deadline) for channel in self._towards(to))

    # --- accounts

    def lag(self, to: Side) -> Lag:
        """Of the open directions; a closed one waits for nothing."""
        return lag(self._towards(to))

    def accounts(self, to: Side) -> Accounts:
        return accounts(self._towards(to))

    def parked(self, to: Side) -> list[Parked]:
        """The keys that ``to`` would not take, with the reason."""
        return [entry for channel in self._towards(to) for entry in channel.parked()]

    def purge(self, limit: int = maxsize) -> int:
        """Drop log entries that every direction has applied, ``limit`` in each; the number dropped."""
        dropped = 0
        for channel in self._channels:
            name = channel.stream.name
            with channel.target.reading() as session:
                position = inboxes.read(channel.target, session, name).position
            with channel.source.writing() as session:
                gone, since = channel.source.purge(session, name, position, limit, self._purged.get(name, 0))
                if gone:
                    session.execute(
                        f"UPDATE {channel.source.name('stream')} SET purged = purged + ? WHERE stream = ?",
                        gone,
                        name,
                    )
            self._purged[name] = since
            dropped += gone
        return dropped

    # --- ownership

    def guard(self, side: Side, owner: Side, epoch: int, lock_timeout: float) -> None:
        """Refuse client writes to the moved tables on ``side``; returns when no earlier write is open there.

        The database's error names the owner and the epoch. Raises DataError when ``lock_timeout`` (seconds)
        passes; then no guard is left that was not there before.
        """
        tables, database = self._moved(side), self._adapters[side]
        if not has_bookkeeping(database):
            database.create_bookkeeping()
        before = self.guarded(side)
        try:
            database.guard(tables, Ownership(owner, epoch), lock_timeout)
        except LockedError:
            if not before:
                database.unguard(tables, lock_timeout)
            raise

    def unguard(self, side: Side, lock_timeout: float) -> None:
        """Accept client writes on ``side`` again."""
        self._adapters[side].unguard(self._moved(side), lock_timeout)

    def guarded(self, side: Side) -> bool:
        """Whether any moved table on ``side`` carries a guard."""
        return bool(self._adapters[side].guarded(self._moved(side)))

    def refused(self, side: Side) -> int | None:
        """How many statements the guards on ``side`` have refused since capture was installed.

        None where the database keeps no trace of them: SQLite undoes all that a refused statement did.
        """
        return self._adapters[side].refused(self._moved(side))

    def hand_over_sequences(self, to: Side) -> None:
        """Move ``to``'s identity values past everything that the other side has given out."""
        for mapping in self.mappings:
            if not mapping.follow:
                hand_over(mapping, to, self._adapters[to.other], self._adapters[to])

    def require_apart(self) -> None:
        """Raises SchemaError when both databases would give one number to two rows."""
        numbering.require_apart(self.phase, self.mappings, self._adapters)

    def number(self, *, apart: bool, lock_timeout: float) -> None:
        """Let both sides number rows ``apart`` from each other, or as before; neither may take writes."""
        act = numbering.interleave if apart else numbering.restore
        act(self.phase, self.mappings, self._adapters, lock_timeout)

    def keep(self, side: Side) -> list[Parked]:
        """Let ``side``'s rows win every conflict; the other side's changes that were given up for them."""
        given_up = [entry for channel in self._towards(side) for entry in channel.give_up_conflicts()]
        for channel in self._towards(side.other):
            channel.retry_parked()
        return given_up

    def sequences_behind(self, writer: Side) -> list[SequenceBehind]:
        """The moved tables' columns whose next number on ``writer`` would collide with a row."""
        own, other = self._adapters[writer], self._adapters[writer.other]
        moved = (mapping for mapping in self.mappings if not mapping.follow)
        return [each for mapping in moved for each in behind(mapping, writer, own, other)]

    def _moved(self, side: Side) -> Sequence[Captured]:
        return [
            table
            for channel in self._towards(side.other)
            if not channel.stream.follow
            for table in channel.stream.captured()
        ]

    def channels(self, to: Side) -> Sequence[Channel]:
        """The streams that end on ``to``, for another transport than ``step`` to carry."""
        return self._towards(to)
