"""The fenced switch with both databases real: wherever it dies, no row is lost and one side writes."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import inspect, text, update
from sqlalchemy.exc import DBAPIError

from dual_write.database import open_engine
from dual_write.replication import Replication
from dual_write.resolve import TableSpec, resolve
from flags.side import Side
from migration.control import Control
from migration.errors import LeaseLost, RunCancelled
from migration.journal import CANCELLED
from migration.procedure import Observer, StepDone, unobserved
from migration.reconcile import Reconciler
from migration.reconciling import STRAIGHTEN_SECONDS
from migration.schema.tables import leases
from migration.stages import Stage
from migration.switch import Switch
from migration.transitions import Controller
from tests.integration.migration.worlds import PHASE, add_clean_check, reconciled, write_plan

TABLE = {Side.MONOLITH: "saved_searches", Side.SERVICE: "saved_queries"}
COMMIT = 7

Urls = dict[Side, str]


class Pair:
    """A monolith and a service with one table each, and a phase that moves it."""

    def __init__(
        self,
        directory: Path,
        urls: Urls,
        observer: Observer = unobserved,
        hold: float = 30.0,
        routing_key: str | None = None,
    ) -> None:
        self.plan = write_plan(directory, hold=hold, routing_key=routing_key)
        self.urls = urls
        self.engines = {side: open_engine(url) for side, url in urls.items()}
        self.control = Control.open(self.plan.control.database_url)
        self.controller = Controller(
            self.plan, self.control, self.replication, actor="tester", observer=observer
        )

    def create(self) -> None:
        for side, engine in self.engines.items():
            identity = {
                "sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT",
                "postgresql": "bigserial PRIMARY KEY",
            }[engine.dialect.name]
            with engine.begin() as connection:
                connection.execute(text(f"CREATE TABLE {TABLE[side]} (id {identity}, name TEXT NOT NULL)"))

    def replication(self, phase: str) -> Replication:
        mappings = resolve([TableSpec("saved_searches", "saved_queries")], *self.engines.values())
        return Replication(phase, *self.urls.values(), mappings)

    def reach(self, stage: Stage) -> None:
        assert self.controller.sync(PHASE, lambda _: None, lambda: False)
        add_clean_check(self.control)
        while self.control.phase(PHASE).stage is not stage:
            self.controller.advance(PHASE)

    def insert(self, side: Side, name: str) -> int:
        """As the application does it; raises DBAPIError where a guard stands."""
        statement = text(f"INSERT INTO {TABLE[side]} (name) VALUES (:name) RETURNING id")
        with self.engines[side].begin() as connection:
            return int(connection.scalars(statement, {"name": name}).one())

    def stray(self, side: Side) -> None:
        """What a forgotten script does."""
        with self.engines[side].begin() as connection:
            connection.execute(text(f"INSERT INTO {TABLE[side]} (id, name) VALUES (100000, 'stray')"))

    def rows(self, side: Side) -> dict[int, str]:
        with self.engines[side].connect() as connection:
            return {row.id: row.name for row in connection.execute(text(f"SELECT * FROM {TABLE[side]}"))}

    def carry(self, to: Side) -> None:
        """What the relay does."""
        replication = self.replication(PHASE)
        while replication.step(to):
            pass
        replication.dispose()

    def close(self) -> None:
        self.control.close()
        for engine in self.engines.values():
            engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def make_pair(request: pytest.FixtureRequest) -> Iterator[Callable[[Path], Pair]]:
    """Makes pairs of fresh databases of one kind, in a directory each."""
    pairs: list[Pair] = []

    def make(directory: Path, **options: float) -> Pair:
        urls = {side: f"sqlite:///{directory / side}.db" for side in Side}
        if request.param == "postgresql":
            create = request.getfixturevalue("postgresql_database")
            urls = {side: create() for side in Side}
        pairs.append(Pair(directory, urls, **options))
        pairs[-1].create()
        return pairs[-1]

    yield make
    for pair in pairs:
        pair.close()


def switch(pair: Pair, to: Side) -> None:
    (pair.controller.advance if to is Side.SERVICE else pair.controller.rollback)(PHASE)


def die_after(directory: Path, urls: Urls, to: Side, number: int) -> None:
    """In a process of its own: make the switch, and die without a word after the given step."""

    def observer(step: StepDone) -> None:
        if (step.kind, step.number) == (Switch.kind, number):
            os.kill(os.getpid(), signal.SIGKILL)

    switch(Pair(directory, urls, observer), to)


def kill_one_after_each_step(directory: Path, pairs: dict[int, Pair], to: Side) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    dying = [
        context.Process(target=die_after, args=(directory / str(number), pair.urls, to, number))
        for number, pair in pairs.items()
    ]
    for process in dying:
        process.start()
    for process in dying:
        process.join()
        assert process.exitcode == -signal.SIGKILL


def assert_one_writer_with_every_row(pair: Pair, writer: Side, written: dict[int, str]) -> None:
    record = pair.control.phase(PHASE)
    assert (record.writer, record.hold) == (writer, None)
    with pytest.raises(DBAPIError, match=f"{writer}.*{record.epoch}"):
        pair.stray(writer.other)
    new = pair.insert(writer, "after")
    assert new not in written
    assert pair.rows(writer) == written | {new: "after"}
    pair.carry(writer.other)
    assert pair.rows(writer.other) == pair.rows(writer)


@pytest.mark.parametrize(
    ("source", "to"), [(Stage.RAMP, Side.SERVICE), (Stage.LIVE, Side.MONOLITH)], ids=["cutover", "rollback"]
)
def test_i2_a_controller_killed_after_any_step_loses_no_row(make_pair, tmp_path, source, to) -> None:
    pairs: dict[int, Pair] = {}
    written: dict[int, str] = {}
    for number in range(1, len(Switch.steps) + 1):
        (tmp_path / str(number)).mkdir()
        pair = pairs[number] = make_pair(tmp_path / str(number))
        written = {pair.insert(Side.MONOLITH, f"before {n}"): f"before {n}" for n in range(5)}
        pair.reach(source)
        written |= {pair.insert(to.other, f"later {n}"): f"later {n}" for n in range(5)}

    kill_one_after_each_step(tmp_path, pairs, to)

    for number, pair in pairs.items():
        reconciled(pair.control, pair.controller)
        assert_one_writer_with_every_row(pair, to if number >= COMMIT else to.other, written)


def test_i2_there_and_back_and_there_again_loses_no_row(make_pair, tmp_path) -> None:
    pair = make_pair(tmp_path)
    written = {pair.insert(Side.MONOLITH, "first"): "first"}
    pair.reach(Stage.RAMP)
    for _ in range(3):
        pair.controller.advance(PHASE)
        written[pair.insert(Side.SERVICE, "by the service")] = "by the service"
        pair.controller.rollback(PHASE)
        written[pair.insert(Side.MONOLITH, "by the monolith")] = "by the monolith"
        pair.controller.advance(PHASE)
    assert_one_writer_with_every_row(pair, Side.MONOLITH, written)


def test_removal_leaves_no_trace(make_pair, tmp_path) -> None:
    pair = make_pair(tmp_path)
    pair.reach(Stage.DUAL_WRITE)
    pair.controller.rollback(PHASE)
    for side, engine in pair.engines.items():
        assert inspect(engine).get_table_names() == [TABLE[side]]
        pair.insert(side, "free")


def test_i1_a_complete_phase_keeps_the_monolith_guarded(make_pair, tmp_path) -> None:
    pair = make_pair(tmp_path)
    pair.reach(Stage.LIVE)
    pair.controller.complete(PHASE)
    with pytest.raises(DBAPIError, match="service"):
        pair.stray(Side.MONOLITH)
    pair.insert(Side.SERVICE, "new")


def test_refused_writes_are_counted_where_their_database_keeps_a_trace(make_pair, tmp_path) -> None:
    pair = make_pair(tmp_path)
    pair.reach(Stage.LIVE)
    replication = pair.replication(PHASE)
    try:
        counted = pair.engines[Side.MONOLITH].dialect.name == "postgresql"
        assert replication.refused(Side.MONOLITH) == (0 if counted else None)
        for number in (1, 2):
            with pytest.raises(DBAPIError, match="owned by service"):
                pair.stray(Side.MONOLITH)
            assert replication.refused(Side.MONOLITH) == (number if counted else None)
        pair.insert(Side.SERVICE, "new")
        pair.carry(Side.MONOLITH)
        assert replication.refused(Side.MONOLITH) == (2 if counted else None), "the relay is no stray"
    finally:
        replication.dispose()


def test_i1_a_guard_that_a_controller_sets_too_late_is_lifted_in_time(
    make_pair, tmp_path, monkeypatch
) -> None:
    """It stood still with the command in its hands until its lease was lost, and others had cancelled."""
    pair = make_pair(tmp_path)
    pair.reach(Stage.RAMP)
    reconciler = Reconciler(pair.control, pair.controller.resume)
    guard, written = Replication.guard, {}

    def late(self: Replication, side: Side, *given: object, **more: object) -> None:
        if side is Side.MONOLITH and not written:
            with pair.control.write() as connection:
                connection.execute(update(leases).values(expires_at=1.0))
            assert [run.outcome for run in reconciler.tick()] == [CANCELLED]
            written[pair.insert(Side.MONOLITH, "by the old writer")] = "by the old writer"
        guard(self, side, *given, **more)  # type: ignore[arg-type] # passed on

    monkeypatch.setattr(Replication, "guard", late)
    with pytest.raises(LeaseLost):
        pair.controller.advance(PHASE)
    with pytest.raises(DBAPIError, match="service"):
        pair.insert(Side.MONOLITH, "refused")

    assert reconciler.straighten(pair.controller.replication) == [PHASE]
    assert_one_writer_with_every_row(pair, Side.MONOLITH, written)
    assert STRAIGHTEN_SECONDS <= 10


def test_i7_an_open_transaction_on_the_losing_side_cancels_the_switch(make_pair, tmp_path) -> None:
    pair = make_pair(tmp_path, hold=0.5)
    pair.reach(Stage.RAMP)
    with pair.engines[Side.MONOLITH].connect() as connection:
        connection.execute(text("INSERT INTO saved_searches (name) VALUES ('slow')"))
        with pytest.raises(RunCancelled):
            pair.controller.advance(PHASE)
        connection.commit()
    assert_one_writer_with_every_row(pair, Side.MONOLITH, pair.rows(Side.MONOLITH))
