"""Whichever step of a switch its controller is killed after, one side goes on writing and nothing is lost."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from flags.side import Side
from migration.checking import check_phase
from migration.demo.environment import PHASE, Environment
from migration.errors import GateClosed
from migration.journal import CANCELLED, FINISHED, Journal
from migration.stages import PhaseRecord, Stage
from migration.switch import Switch
from migration.wiring import Wiring
from tests.acceptance.dying import kill_after
from tests.acceptance.people import Crowd

TABLE = {Side.MONOLITH: "saved_searches", Side.SERVICE: "saved_queries"}
STEPS = {step.name: number for number, step in enumerate(Switch.steps, 1)}
COMMIT = STEPS["commit"]
TAKEN_OVER_SECONDS = 30
GATE_SECONDS = 30


class Migration:
    """A phase with people on it, that can be brought to any stage."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.wiring = Wiring.load(environment.plan_file)
        self.crowd = Crowd(environment.url)

    @property
    def record(self) -> PhaseRecord:
        return self.wiring.control.phase(PHASE)

    def reach(self, stage: Stage) -> None:
        """By the ordinary moves, forward or round by a rollback."""
        controller = self.wiring.controller
        while (now := self.record.stage) is not stage:
            match now:
                case Stage.OFF:
                    controller.sync(PHASE, lambda _: None, lambda: False)
                    assert check_phase(self.wiring, PHASE).clean
                case Stage.LIVE:
                    controller.rollback(PHASE)
                case _:
                    self._advance()

    def killed_after(self, move: str, number: int) -> None:
        """Return when a controller was killed in the move, and nothing is left to be ended."""
        kill_after(self.environment.plan_file, move, number)
        deadline = time.monotonic() + TAKEN_OVER_SECONDS
        while Journal(self.wiring.control).unfinished():
            assert time.monotonic() < deadline, "nobody took the switch over"
            time.sleep(0.05)

    def _advance(self) -> None:
        deadline = time.monotonic() + GATE_SECONDS
        while True:
            try:
                self.wiring.controller.advance(PHASE)
            except GateClosed:
                if time.monotonic() > deadline:
                    raise
                self.crowd.read(30)  # shadow needs samples
            else:
                return


@pytest.fixture(scope="module")
def migrations(environments: Callable[[str], Environment]) -> Iterator[Callable[[str], Migration]]:
    """Gives the migration on ``sqlite`` or ``postgresql``; people write until the other is asked for."""
    running: dict[str, Migration] = {}
    with ExitStack() as stack:

        def migration(engine: str) -> Migration:
            if engine not in running:
                running.clear()
                stack.close()
                running[engine] = Migration(environments(engine))
                stack.callback(running[engine].wiring.close)
                stack.enter_context(running[engine].crowd)
            return running[engine]

        yield migration


def assert_one_writer(migration: Migration, writer: Side) -> None:
    """The facade sends writes to ``writer``, its database takes them, and the other one's does not.

    Whatever people were told is there once, and both sides become equal.
    """
    record = migration.record
    assert (record.writer, record.hold) == (writer, None)
    with migration.wiring.replicating(PHASE) as replication:
        assert not replication.guarded(writer)
        assert replication.guarded(writer.other)
    with migration.wiring.engines(PHASE, writer) as (loser_engine, writer_engine):
        with pytest.raises(DBAPIError, match=f"{writer}.*{record.epoch}"), loser_engine.begin() as connection:
            connection.execute(text(f"DELETE FROM {TABLE[writer.other]}"))
        with writer_engine.connect() as connection:
            changed = connection.execute(text(f"UPDATE {TABLE[writer]} SET notify = notify"))
            assert changed.rowcount > 0
            connection.rollback()
    migration.crowd.go_on(3)
    with migration.crowd.paused():
        assert migration.crowd.differences(migration.environment.databases, writer.value) == []
        assert migration.crowd.failures == []
    assert check_phase(migration.wiring, PHASE).clean


CUTOVER = ("advance", Stage.RAMP, Stage.LIVE, Side.SERVICE)
ROLLBACK = ("rollback", Stage.LIVE, Stage.SHADOW, Side.MONOLITH)

# In an order in which one switch that was finished by others leads to the start of the next.
ON_SQLITE = [
    *((CUTOVER, number) for number in range(1, COMMIT)),
    (CUTOVER, COMMIT),
    *((ROLLBACK, number) for number in range(1, COMMIT)),
    (ROLLBACK, COMMIT),
    *((switch, number) for number in range(COMMIT + 1, len(STEPS) + 1) for switch in (CUTOVER, ROLLBACK)),
]
ON_POSTGRESQL = [
    (CUTOVER, STEPS["guard"]),
    (CUTOVER, STEPS["drain"]),
    (CUTOVER, COMMIT),
    (ROLLBACK, STEPS["guard"]),
    (ROLLBACK, STEPS["reverse"]),
]


@pytest.mark.parametrize(
    ("engine", "switch", "number"),
    [
        pytest.param(engine, switch, number, id=f"{engine}-{switch[0]}-{Switch.steps[number - 1].name}")
        for engine, cases in (("sqlite", ON_SQLITE), ("postgresql", ON_POSTGRESQL))
        for switch, number in cases
    ],
)
def test_i7_a_controller_killed_after_a_step_leaves_one_writer(migrations, engine, switch, number) -> None:
    move, source, target, to = switch
    migration = migrations(engine)
    migration.reach(source)
    epoch = migration.record.epoch

    migration.killed_after(move, number)

    committed = number >= COMMIT
    assert migration.record.stage is (target if committed else source)
    assert migration.record.epoch == (epoch + 1 if committed else epoch)
    if number > STEPS["precheck"]:
        [run] = Journal(migration.wiring.control).last(PHASE, Switch.kind, limit=1)
        assert run.outcome == (FINISHED if committed else CANCELLED)
    assert_one_writer(migration, to if committed else to.other)
