"""Who writes while a switch is made: the facade's workers, their clients, and strays that go around it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from facade.hold import Holds
from facade.ports import WorkerStatus
from flags.side import Side
from migration.stages import traffic
from migration.workers import LIVE_SECONDS
from tests.integration.migration.protocol.control import PHASE, ModelControl
from tests.integration.migration.protocol.data import Data, RefusedError, Row, Transaction
from tests.integration.migration.protocol.schedule import Schedule


class InvariantError(AssertionError):
    """An invariant does not hold."""


@dataclass(slots=True)
class Expected:
    """The last write of one client's row that its database took."""

    side: Side
    key: int
    row: Row | None


@dataclass(slots=True)
class Ledger:
    """What clients were told. ``accepted`` is by reference; ``excused`` says why refusals may happen."""

    data: Data
    accepted: dict[str, Expected] = field(default_factory=dict)
    acknowledged: int = 0
    refused: int = 0
    excused: str = ""

    def committed(self, side: Side, ref: str, transaction: Transaction) -> None:
        """I1 and I2: whoever accepts a write has all that the other side has accepted before."""
        self.data[side].commit(transaction)
        self.accepted[ref] = Expected(side, transaction.entry.key, transaction.row)
        self.require_all_on(side)

    def was_refused(self, error: RefusedError) -> None:
        self.refused += 1
        if not self.excused:
            raise InvariantError(f"a client's write was refused: {error}")

    def require_all_on(self, side: Side) -> None:
        """Every accepted write is there as it was made last, and once."""
        rows = self.data[side].rows
        refs = [row[0] for row in rows.values()]
        if len(refs) != len(set(refs)):
            raise InvariantError(f"I2: a write is doubled on the {side}: {sorted(refs)}")
        for ref, expected in self.accepted.items():
            if expected.side is not side and rows.get(expected.key) != expected.row:
                raise InvariantError(
                    f"I2: {ref} was accepted by the {expected.side} as {expected.row}, "
                    f"and is {rows.get(expected.key)} on the {side}"
                )


class Worker:
    """One worker of the facade: serves by its snapshot, and holds by the facade's own rules."""

    def __init__(self, name: str, control: ModelControl, schedule: Schedule) -> None:
        self.name = name
        self.holds = Holds(100, 1_000)
        self.in_flight = 0
        self.cut_off = False
        self.dead = False
        self._control = control
        self._schedule = schedule
        self._refresh()
        self._report()

    def watch(self) -> None:
        """As the facade's watcher: take up what is new and say so, and when a fence has become quiet."""
        while True:
            self._schedule.point("refresh", self._due)
            if self.revision != self._control.revised:
                self._refresh()
            self._report()

    def urgent(self) -> bool:
        """A worker that lives is never silent for as long as a dead one."""
        return self._schedule.now - self._reported_at > LIVE_SECONDS / 2

    def _due(self) -> bool:
        served = (self.revision, self._quiet())
        silent = self._schedule.now - self._reported_at > LIVE_SECONDS / 3
        new = self.revision != self._control.revised
        return not (self.dead or self.cut_off) and (new or self._said != served or silent)

    def _quiet(self) -> bool:
        return self.traffic.hold is not None and self.in_flight == 0

    def _refresh(self) -> None:
        self.revision = self._control.revised
        self.traffic = traffic(self._control.seen())
        self.holds.release(self._holding())

    def _report(self) -> None:
        said = (self.revision, self._quiet())
        in_flight = {PHASE: self.in_flight} if self.in_flight else {}
        status = WorkerStatus(self.name, "here", 1, self.revision, self._holding(), in_flight, None)
        self._reported_at = self._schedule.now
        self._control.report(status)
        self._said = said

    def _holding(self) -> frozenset[str]:
        return frozenset({PHASE} if self.traffic.hold is not None else ())


class Client:
    """Keeps a row through the facade, changes it and removes it, and keeps another."""

    def __init__(self, name: str, workers: list[Worker], ledger: Ledger, schedule: Schedule) -> None:
        self._name = name
        self._workers = workers
        self._ledger = ledger
        self._schedule = schedule
        self._free = True

    def write(self, times: int) -> None:
        key: int | None = None
        ref = ""
        for number in range(times):
            alive = [worker for worker in self._workers if not worker.dead]
            worker = self._schedule.random.choice(alive)
            if key is None:
                ref = f"{self._name}.{number}"
            last = key is not None and number % 3 == 2
            key = self._send(worker, ref, key, None if last else (ref, number))

    def released(self) -> None:
        """As ``facade.hold.Held``."""
        self._free = True

    def _send(self, worker: Worker, ref: str, key: int | None, row: Row | None) -> int | None:
        """The row's key afterwards; None when there is none, or when nobody knows."""
        self._schedule.point("arrive")
        while worker.traffic.hold is not None:
            self._free = False
            worker.holds.add(self, PHASE, 1)
            self._schedule.point("held", lambda: self._free or worker.dead)
            if worker.dead:
                return None
        side = worker.traffic.writer
        worker.in_flight += 1
        self._schedule.point(f"write to {side}")
        try:
            transaction = self._ledger.data[side].write(key, row)
        except RefusedError as error:
            worker.in_flight -= 1
            if not worker.dead:
                self._ledger.was_refused(error)
            return None
        self._schedule.point(f"commit on {side}")
        self._ledger.committed(side, ref, transaction)
        self._schedule.point("answer")
        worker.in_flight -= 1
        if worker.dead:
            return None
        self._ledger.acknowledged += 1
        return None if row is None else transaction.entry.key


def stray(ref: str, side: Side, ledger: Ledger, schedule: Schedule, wrong: Callable[[Side], bool]) -> None:
    """A script that writes to one side's database; only the guard can stop it."""
    schedule.point(f"go around to {side}")
    try:
        transaction = ledger.data[side].write(None, (ref, 0))
    except RefusedError:
        return
    schedule.point(f"commit astray on {side}")
    if wrong(side):
        ledger.data[side].commit(transaction)  # of a write that no invariant promises anything
    else:
        ledger.committed(side, ref, transaction)
