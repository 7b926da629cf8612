"""Two databases in memory, with the rules of the real ones: transactions, logs, guards, inboxes, versions.

What is a pure rule in ``dual_write`` is taken from there; the rest is as its adapters do it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count

from dual_write import inbox as inboxes
from dual_write.adapter import Ownership, Position
from dual_write.errors import DataError, DrainTimeout, LockedError
from dual_write.inbox import CLOSED, Inbox
from dual_write.mapping import TableMapping
from dual_write.parking import Parked
from dual_write.replication import Replication
from flags.side import Side
from tests.integration.migration.protocol.schedule import Schedule

PATIENCE = 0.9
"""How often a guard waits for open writers until the last has ended."""

Row = tuple[str, int]
"""A client's reference, and how often it has written the row."""


class RefusedError(Exception):
    """The write guard's answer."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a change log."""

    xid: int
    id: int
    key: int


@dataclass(slots=True)
class Transaction:
    """A client's open transaction: one row written or, with None, deleted."""

    xid: int
    entry: Entry
    row: Row | None


@dataclass(slots=True)
class Database:
    """One side. ``inbox`` is of the stream that comes in here; ``accepted`` counts clients' commits."""

    rows: dict[int, Row] = field(default_factory=dict)
    log: list[Entry] = field(default_factory=list)
    open: dict[int, Transaction] = field(default_factory=dict)
    versions: dict[int, tuple[int, int]] = field(default_factory=dict)
    guard: Ownership | None = None
    inbox: Inbox = CLOSED
    sequence: int = 0
    accepted: int = 0
    _xids: "count[int]" = field(default_factory=lambda: count(1))
    _ids: "count[int]" = field(default_factory=lambda: count(1))

    def write(self, key: int | None, row: Row | None) -> Transaction:
        """A client's statement: refused by a guard, else logged, and seen by nobody until its commit."""
        if self.guard is not None:
            raise RefusedError(self.guard.refusal("t"))
        if key is None:
            self.sequence += 1
            key = self.sequence
        xid = next(self._xids)
        made = Transaction(xid, Entry(xid, next(self._ids), key), row)
        self.open[xid] = made
        return made

    def commit(self, transaction: Transaction) -> None:
        del self.open[transaction.xid]
        self.accepted += 1
        self.log.append(transaction.entry)
        if transaction.row is None:
            self.rows.pop(transaction.entry.key, None)
        else:
            self.rows[transaction.entry.key] = transaction.row

    def behind(self, position: Position) -> list[Entry]:
        """What has been committed and not been passed."""
        at = (position.xid, position.id)
        return [each for each in self.log if (each.xid, each.id) > at and each.id > position.floor]

    def changes(self, position: Position, limit: int) -> list[Entry]:
        """In reading order, up to the oldest transaction that is still open."""
        horizon = min(self.open, default=next(self._xids))
        seen = [each for each in self.behind(position) if each.xid < horizon]
        return sorted(seen, key=lambda each: (each.xid, each.id))[:limit]

    def remaining(self, position: Position) -> list[Entry]:
        return sorted(self.behind(position), key=lambda each: each.id)


class Data(dict[Side, Database]):
    """Both databases of a phase whose writer is ``writer`` at ``epoch``."""

    def __init__(self, writer: Side, epoch: int) -> None:
        super().__init__({side: Database() for side in Side})
        self[writer.other].guard = Ownership(writer, epoch)
        self[writer.other].inbox = Inbox(True, epoch, Position(), 0)
        self[writer].inbox = Inbox(False, epoch - 1, Position(), 0)

    def waiting(self) -> bool:
        """Whether a relay would find something to do."""
        return any(
            self[side].inbox.open and self[side.other].changes(self[side].inbox.position, 1) for side in Side
        )


class ModelReplication(Replication):
    """The port that the control plane and the relay work with, on ``data``.

    Each effect is an act of its own: others may come before it, and its caller may die before it is told.
    ``acts`` is called with the name of each effect. ``lenient`` leaves out the drain's own look at the guard.
    """

    def __init__(
        self,
        schedule: Schedule,
        data: Data,
        acts: Callable[[str], None] = lambda _: None,
        *,
        lenient: bool = False,
    ) -> None:
        self.phase = "search"
        self.mappings = (TableMapping("t", "t", ("id",), ("id",), (), ()),)
        self._schedule = schedule
        self._data = data
        self._acts = acts
        self._lenient = lenient

    def open(self, to: Side, epoch: int) -> None:
        self._before(f"open {to}")
        inbox = self._data[to].inbox
        source = self._data[to.other]
        if epoch > inbox.epoch and source.guard is not None:
            end = max((each.id for each in source.log), default=0)
            floor = max(end, inbox.position.floor)
            inbox = replace(inbox, position=replace(inbox.position, floor=floor))
        self._data[to].inbox = inboxes.opened(inbox, epoch, "s")
        self._after(f"open {to}")

    def close(self, to: Side, epoch: int) -> None:
        self._before(f"close {to}")
        self._data[to].inbox = inboxes.closed(self._data[to].inbox, epoch, "s")
        self._after(f"close {to}")

    def flows(self, to: Side) -> bool:
        self._schedule.point(f"look at inbox {to}")
        return self._data[to].inbox.open

    def step(self, to: Side, limit: int = 2) -> int:
        passed, _ = self._step(to, limit, beyond_horizon=False)
        return passed

    def drain(self, to: Side, deadline: float) -> int:
        self._before(f"drain {to}")
        if self._data[to.other].guard is None and not self._lenient:
            raise DataError("guard it first")
        total = 0
        while True:
            passed, raced = self._step(to, 1_000, beyond_horizon=True)
            total += passed
            if not (passed or raced):
                return total
            if self._schedule.now > deadline:
                raise DrainTimeout("the change log's end was not reached in time")

    def guard(self, side: Side, owner: Side, epoch: int, lock_timeout: float) -> None:
        self._before(f"guard {side}")
        database = self._data[side]
        before = database.guard
        database.guard = Ownership(owner, epoch)
        self._after(f"guard {side}")
        writers = set(database.open)
        patient = self._schedule.random.random() < PATIENCE
        self._schedule.point("wait for writers", lambda: not patient or not writers & set(database.open))
        if writers & set(database.open):
            self._schedule.now += lock_timeout
            self._before(f"unguard {side}")
            if before is None:
                database.guard = None
            raise LockedError("a transaction is still open")

    def unguard(self, side: Side, lock_timeout: float) -> None:
        self._before(f"unguard {side}")
        self._data[side].guard = None
        self._after(f"unguard {side}")

    def guarded(self, side: Side) -> bool:
        self._schedule.point(f"look at guard {side}")
        return self._data[side].guard is not None

    def hand_over_sequences(self, to: Side) -> None:
        self._before(f"hand over {to}")
        self._data[to].sequence = max(self._data[to].sequence, self._data[to.other].sequence)

    def parked(self, to: Side) -> list[Parked]:
        return []

    def purge(self, limit: int = 0) -> int:
        return 0

    def dispose(self) -> None:
        pass

    def _step(self, to: Side, limit: int, *, beyond_horizon: bool) -> tuple[int, bool]:
        """As ``Channel.step``: the batch is read first, and then written under the inbox's lock."""
        target, source = self._data[to], self._data[to.other]
        self._schedule.point(f"read batch to {to}")
        seen = target.inbox
        inboxes.require_open(seen, "s")
        entries = source.remaining(seen.position) if beyond_horizon else source.changes(seen.position, limit)
        if not entries:
            return 0, False
        newest = {each.key: max(e.id for e in entries if e.key == each.key) for each in entries}
        rows = {key: source.rows.get(key) for key in newest}
        self._before(f"write batch to {to}")
        locked = target.inbox
        inboxes.require_unchanged(seen, locked, "s")
        if locked.position != seen.position:
            return 0, True
        for key, row in rows.items():
            version = (locked.epoch, newest[key])
            if target.versions.get(key, (0, 0)) >= version:
                continue
            target.versions[key] = version
            if row is None:
                target.rows.pop(key, None)
            else:
                target.rows[key] = row
        last = entries[-1]
        position = (
            replace(locked.position, floor=last.id)
            if beyond_horizon
            else replace(locked.position, xid=last.xid, id=last.id)
        )
        target.inbox = replace(locked, position=position, passed=locked.passed + len(entries))
        self._after(f"wrote batch to {to}")
        return len(entries), False

    def _before(self, effect: str) -> None:
        self._schedule.point(effect)
        self._acts(effect)

    def _after(self, effect: str) -> None:
        self._schedule.point(f"told of {effect}")
