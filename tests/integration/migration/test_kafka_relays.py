"""Relays as processes, with Kafka between them; what the command line says about it."""

import json
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from flags.side import Side
from migration.demo.processes import Process
from migration.wiring import Wiring
from tests.integration.dual_write.conftest import Database
from tests.servers.kafka import KafkaServer

PHASE = "search"
SECONDS = 60.0


class Place:
    """A plan with Kafka, its two databases, and processes that work on them."""

    def __init__(self, directory: Path, monolith: str, service: str, kafka: str, stack: ExitStack) -> None:
        self.plan = directory / "strangler.toml"
        self.monolith, self.service = Database(monolith), Database(service)
        self._directory, self._stack = directory, stack
        self.plan.write_text(
            f'[monolith]\nurl = "http://127.0.0.1:1"\ndatabase = "{monolith}"\n{kafka}\n'
            f'[[phases]]\nname = "{PHASE}"\nroutes = ["GET /items"]\n'
            f'[phases.service]\nurl = "http://127.0.0.1:1"\ndatabase = "{service}"\n'
            '[[phases.tables]]\nmonolith = "items"\n'
        )
        for database in (self.monolith, self.service):
            stack.callback(database.engine.dispose)
            database.run("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT)")
        self.wiring = Wiring.load(self.plan)
        stack.callback(self.wiring.close)

    def relay(self) -> Process:
        number = len(list(self._directory.glob("relay*.log")))
        command = [sys.executable, "-m", "migration.cli", "relay", "--json", "--plan", str(self.plan)]
        return self._stack.enter_context(Process(command, self._directory / f"relay{number}.log"))

    def strangler(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "migration.cli", *arguments, "--plan", str(self.plan)]
        return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while not holds():
            assert time.monotonic() < deadline, [
                file.read_text() for file in self._directory.glob("relay*.log")
            ]
            time.sleep(0.05)

    def equal(self) -> bool:
        query = "SELECT * FROM items ORDER BY id"
        return self.monolith.query(query) == self.service.query(query)

    def partitions_moved(self) -> set[int]:
        """Those that a message was consumed from."""
        return {part for (part,) in self.service.query("SELECT part FROM strangler.kafka WHERE passed > 0")}


@pytest.fixture
def place(
    tmp_path: Path, kafka_server: KafkaServer, postgresql_database: Callable[[], str]
) -> Iterator[Place]:
    kafka = f'[kafka]\nbootstrap = "{kafka_server.bootstrap}"\ntopic_prefix = "test-{uuid.uuid4().hex[:8]}"'
    with ExitStack() as stack:
        yield Place(tmp_path, postgresql_database(), postgresql_database(), kafka, stack)


def test_i2_two_relays_carry_and_one_is_killed_under_writes(place: Place) -> None:
    place.monolith.run("INSERT INTO items SELECT n, 'before' FROM generate_series(1, 50) AS n")
    place.wiring.controller.sync(PHASE, lambda _: None, lambda: False)
    relays = [place.relay(), place.relay()]
    place.monolith.run("UPDATE items SET name = 'first'")
    place.until(place.equal)
    for number in range(40):
        place.monolith.run(f"UPDATE items SET name = '{number}' WHERE id % 7 = {number % 7}")
        if number == 20:
            relays[0].send(signal.SIGKILL)
    place.until(place.equal)
    assert place.partitions_moved() == {0, 1, 2, 3}
    with place.wiring.replicating(PHASE) as replication:
        place.until(lambda: replication.accounts(Side.SERVICE).pending == 0)
        accounts = replication.accounts(Side.SERVICE)
        assert accounts.captured == accounts.applied
        assert accounts.parked == 0


def test_a_relay_says_that_the_broker_is_away_and_the_lag_is_seen(
    tmp_path: Path, postgresql_database: Callable[[], str]
) -> None:
    kafka = '[kafka]\nbootstrap = "127.0.0.1:1"'
    with ExitStack() as stack:
        place = Place(tmp_path, postgresql_database(), postgresql_database(), kafka, stack)
        place.wiring.controller.sync(PHASE, lambda _: None, lambda: False)
        relay = place.relay()
        place.monolith.run("INSERT INTO items VALUES (1, 'waits')")

        def waiting() -> bool:
            [phase] = json.loads(place.strangler("status", "--json").stdout)["phases"]
            return [beat["lag"]["changes"] for beat in phase["replication"]] == [1]

        place.until(waiting)
        place.until(lambda: "Kafka at 127.0.0.1:1 does not answer" in relay.output())
        assert "Traceback" not in relay.output()
        assert relay.terminate() == 0


def test_the_doctor_asks_the_brokers(place: Place, kafka_server: KafkaServer) -> None:
    said = place.strangler("doctor", "--json")
    found = {each["subject"]: each for each in json.loads(said.stdout)["diagnoses"]}
    assert found["Kafka"]["level"] == "ok"
    place.plan.write_text(place.plan.read_text().replace(kafka_server.bootstrap, "127.0.0.1:1"))
    said = place.strangler("doctor", "--json")
    found = {each["subject"]: each for each in json.loads(said.stdout)["diagnoses"]}
    assert found["Kafka"]["level"] == "fail"
    assert "does not answer" in found["Kafka"]["text"]
