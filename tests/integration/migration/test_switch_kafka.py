"""The fenced switch while changes travel through Kafka, and the broker dies under it."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from dual_write import kafka_clients
from dual_write.kafka_transport import KafkaTransport
from dual_write.relay import Relay
from flags.side import Side
from migration.procedure import StepDone
from migration.relaying import directions
from migration.stages import Stage
from migration.switch import Switch
from tests.integration.dual_write import kafka_links
from tests.integration.migration.test_switch_data import Pair
from tests.integration.migration.worlds import PHASE
from tests.servers.kafka import KafkaServer

SECONDS = 60.0


class Running:
    """A pair with somebody who writes to whichever side lets him, and a relay by way of the broker."""

    def __init__(self, directory: Path, server: KafkaServer, stack: ExitStack) -> None:
        self.server = server
        self.strike = ""
        self.starts: list[threading.Thread] = []
        self.pair = Pair(
            directory, {side: f"sqlite:///{directory / side}.db" for side in Side}, self._observe
        )
        stack.callback(self.pair.close)
        self.pair.create()
        self.pair.reach(Stage.RAMP)
        self.acknowledged: list[str] = []
        self.writing = threading.Lock()
        self._ending = threading.Event()
        replication = self.pair.replication(PHASE)
        stack.callback(replication.dispose)
        transport = KafkaTransport(replication, kafka_links.brokers(server))
        stack.callback(transport.close)
        self.relay = Relay(replication, lambda: directions(self._record, follows=False), transport.step)
        for work in (self._write, lambda: self.relay.run(self._ending)):
            thread = threading.Thread(target=work)
            thread.start()
            stack.callback(thread.join)
        stack.callback(self._ending.set)

    @property
    def _record(self):  # type: ignore[no-untyped-def] # a phase's
        return self.pair.control.phase(PHASE)

    @property
    def writer(self) -> Side:
        return self._record.writer

    def switched(self, step: str) -> None:
        """Change the writer; the broker is killed, and started again, when ``step`` is done."""
        self.strike = step
        controller = self.pair.controller
        if self.writer is Side.MONOLITH:
            while self._record.stage is not Stage.RAMP:
                controller.advance(PHASE)
            controller.advance(PHASE)
        else:
            controller.rollback(PHASE)
        assert self.starts
        self.starts.pop().join()

    def until(self, holds) -> None:  # type: ignore[no-untyped-def] # a condition
        deadline = time.monotonic() + SECONDS
        while not holds():
            assert time.monotonic() < deadline, self.relay.trouble
            time.sleep(0.02)

    def _observe(self, done: StepDone) -> None:
        if (done.kind, done.name) == (Switch.kind, self.strike):
            self.strike = ""
            self.server.kill()
            self.starts.append(threading.Thread(target=self.server.start))
            self.starts[-1].start()

    def _write(self) -> None:
        number = 0
        while not self._ending.wait(0.005):
            number += 1
            with self.writing:
                for side in Side:
                    try:
                        self.pair.insert(side, str(number))
                    except DBAPIError:
                        continue  # guarded, or locked for a moment
                    self.acknowledged.append(str(number))
                    break


@pytest.fixture(scope="module")
def running(kafka_server: KafkaServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        # So long the group waits for a member that could not say goodbye.
        patch.setattr(kafka_clients, "_SESSION_MS", kafka_server.session_ms)
        yield Running(tmp_path_factory.mktemp("kafka"), kafka_server, stack)


@pytest.mark.parametrize("step", [step.name for step in Switch.steps])
def test_i2_a_broker_killed_at_a_step_of_the_switch(running: Running, step: str) -> None:
    pair, before = running.pair, running.writer

    running.switched(step)

    assert running.writer is before.other
    running.until(lambda: running.relay.trouble is None)
    written = len(running.acknowledged)
    running.until(lambda: len(running.acknowledged) > written)
    with running.writing:
        running.until(lambda: pair.rows(Side.MONOLITH) == pair.rows(Side.SERVICE))
        assert sorted(pair.rows(running.writer).values()) == sorted(running.acknowledged)
        with pytest.raises(DBAPIError, match=running.writer):
            pair.stray(before)
