"""Whatever is killed at whichever step of a switch, under writers: one side goes on, and nothing is lost.

The controller's own death is in `test_kill_matrix.py`.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from sqlalchemy.exc import SQLAlchemyError

from dual_write.errors import DataError
from migration.demo.environment import PHASE, Databases, Environment
from migration.demo.servers import PostgreSQLServer
from migration.errors import MigrationError
from migration.procedure import StepDone
from migration.stages import Stage
from migration.switch import Switch
from migration.transitions import Controller
from migration.workers import ControlWorkers
from tests.acceptance.command import CHECKOUT
from tests.acceptance.conftest import SIZE
from tests.acceptance.migrations import Migration, assert_one_writer

STEPS = [step.name for step in Switch.steps]
LOST_CONNECTION = ("RemoteProtocolError", "ReadError", "ConnectError")


def switch(migration: Migration, step: str, strike: Callable[[], None]) -> None:
    """The next switch in whichever direction; ``strike`` comes after the step, before the next."""
    if migration.record.stage is not Stage.LIVE:
        migration.reach(Stage.RAMP)

    def observe(done: StepDone) -> None:
        if (done.kind, done.name) == (Switch.kind, step):
            strike()

    wiring = migration.wiring
    controller = Controller(
        wiring.plan, wiring.control, wiring.replication, recheck=wiring.recheck, observer=observe
    )
    move = controller.rollback if migration.record.stage is Stage.LIVE else controller.advance
    with suppress(MigrationError, DataError, SQLAlchemyError):
        move(PHASE)
    migration.settle()


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory, patience: None) -> Iterator[Migration]:
    with Environment(CHECKOUT, tmp_path_factory.mktemp("faults"), "sqlite", SIZE) as environment:
        migration = Migration(environment)
        with migration.crowd:
            yield migration
        migration.wiring.close()


@pytest.mark.parametrize("step", STEPS)
def test_i2_a_relay_killed_at_a_step_of_the_switch(on_sqlite: Migration, step: str) -> None:
    failures = len(on_sqlite.crowd.failures)

    switch(on_sqlite, step, lambda: on_sqlite.environment.replace("relay"))

    assert on_sqlite.crowd.failures[failures:] == []
    assert_one_writer(on_sqlite, on_sqlite.record.writer)


@pytest.mark.parametrize("step", STEPS)
def test_i2_a_worker_killed_at_a_step_of_the_switch(on_sqlite: Migration, step: str) -> None:
    failures = len(on_sqlite.crowd.failures)

    def kill() -> None:
        worker = ControlWorkers(on_sqlite.wiring.control).live_workers()[0].status
        os.kill(worker.pid, signal.SIGKILL)

    switch(on_sqlite, step, kill)

    # Whoever was connected to it saw that; nobody else saw anything.
    assert all(any(lost in each for lost in LOST_CONNECTION) for each in on_sqlite.crowd.failures[failures:])
    assert_one_writer(on_sqlite, on_sqlite.record.writer)


@pytest.fixture(scope="module")
def on_two_servers(
    tmp_path_factory: pytest.TempPathFactory, postgresql_programs: None, patience: None
) -> Iterator[tuple[Migration, dict[str, PostgreSQLServer]]]:
    """A server of its own for each side, which may be killed; the control database outlives both."""
    directory: Path = tmp_path_factory.mktemp("faults")
    with ExitStack() as stack:
        servers = {
            side: stack.enter_context(PostgreSQLServer(killable=True)) for side in ("monolith", "service")
        }
        databases = Databases(
            servers["monolith"].create_database(),
            servers["service"].create_database(),
            f"sqlite:///{directory / 'control'}.db",
        )
        migration = Migration(stack.enter_context(Environment(CHECKOUT, directory, databases, SIZE)))
        stack.callback(migration.wiring.close)
        stack.enter_context(migration.crowd)
        yield migration, servers


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("victim", ["source", "target"])
def test_i2_a_postgresql_killed_at_a_step_of_the_switch(on_two_servers, step: str, victim: str) -> None:
    migration, servers = on_two_servers
    writer = migration.record.writer
    server = servers[writer if victim == "source" else writer.other]
    recoveries: list[threading.Thread] = []

    def crash() -> None:
        recoveries.append(threading.Thread(target=server.crash))
        recoveries[-1].start()

    switch(migration, step, crash)

    for thread in recoveries:
        thread.join()
    assert_one_writer(migration, migration.record.writer)
