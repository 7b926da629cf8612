"""The facade's workers: what they are to serve by, and what they say they serve."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, select
from sqlalchemy.pool import PoolProxiedConnection

from facade.ports import WorkerStatus
from facade.routes import RouteTable
from facade.snapshot import Snapshot
from flags import revision
from flags.cohort import Cohorts
from flags.percent import Precision
from flags.store import EmbeddedStore
from migration.control import Control, identity, read_phases, upsert
from migration.control_engine import database_file, file_identity
from migration.errors import ControlError, WorkersLate
from migration.schema.tables import workers
from migration.schema.upgrade import require_current
from migration.stages import PhaseRecord, Stage, traffic

LIVE_SECONDS = 3.0
"""A worker that has not reported for so long does not serve any more, or cannot be waited for."""
FORGET_SECONDS = 3600.0
_POLL_SECONDS = 0.005


def ramping(cohorts: Mapping[str, Cohorts], records: Mapping[str, PhaseRecord]) -> dict[str, Cohorts]:
    """The cohorts that count now, by the flag for which they do: those of phases in the ramp."""
    return {
        f"{phase}.reads": each
        for phase, each in cohorts.items()
        if phase in records and records[phase].stage is Stage.RAMP
    }


class ControlSnapshots:
    """The facade's SnapshotSource on the control database. For one thread; the database may come later.

    A database that is gone, or another one in its place, raises: nothing is ever created or guessed here.
    """

    def __init__(
        self,
        control: Control,
        routes: RouteTable,
        phases: Sequence[str],
        precision: Precision,
        cohorts: Mapping[str, Cohorts] | None = None,
    ) -> None:
        """``cohorts``, by phase, count while the phase is in the ramp."""
        self._control = control
        self._cohorts = cohorts or {}
        self._routes = routes
        self._phases = tuple(phases)
        self._flags = EmbeddedStore(control.engine, precision)
        self._file = database_file(control.engine)
        self._connection: PoolProxiedConnection | None = None
        self._opened: tuple[int, int] | None = None
        self._identity: str | None = None

    def revision(self) -> int:
        """The current revision: one small query on a connection kept for it."""
        if self._connection is not None and self._moved():
            self.close()
        kept = self._connection or self._connect()
        try:
            cursor = kept.cursor()
            cursor.execute("SELECT value FROM control_revision")
            row = cursor.fetchone()
            cursor.close()
        except Exception:
            self.close()
            raise
        return int(row[0]) if row else 0

    def load(self) -> Snapshot:
        """Routes, phases and flags at one revision."""
        if self._connection is None or self._moved():
            self.revision()
        with self._control.read() as connection:
            self._recognise(connection)
            stored = read_phases(connection)
            return Snapshot(
                revision=revision.read(connection),
                routes=self._routes,
                phases={name: traffic(stored.get(name, PhaseRecord(name))) for name in self._phases},
                flags=self._flags.snapshot(within=connection).with_cohorts(ramping(self._cohorts, stored)),
            )

    def _recognise(self, connection: Connection) -> None:
        found = identity(connection)
        if self._identity not in (None, found):
            raise ControlError(
                f"another control database took the place of {self._control.label}. "
                "Restore the one that was there, or restart `strangler serve` to follow the new one."
            )
        self._identity = found

    def close(self) -> None:
        """Let go of the kept connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _moved(self) -> bool:
        return self._file is not None and file_identity(self._file) != self._opened

    def _connect(self) -> PoolProxiedConnection:
        self._opened = None if self._file is None else file_identity(self._file)
        with self._control.read() as connection:
            require_current(connection, self._control.label)
            self._recognise(connection)
        kept = self._control.engine.raw_connection()
        if self._control.engine.dialect.name == "postgresql":
            kept.dbapi_connection.autocommit = True  # type: ignore[union-attr]  # psycopg's own attribute
        kept.detach()
        self._connection = kept
        return kept


@dataclass(frozen=True, slots=True)
class LiveWorker:
    """A worker's last report, and how many seconds ago it came."""

    status: WorkerStatus
    age_seconds: float


class ControlWorkers:
    """The facade's WorkerRegistry on the control database, and how the control plane waits for workers."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def report(self, status: WorkerStatus) -> None:
        """Record what a worker serves; workers that died long ago are forgotten."""
        with self._control.write() as connection:
            now = self._control.clock(connection)
            values = {
                "worker": status.worker,
                "host": status.host,
                "pid": status.pid,
                "revision": status.revision,
                "holding": sorted(status.holding),
                "in_flight": dict(status.in_flight),
                "degraded": status.degraded,
                "seen_at": now,
            }
            upsert(connection, workers, values, key=("worker",))
            connection.execute(delete(workers).where(workers.c.seen_at < now - FORGET_SECONDS))

    def retire(self, worker: str) -> None:
        with self._control.write() as connection:
            connection.execute(delete(workers).where(workers.c.worker == worker))

    def live_workers(self) -> list[LiveWorker]:
        """Workers that reported within the last three seconds, by name."""
        return [worker for worker in self._known() if worker.age_seconds < LIVE_SECONDS]

    def silent_workers(self) -> list[LiveWorker]:
        """Workers that neither report nor said that they stopped: dead perhaps, or cut off and serving."""
        return [worker for worker in self._known() if worker.age_seconds >= LIVE_SECONDS]

    def bury(self, host: str, lives: Callable[[int], bool]) -> None:
        """Forget the silent workers of this host whose process is gone."""
        for worker in self.silent_workers():
            if worker.status.host == host and not lives(worker.status.pid):
                self.retire(worker.status.worker)

    def _known(self) -> list[LiveWorker]:
        with self._control.read() as connection:
            age = self._control.clock(connection) - workers.c.seen_at
            known = select(workers, age.label("age")).order_by(workers.c.worker)
            return [LiveWorker(_status(row), max(0.0, row.age)) for row in connection.execute(known)]

    def wait_for_revision(self, revision: int, deadline: float) -> None:
        """Return when every live worker serves ``revision`` or a later one.

        ``deadline`` is in seconds of ``time.monotonic``. Raises WorkersLate when it passes.
        """
        self._wait(lambda status: status.revision >= revision, deadline, f"take up revision {revision}")

    def wait_for_fence(self, phase: str, revision: int, deadline: float, *, silent_too: bool = False) -> None:
        """Return when every live worker holds the phase's new writes and has none in flight.

        With ``silent_too`` no worker may have fallen silent either: where no guard in the database will stop
        one that is cut off, it must not be taken for dead. ``deadline`` is in seconds of
        ``time.monotonic``. Raises WorkersLate when it passes.
        """

        def fenced(status: WorkerStatus) -> bool:
            return (
                status.revision >= revision
                and phase in status.holding
                and status.in_flight.get(phase, 0) == 0
            )

        self._wait(fenced, deadline, f"stop the writes of phase {phase!r}", silent_too=silent_too)

    def _wait(
        self,
        reached: Callable[[WorkerStatus], bool],
        deadline: float,
        what: str,
        *,
        silent_too: bool = False,
    ) -> None:
        look = self._known if silent_too else self.live_workers
        while late := [w.status.worker for w in look() if not reached(w.status)]:
            if time.monotonic() >= deadline:
                raise WorkersLate(what, late)
            time.sleep(_POLL_SECONDS)


def _status(row: Row[Any]) -> WorkerStatus:
    return WorkerStatus(
        worker=row.worker,
        host=row.host,
        pid=row.pid,
        revision=row.revision,
        holding=frozenset(row.holding),
        in_flight=row.in_flight,
        degraded=row.degraded,
    )
