"""A phase of a running migration with people on it: brought to any stage, and looked at from all sides."""

import time

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from flags.side import Side
from migration.checking import check_phase
from migration.demo.environment import PHASE, Environment
from migration.errors import GateClosed
from migration.journal import Journal
from migration.stages import PhaseRecord, Stage
from migration.wiring import Wiring
from tests.acceptance.dying import kill_after, let_lease_run_out
from tests.acceptance.people import Crowd

TABLE = {Side.MONOLITH: "saved_searches", Side.SERVICE: "saved_queries"}
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

    def killed_after(self, move: str, number: int, *, waiting: bool) -> None:
        """Return when a controller was killed in the move, and nothing is left to be ended.

        ``waiting``: its lease runs out when its time has come, not at once.
        """
        pid = kill_after(self.environment.plan_file, move, number)
        if not waiting:
            let_lease_run_out(self.wiring.control, pid)
        self.settle()

    def settle(self) -> None:
        """Return when no run is left unfinished."""
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
    assert check_phase(migration.wiring, PHASE).clean
