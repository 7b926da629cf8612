"""The tests of replication once more, with every step by way of Kafka."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from dual_write.kafka_settings import Brokers
from dual_write.kafka_transport import KafkaTransport
from dual_write.mapping import TableMapping
from dual_write.replication import Replication
from flags.side import Side
from tests.integration.dual_write import kafka_links
from tests.integration.dual_write.conftest import Database, Pair
from tests.integration.dual_write.test_journeys import Journey
from tests.integration.dual_write.test_order import (
    test_changes_of_a_transaction_rolled_back_to_a_savepoint_are_read_in_place,
    test_what_a_log_held_before_a_newer_epoch_is_not_applied,
)
from tests.integration.dual_write.test_replication import (
    items,
    test_a_closed_direction_is_fenced,
    test_backfill_and_changes_arrive,
    test_i4_replicated_writes_are_not_captured_again,
    test_i10_accounts_balance,
    test_switch_there_and_back_keeps_both_sides_equal,
)
from tests.integration.dual_write.test_splits import (
    test_a_key_that_two_tables_hold_waits_until_one_lets_go,
    test_a_truncated_part,
    test_i3_a_change_whose_number_is_older_still_counts_when_it_is_another_tables,
)
from tests.servers.kafka import KafkaServer

__all__ = [
    "items",
    "test_a_closed_direction_is_fenced",
    "test_a_key_that_two_tables_hold_waits_until_one_lets_go",
    "test_a_truncated_part",
    "test_backfill_and_changes_arrive",
    "test_changes_of_a_transaction_rolled_back_to_a_savepoint_are_read_in_place",
    "test_i3_a_change_whose_number_is_older_still_counts_when_it_is_another_tables",
    "test_i4_replicated_writes_are_not_captured_again",
    "test_i10_accounts_balance",
    "test_switch_there_and_back_keeps_both_sides_equal",
    "test_what_a_log_held_before_a_newer_epoch_is_not_applied",
]
SECONDS = 30.0


class ByKafka(Replication):
    """Steps as ``Replication`` does, until nothing waits, through a topic."""

    def __init__(self, pair: Pair, mappings: tuple[TableMapping, ...], brokers: Brokers) -> None:
        super().__init__("phase", pair.monolith.url, pair.service.url, mappings)
        self._transport = KafkaTransport(self, brokers)

    def step(self, to: Side, limit: int = 1000) -> int:
        before, deadline = self._passed(to), time.monotonic() + SECONDS
        while True:
            self._transport.step(to, limit)
            if not self.lag(to).changes:
                return self._passed(to) - before
            assert time.monotonic() < deadline, self.lag(to)

    def dispose(self) -> None:
        self._transport.close()
        super().dispose()

    def _passed(self, to: Side) -> int:
        accounts = self.accounts(to)
        return accounts.captured - accounts.pending


@dataclass
class KafkaPair(Pair):
    brokers: Brokers | None = None

    def replication(self, *mappings: TableMapping, phase: str = "phase", outbox: bool = False) -> Replication:
        assert self.brokers is not None
        assert not outbox
        self.made.append(ByKafka(self, mappings, self.brokers))
        return self.made[-1]


@pytest.fixture(params=["sqlite-postgresql"])
def pair(
    request: pytest.FixtureRequest, kafka_server: KafkaServer, sqlite_database: Callable[[], str]
) -> Iterator[Pair]:
    yield from _pair(request, kafka_server, sqlite_database)


@pytest.fixture(params=["postgresql"])
def like_pair(
    request: pytest.FixtureRequest, kafka_server: KafkaServer, sqlite_database: Callable[[], str]
) -> Iterator[Pair]:
    yield from _pair(request, kafka_server, sqlite_database)


@pytest.fixture(params=["postgresql"])
def postgresql_pair(
    request: pytest.FixtureRequest, kafka_server: KafkaServer, sqlite_database: Callable[[], str]
) -> Iterator[Pair]:
    yield from _pair(request, kafka_server, sqlite_database)


def _pair(
    request: pytest.FixtureRequest, server: KafkaServer, sqlite_database: Callable[[], str]
) -> Iterator[Pair]:
    postgresql_database = request.getfixturevalue("postgresql_database")
    make = sqlite_database if request.param.startswith("sqlite") else postgresql_database
    made = KafkaPair(Database(make()), Database(postgresql_database()), brokers=kafka_links.brokers(server))
    yield made
    for replication in made.made:
        replication.dispose()
    made.monolith.engine.dispose()
    made.service.engine.dispose()


class KafkaJourney(Journey):
    """Changes go directly and by way of Kafka, in turns."""

    def __init__(self, pair: Pair, brokers: Brokers) -> None:
        super().__init__(pair)
        self.brokers = brokers
        self.transport = self._transport()

    @rule(limit=st.integers(1, 4))
    def step(self, limit: int) -> None:
        self.transport.step(self.writer.other, limit)

    @rule(limit=st.integers(1, 4))
    def step_directly(self, limit: int) -> None:
        self.replication.step(self.writer.other, limit)

    @rule()
    def arrive(self) -> None:
        deadline = time.monotonic() + SECONDS
        while self.replication.lag(self.writer.other).changes:
            self.transport.step(self.writer.other)
            assert time.monotonic() < deadline

    @rule()
    def die(self) -> None:
        super().die()
        self.transport.close()
        self.transport = self._transport()

    def teardown(self) -> None:
        self.arrive()
        self.transport.close()
        super().teardown()

    def _transport(self) -> KafkaTransport:
        return KafkaTransport(self.renewed(), self.brokers)


def test_i2_every_journey_ends_equal(
    kafka_server: KafkaServer, sqlite_database: Callable[[], str], postgresql_database: Callable[[], str]
) -> None:
    direct = Pair(Database(sqlite_database()), Database(postgresql_database()))
    direct.define(
        "CREATE TABLE parents (id INTEGER PRIMARY KEY, mail TEXT UNIQUE)",
        "CREATE TABLE children (pid INTEGER REFERENCES parents, name TEXT, body TEXT, "
        "PRIMARY KEY (pid, name))",
    )
    brokers = kafka_links.brokers(kafka_server)
    try:
        run_state_machine_as_test(  # type: ignore[no-untyped-call] # hypothesis leaves it untyped
            lambda: KafkaJourney(direct, brokers),
            settings=settings(
                max_examples=4,
                stateful_step_count=25,
                deadline=None,
                derandomize=True,
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        for replication in direct.made:
            replication.dispose()
        for database in (direct.monolith, direct.service):
            database.engine.dispose()
