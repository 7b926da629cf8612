"""A phase whose changes travel through a topic of its own, and hands on that topic."""

import gc
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import OffsetSpec

from dual_write.errors import BrokerError, DataError
from dual_write.kafka_message import Message, Watermark, decode
from dual_write.kafka_settings import Brokers
from dual_write.kafka_transport import KafkaTransport
from dual_write.mapping import TableMapping
from dual_write.replication import Replication
from flags.side import Side
from tests.integration.dual_write.conftest import Pair
from tests.servers.kafka import KafkaServer

PARTITIONS = 3
SECONDS = 40.0


@dataclass
class Links:
    """Makes transports for one pair of databases, each as a relay of its own would have it."""

    server: KafkaServer
    pair: Pair
    brokers: Brokers
    made: list[KafkaTransport] = field(default_factory=list)

    def transport(self, *mappings: TableMapping, brokers: Brokers | None = None) -> KafkaTransport:
        self.made.append(KafkaTransport(self.pair.replication(*mappings), brokers or self.brokers))
        return self.made[-1]

    @property
    def topic(self) -> str:
        return f"{self.brokers.topic_prefix}.phase.to-service"

    def messages(self) -> list[tuple[int, Message | Watermark]]:
        """All that the topic holds now, with the partition, in each partition's order."""
        return [(part, decoded) for part, _, value in self.raw() if (decoded := decode(value)) is not None]

    def raw(self) -> list[tuple[int, bytes, bytes]]:
        """Partition, key and value."""
        found: list[tuple[int, bytes, bytes]] = []
        with KafkaConsumer(
            bootstrap_servers=self.brokers.bootstrap,
            isolation_level="read_committed",
            enable_auto_commit=False,
        ) as consumer:
            parts = [TopicPartition(self.topic, part) for part in range(PARTITIONS)]
            consumer.assign(parts)
            ends = consumer.end_offsets(parts)
            consumer.seek_to_beginning(*parts)
            while any(consumer.position(part) < ends[part] for part in parts):
                for part, records in consumer.poll(timeout_ms=200).items():
                    found += [(part.partition, record.key, record.value) for record in records]
        return found

    def produce(self, *messages: tuple[int, bytes, bytes | None]) -> None:
        """Send as they are: partition, key and value."""
        producer = KafkaProducer(bootstrap_servers=self.brokers.bootstrap)
        for part, key, value in messages:
            producer.send(self.topic, key=key, value=value, partition=part)
        producer.flush()
        producer.close()

    def consumed(self) -> bool:
        """Whether the target's offsets stand behind the last message of every partition."""
        with self.admin() as admin:
            parts = {TopicPartition(self.topic, part): OffsetSpec.LATEST for part in range(PARTITIONS)}
            ends = {at.partition: found.offset for at, found in admin.list_partition_offsets(parts).items()}
        table = "strangler.kafka" if self.pair.service.is_postgresql else "strangler_kafka"
        places = dict(self.pair.service.query(f"SELECT part, next_offset FROM {table}"))
        # The mark at the end of a transaction is a message too, which no consumer is given.
        return all(places[part] >= end - 1 for part, end in ends.items())

    def admin(self) -> KafkaAdminClient:
        return KafkaAdminClient(bootstrap_servers=self.brokers.bootstrap)


def carry(
    replication: Replication,
    *transports: KafkaTransport,
    to: Side = Side.SERVICE,
    until: Callable[[], bool] = lambda: True,
    failing: bool = False,
) -> None:
    """Step until nothing waits and ``until`` says so too; several at once, as several relays do.

    A broker that is away is asked again, unless ``failing``.
    """
    deadline = time.monotonic() + SECONDS
    done = threading.Event()
    failures: list[DataError] = []

    def step(transport: KafkaTransport) -> None:
        try:
            transport.step(to)
        except BrokerError as error:
            if failing:
                raise
            failures.append(error)

    def step_on(transport: KafkaTransport) -> None:
        while not done.is_set():
            step(transport)

    with ThreadPoolExecutor(max_workers=max(1, len(transports))) as pool:
        beside = [pool.submit(step_on, transport) for transport in transports[1:]]
        try:
            while replication.lag(to).changes or not until():
                for transport in transports[:1]:
                    step(transport)
                assert time.monotonic() < deadline, (failures, replication.lag(to))
        finally:
            done.set()
    for each in beside:
        each.result()


def joined(transport: KafkaTransport) -> bool:
    [link] = transport._links[Side.SERVICE]
    return link._consumer is not None and len(link._consumer.next) == PARTITIONS


def brokers(server: KafkaServer, partitions: int = PARTITIONS) -> Brokers:
    """With a prefix that nobody else has."""
    return Brokers((server.bootstrap,), f"test-{uuid.uuid4().hex[:8]}", partitions, 1)


def links(server: KafkaServer, pair: Pair) -> Iterator[Links]:
    made = Links(server, pair, brokers(server))
    yield made
    for transport in made.made:
        transport.close()
    gc.collect()
