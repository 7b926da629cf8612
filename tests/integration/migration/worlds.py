"""A plan with a control database of its own, and a Replication that keeps its state in a file."""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dual_write.drift import Drift
from dual_write.errors import DataError, FencedError
from dual_write.mapping import TableMapping
from dual_write.parking import Parked
from dual_write.replication import Accounts, BackfillProgress, Lag, Replication
from facade.ports import WorkerStatus
from facade.routes import RouteTable
from flags.percent import Precision
from flags.side import Side
from migration.control import Control
from migration.journal import Journal
from migration.observations import CheckRun, Observations
from migration.plan import Plan
from migration.procedure import Observer, unobserved
from migration.reconcile import TICK_SECONDS, Reconciler
from migration.stages import Stage
from migration.transitions import Controller, Recheck
from migration.workers import ControlSnapshots, ControlWorkers

PHASE = "search"


def write_plan(
    directory: Path,
    *,
    tables: bool = True,
    routing_key: str | None = None,
    hold: float = 30.0,
    idle_days: float = 0,
    gates: str = "",
    control: str | None = None,
) -> Plan:
    """A plan with one phase, whose gates ask for no shadow samples, no relay, and what ``gates`` says."""
    lines = [
        "[monolith]",
        'url = "http://127.0.0.1:8000"',
        'database = "sqlite:///monolith.db"',
        *(["[control]", f'database = "{control}"'] if control else []),
        "[facade.timeouts]",
        f"hold = {hold}",
        "[[phases]]",
        f'name = "{PHASE}"',
        'routes = ["GET /search", "POST /search/saved"]',
        *([f'routing_key = "{routing_key}"'] if routing_key else []),
        "[phases.service]",
        'url = "http://127.0.0.1:8001"',
        'database = "sqlite:///search.db"',
        *(
            ["[[phases.tables]]", 'monolith = "saved_searches"', 'service = "saved_queries"']
            if tables
            else []
        ),
        "[phases.gates]",
        "min_samples = 0",
        "max_lag_seconds = 600",
        f"min_idle_days = {idle_days}",
        gates,
    ]
    file = directory / "strangler.toml"
    file.write_text("\n".join(lines))
    return Plan.load(file)


class FileReplication(Replication):
    """What a switch does to the two databases, kept in a file that survives the process; no rows move.

    ``fail`` is called before each operation with its name, and may raise.
    """

    def __init__(self, file: Path, fail: Callable[[str], None] = lambda _: None) -> None:
        self.mappings = (TableMapping("saved_searches", "saved_queries", ("id",), ("id",), (), ()),)
        self._file = file
        self._fail = fail
        with self._state() as state:
            state.setdefault("guards", {})
            state.setdefault("inboxes", {})
            state.setdefault("calls", [])
            state.setdefault("installed", False)

    def install(self) -> None:
        with self._call("install") as state:
            state["installed"] = True

    def renew(self) -> None:
        with self._call("renew"):
            pass

    def drift(self, to: Side) -> list[Drift]:
        return []

    def uninstall(self) -> None:
        with self._call("uninstall") as state:
            state.update(installed=False, guards={}, inboxes={})

    def retire(self) -> None:
        with self._call("retire") as state:
            state["installed"] = False

    def open(self, to: Side, epoch: int) -> None:
        with self._call(f"open {to} {epoch}") as state:
            inbox = state["inboxes"].get(to, {"epoch": 0})
            if epoch < inbox["epoch"]:
                raise FencedError(f"{to} was opened at epoch {inbox['epoch']}")
            state["inboxes"][to] = {"epoch": epoch, "open": True}

    def close(self, to: Side, epoch: int) -> None:
        with self._call(f"close {to} {epoch}") as state:
            state["inboxes"][to] = {"epoch": epoch, "open": False}

    def backfill(self, progress: Callable[[BackfillProgress], None], stop: Callable[[], bool]) -> bool:
        progress(BackfillProgress("saved_searches", 1, 1, True))
        return not stop()

    def backfilled(self) -> bool:
        return True

    def step(self, to: Side, limit: int = 1000) -> int:
        return 0

    def drain(self, to: Side, deadline: float) -> int:
        with self._call(f"drain {to}") as state:
            if to.other not in state["guards"]:
                raise DataError("drained without a guard")
            return 0

    def lag(self, to: Side) -> Lag:
        return Lag(0, 0.0, 0.0)

    def accounts(self, to: Side) -> Accounts:
        return Accounts(0, 0, 0, 0)

    def parked(self, to: Side) -> list[Parked]:
        return []

    def guard(self, side: Side, owner: Side, epoch: int, lock_timeout: float) -> None:
        with self._call(f"guard {side}") as state:
            state["guards"][side] = {"owner": owner, "epoch": epoch}

    def unguard(self, side: Side, lock_timeout: float) -> None:
        with self._call(f"unguard {side}") as state:
            state["guards"].pop(side, None)

    def guarded(self, side: Side) -> bool:
        return side in self.read()["guards"]

    def refused(self, side: Side) -> int | None:
        return int(self.read().get("refused", 0))

    def flows(self, to: Side) -> bool:
        return bool(self.read()["inboxes"].get(to, {}).get("open"))

    def hand_over_sequences(self, to: Side) -> None:
        with self._call(f"hand_over {to}"):
            pass

    def require_apart(self) -> None:
        pass

    def number(self, *, apart: bool, lock_timeout: float) -> None:
        with self._call(f"number {'apart' if apart else 'as before'}") as state:
            state["apart"] = apart

    def purge(self, limit: int = 0) -> int:
        return 0

    def dispose(self) -> None:
        pass

    def read(self) -> dict[str, Any]:
        with self._state() as state:
            return state

    @contextmanager
    def _call(self, name: str) -> Iterator[dict[str, Any]]:
        self._fail(name)
        with self._state() as state:
            state["calls"].append(name)
            yield state

    @contextmanager
    def _state(self) -> Iterator[dict[str, Any]]:
        connection = sqlite3.connect(self._file, isolation_level=None, timeout=5)
        try:
            connection.execute("CREATE TABLE IF NOT EXISTS state (id INTEGER PRIMARY KEY, json TEXT)")
            connection.execute("BEGIN IMMEDIATE")
            row = connection.execute("SELECT json FROM state").fetchone()
            state = json.loads(row[0]) if row else {}
            yield state
            connection.execute("INSERT OR REPLACE INTO state VALUES (1, ?)", (json.dumps(state),))
            connection.execute("COMMIT")
        finally:
            connection.close()


def add_clean_check(control: Control) -> None:
    """As `strangler check` does when it found nothing."""
    Observations(control).add_check(CheckRun(PHASE, True, 10, 0, "all", time.time(), 0.1, {}))


def reconciled(control: Control, controller: Controller) -> None:
    """Tick as `strangler serve` does until no run is left unfinished."""
    reconciler = Reconciler(control, controller.resume)
    while Journal(control).unfinished():
        reconciler.tick()
        time.sleep(TICK_SECONDS / 5)


class World:
    """One migration in a directory: made by one process, looked at by another."""

    def __init__(
        self,
        directory: Path,
        *,
        fail: Callable[[str], None] = lambda _: None,
        observer: Observer = unobserved,
        recheck: Recheck | None = None,
        **plan: Any,
    ) -> None:
        self.plan = write_plan(directory, **plan)
        self.control = Control.open(self.plan.control.database_url)
        self.data = FileReplication(directory / "data.json", fail)
        self.controller = Controller(
            self.plan,
            self.control,
            lambda _: self.data,
            actor="tester",
            observer=observer,
            recheck=recheck,
        )

    def checked(self) -> None:
        """Let the last check have been clean."""
        add_clean_check(self.control)

    def reach(self, stage: Stage) -> None:
        """Walk to a stage by the ordinary moves."""
        if stage is not Stage.OFF:
            self.controller.sync(PHASE, lambda _: None, lambda: False)
        self.checked()
        while self.control.phase(PHASE).stage is not stage:
            self.controller.advance(PHASE)

    def close(self) -> None:
        self.control.close()


@contextmanager
def pretend_worker(control: Control, name: str, in_flight: Callable[[], int] = lambda: 0) -> Iterator[None]:
    """A worker that serves no traffic but follows the control database as the facade's do."""
    snapshots = ControlSnapshots(control, RouteTable.compile([]), [PHASE], Precision.PERCENT)
    registry = ControlWorkers(control)
    stop = threading.Event()

    def follow() -> None:
        snapshots.revision()
        snapshot = snapshots.load()
        held = snapshot.phases[PHASE].hold is not None
        registry.report(
            WorkerStatus(
                worker=name,
                host="here",
                pid=1,
                revision=snapshot.revision,
                holding=frozenset({PHASE} if held else ()),
                in_flight={PHASE: in_flight()},
                degraded=None,
            )
        )

    def keep_following() -> None:
        while not stop.wait(0.005):
            follow()

    follow()
    thread = threading.Thread(target=keep_following, name=name)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        snapshots.close()
        registry.retire(name)
