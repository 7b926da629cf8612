"""The real control database's code on an SQLite in memory, where every transaction is an act of its own."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, create_engine, event, select
from sqlalchemy.pool import StaticPool

from facade.ports import WorkerStatus
from flags.side import Side
from migration.control import Change, Control, read_phase
from migration.schema.tables import leases
from migration.schema.upgrade import upgrade
from migration.stages import PhaseRecord, Stage
from tests.integration.migration.protocol.schedule import Schedule

PHASE = "search"
STARTS = {Side.SERVICE: (Stage.RAMP, Side.MONOLITH, 1), Side.MONOLITH: (Stage.LIVE, Side.SERVICE, 2)}
"""Where a switch to each side sets out: stage, writer, epoch."""


class ModelControl(Control):
    """``acts`` is told of each change before it is made, here and in the data, and may raise."""

    def __init__(self) -> None:
        engine = create_engine("sqlite://", poolclass=StaticPool)

        @event.listens_for(engine, "connect")
        def prepare(connection, _record) -> None:
            connection.isolation_level = None
            connection.execute("PRAGMA page_size = 512")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA journal_mode = MEMORY")

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            connection.connection.driver_connection.execute("BEGIN")

        super().__init__(engine, "in memory")
        self.schedule: Schedule | None = None
        self.acts: Callable[[str], None] = lambda _: None
        self.revised = 0
        self._seen = (-1, PhaseRecord(PHASE))
        self._raw: sqlite3.Connection | None = None
        self._revisions: dict[Side, int] = {}
        self.prepare(upgrade)
        self._starts = {to: self._start(to, *where) for to, where in STARTS.items()}

    def begin(self, schedule: Schedule, to: Side) -> None:
        """As it is before a switch to ``to``."""
        self._driver().deserialize(self._starts[to])
        self.schedule = schedule
        self.acts = lambda _: None
        self._seen = (-1, PhaseRecord(PHASE))
        self.revised = self._revisions[to]

    def rest(self) -> None:
        """Nobody acts any more."""
        self.schedule = None
        self.acts = lambda _: None

    def act(self, name: str) -> None:
        """Somebody is about to change something."""
        self.acts(name)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        self._point("look at control")
        with super().read() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        self._point("write control")
        self.act("write control")
        with super().write() as connection:
            yield connection
        self._point("told of control")

    @contextmanager
    def change(self) -> Iterator[Change]:
        self._point("change control")
        self.act("change control")
        with super().change() as change:
            yield change
        self.revised = change.revision
        self._point("told of control")

    def seen(self) -> PhaseRecord:
        """The phase as it stands at the revision ``revised``, read in no time."""
        if self._seen[0] != self.revised:
            with Control.read(self) as connection:
                self._seen = (self.revised, read_phase(connection, PHASE))
        return self._seen[1]

    def ends(self) -> list[str]:
        """How each run has ended, the newest first."""
        rows = self._driver().execute("SELECT outcome FROM runs ORDER BY rowid DESC")
        return [outcome or "open" for (outcome,) in rows]

    def report(self, status: WorkerStatus) -> None:
        """As ``ControlWorkers.report``, at a fraction of its cost: a model has many workers' lives."""
        self._point("write control")
        holding, in_flight = json.dumps(sorted(status.holding)), json.dumps(dict(status.in_flight))
        values = (status.worker, "here", 1, status.revision, holding, in_flight, None, self.schedule.now)
        self._driver().execute("INSERT OR REPLACE INTO workers VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        if status.revision == self.revised and not status.in_flight:
            self.schedule.effects += 1  # what somebody may be waiting for

    def now(self, connection: Connection) -> float:
        return self.schedule.now if self.schedule is not None else 1_000.0

    def held(self) -> bool:
        """Whether a controller holds the phase's lease."""
        with Control.read(self) as connection:
            row = connection.execute(select(leases)).one_or_none()
            return row is not None and row.holder is not None and row.expires_at > self.now(connection)

    def _point(self, name: str) -> None:
        if self.schedule is not None:
            self.schedule.point(name)

    def _start(self, to: Side, stage: Stage, writer: Side, epoch: int) -> bytes:
        with self.change() as change:
            self.amend(change, PHASE, "model", "a start", stage=stage, writer=writer, epoch=epoch)
        self._revisions[to] = change.revision
        return bytes(self._driver().serialize())

    def _driver(self) -> sqlite3.Connection:
        if self._raw is None:
            with self.engine.connect() as connection:
                self._raw = connection.connection.driver_connection
        return self._raw
