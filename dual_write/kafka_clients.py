"""Kafka's producer and consumer, with what this package needs of them."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaTimeoutError

from dual_write.errors import ShutOut
from dual_write.kafka_broker import BLOCK_MS, REQUEST_MS, Topic, connected, translated
from dual_write.kafka_settings import Brokers

_SESSION_MS = 6_000  # the least that brokers allow by default: so long a dead relay's share waits
_TRANSACTION_MS = 10_000
_BATCH_BYTES = 1 << 17
_LINGER_MS = 5
_FETCH_BYTES = 1 << 23
_MARGIN_MS = 1_000
_CLOSE_SECONDS = 2.0
_JOINING_SECONDS = 3.0
_JOINING_POLL_MS = 200
_STALLED_SESSIONS = 3
"""So many times what the group waits for a dead member: who still has no share by then joins anew."""


@dataclass(frozen=True, slots=True)
class Record:
    """A consumed message."""

    offset: int
    value: bytes | None


class Producer:
    """Sends batches, each whole or not at all. Another one made of the same ``name`` shuts this one out."""

    def __init__(self, brokers: Brokers, topic_: Topic, name: str) -> None:
        self._brokers = brokers
        self._topic = topic_
        self._waiting: threading.Thread | None = None
        with translated(brokers):
            self._client = connected(
                brokers,
                KafkaProducer,
                transactional_id=name,
                transaction_timeout_ms=_TRANSACTION_MS,
                delivery_timeout_ms=2 * REQUEST_MS,
                max_block_ms=BLOCK_MS,
                max_request_size=max(topic_.limit, 1 << 20),
                batch_size=_BATCH_BYTES,
                linger_ms=_LINGER_MS,
                allow_auto_create_topics=False,
            )
            try:
                self._client.init_transactions()
            except BaseException:
                self.close()
                raise

    def send(self, messages: Sequence[tuple[bytes, bytes]], everywhere: tuple[bytes, bytes]) -> bool:
        """All ``messages`` (key, value), then ``everywhere`` to each partition, as one transaction.

        Return when every replica has it; False when another producer of the same name has taken over. After
        that, and after an error, the producer is of no more use.
        """
        try:
            with translated(self._brokers):
                self._client.begin_transaction()
                sent = [self._client.send(self._topic.name, value=value, key=key) for key, value in messages]
                key, value = everywhere
                sent += [
                    self._client.send(self._topic.name, value=value, key=key, partition=partition)
                    for partition in range(self._topic.partitions)
                ]
                self._commit(sent)
        except ShutOut:
            return False
        return True

    def _commit(self, sent: Sequence[Any]) -> None:
        """Within the time that messages have; the library would wait for a lost broker until it is back.

        It would also commit without those of ``sent``, the messages' futures, that had to wait too long.
        """
        failures: list[BaseException] = []

        def commit() -> None:
            try:
                self._client.flush()
                for each in sent:
                    if not each.succeeded():
                        raise each.exception or KafkaTimeoutError("a message was not sent")
                self._client.commit_transaction()
            except BaseException as error:  # noqa: BLE001 - raised again by who waits
                failures.append(error)

        self._waiting = threading.Thread(target=commit, name="commit", daemon=True)
        self._waiting.start()
        self._waiting.join((2 * REQUEST_MS + _MARGIN_MS) / 1000)
        if self._waiting.is_alive():
            raise KafkaTimeoutError("what was sent is not confirmed")
        if failures:
            raise failures[0]

    def close(self) -> None:
        with suppress(KafkaTimeoutError):
            self._client.close(timeout=_CLOSE_SECONDS)
        if self._client._sender.is_alive() or (self._waiting is not None and self._waiting.is_alive()):
            self._give_up()

    def _give_up(self) -> None:
        """The library would go on sending what is not confirmed, and waiting for it, with no end."""
        sender = self._client._sender
        sender.force_close()
        sender.join(_CLOSE_SECONDS)
        self._client._transaction_manager.authentication_failed(KafkaTimeoutError("the producer was closed"))
        self._client.close(timeout=0)


class Consumer(ConsumerRebalanceListener):  # type: ignore[misc] # the library publishes no types
    """A member of the stream's group. ``place`` says where to go on in a partition, None when it is unknown.

    ``next`` holds, for each partition that this member has now, the offset behind what it has handed over.
    ``joined`` is False while the group divides the partitions anew, and ``stalled`` is True when that takes
    longer than it can: the member is then of no more use.
    """

    def __init__(
        self, brokers: Brokers, topic_: Topic, group: str, place: Callable[[int], int | None]
    ) -> None:
        self._brokers = brokers
        self._topic = topic_
        self._place = place
        self.next: dict[int, int] = {}
        self.joined = False
        self._asked_at = time.monotonic()
        with translated(brokers):
            self._client = connected(
                brokers,
                KafkaConsumer,
                group_id=group,
                isolation_level="read_committed",
                auto_offset_reset="none",
                enable_auto_commit=False,
                fetch_max_bytes=_FETCH_BYTES,
                allow_auto_create_topics=False,
                session_timeout_ms=_SESSION_MS,
                heartbeat_interval_ms=_SESSION_MS // 4,
            )
            self._client.subscribe([topic_.name], listener=self)

    def on_partitions_assigned(self, assigned: Sequence[Any]) -> None:
        self.joined = True
        for each in assigned:
            if (offset := self._place(each.partition)) is not None:
                self._client.seek(each, offset)
                self.next[each.partition] = offset

    def on_partitions_revoked(self, revoked: Sequence[Any]) -> None:
        if self.joined:
            self.joined, self._asked_at = False, time.monotonic()
        for each in revoked:
            self.next.pop(each.partition, None)
        # A join that new metadata caused is forgotten by the library when its answer comes between two polls.
        with suppress(AttributeError):
            self._client._coordinator.request_rejoin()

    @property
    def stalled(self) -> bool:
        limit = _STALLED_SESSIONS * _SESSION_MS / 1000
        return not self.joined and time.monotonic() - self._asked_at > limit

    def poll(self, seconds: float, limit: int) -> Mapping[int, Sequence[Record]]:
        """What has arrived, by partition. Raises MessagesLost when what comes next is no longer there.

        While the group divides its partitions anew this stays longer: the library throws away an answer that
        comes between two polls, and makes all members join once more.
        """
        until = time.monotonic() + _JOINING_SECONDS
        with translated(self._brokers):
            found = self._client.poll(timeout_ms=int(seconds * 1000), max_records=limit)
            while not (found or self.joined) and time.monotonic() < until:
                found = self._client.poll(timeout_ms=_JOINING_POLL_MS, max_records=limit)
        return {
            at.partition: [Record(record.offset, record.value) for record in records]
            for at, records in found.items()
        }

    def passed(self, partition: int, offset: int) -> None:
        """Everything before ``offset`` is done with."""
        if partition in self.next:
            self.next[partition] = offset

    def go_to(self, partition: int, offset: int) -> None:
        """Hand over from ``offset`` on, when the partition is still this member's."""
        at = TopicPartition(self._topic.name, partition)
        if at in self._client.assignment():
            self._client.seek(at, offset)
            self.next[partition] = offset

    def ends(self) -> dict[int, int]:
        """The offset behind the last message of each partition."""
        at = [TopicPartition(self._topic.name, number) for number in range(self._topic.partitions)]
        with translated(self._brokers):
            return {each.partition: offset for each, offset in self._client.end_offsets(at).items()}

    def close(self) -> None:
        self._client.close(timeout_ms=int(_CLOSE_SECONDS * 1000))
