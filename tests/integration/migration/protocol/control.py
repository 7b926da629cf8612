"""The real control database's code on an SQLite in memory, where every transaction is an act of its own."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import TypeVar, cast

from sqlalchemy import Connection, create_engine, event, select, update
from sqlalchemy.pool import StaticPool

from facade.ports import WorkerStatus
from flags import revision
from flags.side import Side
from migration.control import Change, Control, read_phase
from migration.journal import Journal
from migration.schema.tables import leases
from migration.schema.upgrade import upgrade
from migration.stages import PhaseRecord, Stage
from migration.workers import LIVE_SECONDS, LiveWorker
from tests.integration.migration.protocol.memory import Memory
from tests.integration.migration.protocol.schedule import Schedule

T = TypeVar("T")
PHASE = "search"
WITHIN = cast("Connection", object())
"""Stands for the connection of a change: whatever is done with it is recalled."""
STARTS = {Side.SERVICE: (Stage.RAMP, Side.MONOLITH, 1), Side.MONOLITH: (Stage.LIVE, Side.SERVICE, 2)}
"""Where a switch to each side sets out: stage, writer, epoch."""


class ModelControl(Control):
    """``acts`` is told of each change before it is made, here and in the data, and may raise.

    Time stands still here: a lease runs out, and a worker falls silent, when the model says so.
    """

    def __init__(self) -> None:
        engine = create_engine("sqlite://", poolclass=StaticPool)

        @event.listens_for(engine, "connect")
        def prepare(connection, _record) -> None:
            connection.isolation_level = None
            connection.execute("PRAGMA page_size = 512")

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            connection.connection.driver_connection.execute("BEGIN")

        super().__init__(engine, "in memory")
        self.schedule: Schedule | None = None
        self.acts: Callable[[str], None] = lambda _: None
        self.workers: dict[str, tuple[WorkerStatus, float]] = {}
        self.revised = 0
        self._names = count(1)
        self._alone = True
        self.prepare(upgrade)
        self._alone = False
        with engine.connect() as connection:
            self.memory = Memory(connection.connection.driver_connection)
        self._starts = {to: self._start(*where) for to, where in STARTS.items()}

    def begin(self, schedule: Schedule, to: Side) -> None:
        """As it is before a switch to ``to``."""
        self.memory.state, self.revised = self._starts[to]
        self.workers.clear()
        self._names = count(1)
        self.schedule = schedule

    def rest(self) -> None:
        """Nobody acts any more."""
        self.schedule = None
        self.acts = lambda _: None

    def act(self, name: str) -> None:
        """Somebody is about to change something."""
        self.acts(name)

    def new_name(self, *_: object) -> str:
        """For a run or a holder of the lease."""
        return f"name{next(self._names)}"

    # --- transactions

    @contextmanager
    def read(self) -> Iterator[Connection]:
        self.point("look at control")
        self.memory.load()
        with super().read() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        if self._alone:  # within a call that is being remembered
            with super().write() as connection:
                yield connection
            return
        self.point("write control")
        self.act("write control")
        self.memory.load()
        with super().write() as connection:
            yield connection
        self.memory.keep()
        self.point("told of control")

    @contextmanager
    def change(self) -> Iterator[Change]:
        """Nobody comes between the parts of a transaction, so that each of them can be recalled by itself."""
        self.point("change control")
        self.act("change control")
        before = self.memory.state
        raised = self.part("bump", revision.bump)
        try:
            yield Change(WITHIN, raised)
        except BaseException:
            self.memory.state = before
            raise
        self.revised = raised
        self.point("told of control")

    def part(self, call: Hashable, act: Callable[[Connection], T]) -> T:
        """A call within a transaction."""

        def write() -> T:
            with Control.write(self) as connection:
                return act(connection)

        return self._recall(call, write)

    def looked(self, call: Hashable, act: Callable[[], T]) -> T:
        """A call that reads, as an act of its own."""
        self.point("look at control")
        return self._recall(call, act)

    def written(self, call: Hashable, act: Callable[[], T]) -> T:
        """A call that is one transaction, as an act of its own."""
        self.point("write control")
        self.act("write control")
        result = self._recall(call, act)
        self.point("told of control")
        return result

    def now(self, connection: Connection) -> float:
        return 1_000.0

    # --- what the model looks at and does, in no time

    def seen(self) -> PhaseRecord:
        """The phase as it stands."""

        def read() -> PhaseRecord:
            with Control.read(self) as connection:
                return read_phase(connection, PHASE)

        return self._recall("seen", read)

    def held(self) -> bool:
        """Whether a controller holds the phase's lease."""

        def read() -> bool:
            with Control.read(self) as connection:
                row = connection.execute(select(leases)).one_or_none()
                return row is not None and row.holder is not None and row.expires_at > self.now(connection)

        return self._recall("held", read)

    def ends(self) -> list[str]:
        """How each run has ended, the newest first."""
        return self._recall(
            "ends", lambda: [run.outcome or "open" for run in Journal(self).last(PHASE, limit=9)]
        )

    def expire(self) -> None:
        """Every lease runs out."""

        def run_out(connection: Connection) -> None:
            connection.execute(update(leases).values(expires_at=0.0))

        self.part("expire", run_out)

    # --- the facade's workers

    def report(self, status: WorkerStatus) -> None:
        """As ``ControlWorkers.report``: what a model has most of."""
        self.point("write control")
        assert self.schedule is not None
        self.workers[status.worker] = (status, self.schedule.now)
        if status.revision == self.revised and not status.in_flight:
            self.schedule.effects += 1  # what somebody may be waiting for

    def live_workers(self) -> list[LiveWorker]:
        """As ``ControlWorkers.live_workers``."""
        self.point("look at control")
        assert self.schedule is not None
        since = self.schedule.now - LIVE_SECONDS
        return [LiveWorker(status, 0.0) for _, (status, seen) in sorted(self.workers.items()) if seen > since]

    def silence(self, worker: str) -> None:
        """It was not heard of for long."""
        self.workers[worker] = (self.workers[worker][0], 0.0)

    def point(self, name: str) -> None:
        if self.schedule is not None and not self._alone:
            self.schedule.point(name)

    def _recall(self, call: Hashable, act: Callable[[], T]) -> T:
        self._alone, alone = True, self._alone
        try:
            return self.memory.recall(call, act)
        finally:
            self._alone = alone

    def _start(self, stage: Stage, writer: Side, epoch: int) -> tuple[int, int]:
        with Control.change(self) as change:
            values = {"stage": stage, "writer": writer, "epoch": epoch}
            self.amend(change, PHASE, "model", "a start", **values)
        self.memory.keep()
        return self.memory.state, change.revision
