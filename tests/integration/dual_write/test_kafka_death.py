"""Relays and brokers that die, freeze or come twice while changes travel through Kafka."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from kafka import KafkaProducer
from kafka.coordinator.consumer import ConsumerCoordinator
from kafka.errors import KafkaTimeoutError
from kafka.future import Future

from dual_write import kafka_broker, kafka_clients
from dual_write.errors import BrokerError
from dual_write.kafka_clients import Producer
from dual_write.kafka_consumer import Inlet
from dual_write.kafka_transport import KafkaTransport
from dual_write.relay import Relay
from flags.side import Side
from tests.integration.dual_write import kafka_links
from tests.integration.dual_write.conftest import Pair, mapped
from tests.integration.dual_write.kafka_links import PARTITIONS, Links, carry
from tests.servers.kafka import KafkaServer

T = "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT)"
MAPPING = mapped("t", ("id",), "n")
UPSERT = "ON CONFLICT (id) DO UPDATE SET n = excluded.n"

# A relay of its own, which stops for good at the patched place.
CHILD = """
import sys
from dual_write import kafka_inbox, kafka_publisher, kafka_clients, replication
from dual_write.kafka_settings import Brokers
from dual_write.kafka_transport import KafkaTransport
from flags.side import Side
from tests.integration.dual_write.conftest import mapped

def stop(*_, **__):
    print("reached", flush=True)
    sys.stdin.read()

kafka_clients._SESSION_MS = int(sys.argv[5])
{patch}
made = replication.Replication("phase", sys.argv[1], sys.argv[2], [mapped("t", ("id",), "n")])
transport = KafkaTransport(made, Brokers((sys.argv[3],), sys.argv[4], 3, 1))
while True:
    transport.step(Side.SERVICE)
"""
KILLED_AT = {
    "before the rows commit": "kafka_inbox.write = stop",
    "before it publishes": "kafka_clients.Producer.send = stop",
    "in the middle of a batch": """
commit = kafka_clients.KafkaProducer.commit_transaction
def sent_and_not_committed(self):
    self.flush()
    stop()
kafka_clients.KafkaProducer.commit_transaction = sent_and_not_committed
""",
    "before it knows that it has published": """
send = kafka_clients.Producer.send
def sent(self, *given):
    send(self, *given)
    stop()
kafka_clients.Producer.send = sent
""",
}


@pytest.fixture
def links(
    kafka_server: KafkaServer, postgresql_pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Links]:
    # So long the group waits for a member that could not say goodbye.
    monkeypatch.setattr(kafka_clients, "_SESSION_MS", kafka_server.session_ms)
    postgresql_pair.define(T)
    yield from kafka_links.links(kafka_server, postgresql_pair)


@pytest.mark.parametrize("place", KILLED_AT)
def test_i2_a_relay_that_is_killed_loses_and_doubles_nothing(links: Links, place: str) -> None:
    pair = links.pair
    replication = pair.started(MAPPING)
    pair.monolith.run(
        "INSERT INTO t SELECT n, 'a' FROM generate_series(1, 20) AS n", "DELETE FROM t WHERE id = 7"
    )
    arguments = [pair.monolith.url, pair.service.url, links.brokers.bootstrap[0], links.brokers.topic_prefix]
    arguments.append(str(links.server.session_ms))
    # The child is to die with a batch, not when it begins a session.
    begun = links.transport(MAPPING)
    begun.step(Side.SERVICE)
    begun.close()
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD.format(patch=KILLED_AT[place]), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "reached\n"
    pair.monolith.run("UPDATE t SET n = 'b' WHERE id < 5")
    child.send_signal(signal.SIGKILL)
    child.communicate()
    carry(replication, links.transport(MAPPING))
    pair.assert_equal("t")
    accounts = replication.accounts(Side.SERVICE)
    assert (accounts.captured, accounts.applied, accounts.parked) == (25, 25, 0)


BROKER_KILLED = {
    "with a batch sent and not committed": (KafkaProducer, "commit_transaction", "before"),
    "before the relay knows that it has published": (Producer, "send", "after"),
    "when the rows are written": (Inlet, "take", "after"),
}


@pytest.mark.parametrize("place", BROKER_KILLED)
def test_i2_the_broker_is_killed_at_a_step_of_the_relay(
    links: Links, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = links.pair
    replication = pair.started(MAPPING)
    transport = links.transport(MAPPING)
    pair.monolith.run("INSERT INTO t SELECT n, 'a' FROM generate_series(1, 20) AS n")
    carry(replication, transport)
    owner, name, when = BROKER_KILLED[place]
    act, starts = getattr(owner, name), []

    def kill() -> None:
        if not starts:
            links.server.kill()
            starts.append(threading.Thread(target=links.server.start))
            starts[0].start()

    def dying(self: Any, *given: Any) -> Any:
        if when == "before":
            self.flush()
            kill()
        done = act(self, *given)
        kill()
        return done

    monkeypatch.setattr(owner, name, dying)
    pair.monolith.run("UPDATE t SET n = 'b' WHERE id < 5", "DELETE FROM t WHERE id = 7")
    while not starts:
        with suppress(BrokerError):
            transport.step(Side.SERVICE)
    pair.monolith.run("UPDATE t SET n = 'c' WHERE id = 8")
    starts[0].join()
    carry(replication, transport)
    pair.assert_equal("t")
    accounts = replication.accounts(Side.SERVICE)
    assert (accounts.captured, accounts.applied, accounts.parked) == (26, 26, 0)


def test_i2_a_broker_that_stays_away_is_told_and_not_waited_for(
    links: Links, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left to itself, the library would wait for it with the batch that it was committing."""
    pair = links.pair
    for module in (kafka_broker, kafka_clients):
        monkeypatch.setattr(module, "REQUEST_MS", 2_000)
    replication = pair.started(MAPPING)
    transport = links.transport(MAPPING)
    pair.monolith.run("INSERT INTO t VALUES (1, 'a')")
    carry(replication, transport)
    threads = threading.active_count()
    links.server.kill()
    try:
        pair.monolith.run("INSERT INTO t VALUES (2, 'b')")
        with pytest.raises(BrokerError, match="does not answer"):
            carry(replication, transport, failing=True)
    finally:
        links.server.start()
    carry(replication, transport)
    pair.assert_equal("t")
    assert replication.accounts(Side.SERVICE).applied == 2
    # Those of the producer that was given up end by themselves, once the library sees that it was closed.
    begin = time.monotonic()
    while threading.active_count() > threads:
        assert time.monotonic() - begin < 60, threading.enumerate()
        time.sleep(0.02)


@pytest.mark.parametrize("lost", [0, -1], ids=["the first", "the last"])
def test_i2_a_message_that_a_commit_would_leave_out_is_sent_again(links: Links, lost: int) -> None:
    """The library leaves out what waited too long for a broker that was away."""
    pair = links.pair
    replication = pair.started(MAPPING)
    send, flush, sent = KafkaProducer.send, KafkaProducer.flush, []

    def kept_back(self: Any, *given: Any, **options: Any) -> Future:
        sent.append((Future(), given, options))
        return sent[-1][0]

    def expiring(self: Any) -> None:
        kept = sent[:]
        sent.clear()
        for number, (future, given, options) in enumerate(kept):
            if number == lost % len(kept):
                future.failure(KafkaTimeoutError())
            else:
                send(self, *given, **options).add_callback(future.success)
        flush(self)

    pair.monolith.run("INSERT INTO t SELECT n, 'a' FROM generate_series(1, 20) AS n")
    transport = links.transport(MAPPING)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(KafkaProducer, "send", kept_back)
        patch.setattr(KafkaProducer, "flush", expiring)
        with pytest.raises(BrokerError):
            carry(replication, transport, failing=True)
    carry(replication, transport)
    pair.assert_equal("t")
    accounts = replication.accounts(Side.SERVICE)
    assert (accounts.captured, accounts.applied) == (20, 20)


def test_i2_the_broker_is_killed_and_comes_back_under_writes(links: Links) -> None:
    pair = links.pair
    replication = pair.started(MAPPING)
    stop = threading.Event()
    relay = Relay(pair.replication(MAPPING), lambda: [Side.SERVICE], links.transport(MAPPING).step)
    thread = threading.Thread(target=relay.run, args=(stop,))
    thread.start()
    try:
        for number in range(120):
            pair.monolith.run(f"INSERT INTO t VALUES ({number % 30}, '{number}') {UPSERT}")
            if number == 40:
                links.server.kill()
            if number == 80:
                assert replication.lag(Side.SERVICE).changes > 0
                links.server.start()
        carry(replication)
    finally:
        stop.set()
        thread.join()
    pair.assert_equal("t")
    accounts = replication.accounts(Side.SERVICE)
    assert (accounts.captured, accounts.applied) == (120, 120)


def test_i2_a_relay_whose_share_is_forgotten_asks_for_it_again(
    links: Links, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library does that to answers of the group that come between two polls."""
    pair = links.pair
    replication = pair.started(MAPPING)
    complete, forgotten = ConsumerCoordinator._on_join_complete_async, []

    async def forgetting(self: Any, *given: Any) -> None:
        if not forgotten:
            forgotten.append(given)
            return
        await complete(self, *given)

    monkeypatch.setattr(ConsumerCoordinator, "_on_join_complete_async", forgetting)
    pair.monolith.run("INSERT INTO t VALUES (1, 'a')")
    carry(replication, links.transport(MAPPING))
    assert forgotten
    pair.assert_equal("t")


def test_i2_two_relays_share_the_partitions_and_one_takes_over(links: Links) -> None:
    pair = links.pair
    replication = pair.started(MAPPING)
    first, second = links.transport(MAPPING), links.transport(MAPPING)
    numbers = iter(range(10_000))

    def write_on() -> bool:
        number = next(numbers)
        pair.monolith.run(f"INSERT INTO t VALUES ({number % 50}, '{number}') {UPSERT}")
        return _shares(first, second)

    carry(replication, first)
    # The second joins while the first has work: the partitions move in mid-stream.
    carry(replication, first, second, until=write_on)
    assert _parts(first) | _parts(second) == set(range(PARTITIONS))
    carry(replication, first, second)
    first.close()
    pair.monolith.run(f"INSERT INTO t VALUES (1000, 'taken over') {UPSERT}")
    carry(replication, second)
    pair.assert_equal("t")
    accounts = replication.accounts(Side.SERVICE)
    assert accounts.captured == accounts.applied == next(numbers) + 1


def test_i2_a_batch_that_another_consumer_applied_meanwhile_is_dropped(links: Links) -> None:
    """The partitions change hands between receiving and applying, as when a process is frozen."""
    pair = links.pair
    replication = pair.started(MAPPING)
    slow, quick = links.transport(MAPPING), links.transport(MAPPING)
    pair.monolith.run("INSERT INTO t VALUES (1, 'old'), (2, 'old'), (3, 'old')")
    carry(replication, slow)
    pair.monolith.run("UPDATE t SET n = 'older'")
    [link] = slow._links[Side.SERVICE]
    take, caught = link._inlet.take, []

    def frozen(batches):  # type: ignore[no-untyped-def] # stands for a method
        slow_consumer = link._consumer
        if not caught:
            caught.append(batches)
            assert slow_consumer is not None
            slow_consumer._client.close()
            pair.monolith.run("UPDATE t SET n = 'new'")
            carry(replication, quick)
        return take(batches)

    link._inlet.take = frozen  # type: ignore[method-assign]
    while not caught:
        slow.step(Side.SERVICE)
    pair.assert_equal("t")
    accounts = replication.accounts(Side.SERVICE)
    assert (accounts.captured, accounts.applied) == (9, 9)


def test_i2_a_publisher_that_wakes_late_is_shut_out(links: Links) -> None:
    """Its old rows do not become the last messages of their keys."""
    pair = links.pair
    replication = pair.started(MAPPING)
    late, current = links.transport(MAPPING), links.transport(MAPPING)
    carry(replication, late, until=lambda: _parts(late) == set(range(PARTITIONS)))
    pair.monolith.run("INSERT INTO t VALUES (1, 'old')")
    carry(replication, late)
    [link] = late._links[Side.SERVICE]
    assert link._publisher is not None
    publisher, inbox = link._publisher, link._look()
    session = next(iter(link._places.values())).session
    assert link._consumer is not None
    link._consumer.close()
    pair.monolith.run("UPDATE t SET n = 'new'")
    carry(replication, current)
    pair.monolith.run("UPDATE t SET n = 'newer'")
    assert publisher.publish(inbox, session, 1000) is None
    carry(replication, current)
    pair.assert_equal("t")
    rows = [message.row for _, message in links.messages() if getattr(message, "row", None)]
    assert [row["n"] for row in rows] == ["old", "new", "newer"]


def _parts(transport: KafkaTransport) -> set[int]:
    [link] = transport._links[Side.SERVICE]
    return set(link._consumer.next) if link._consumer is not None else set()


def _shares(first: KafkaTransport, second: KafkaTransport) -> bool:
    return bool(_parts(first)) and bool(_parts(second))
