"""The door to Kafka: clients, topics, and errors in our own words. The only module that knows the library."""

import logging
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kafka import (
    ConsumerRebalanceListener,
    KafkaAdminClient,
    KafkaConsumer,
    KafkaProducer,
    TopicPartition,
)
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType

from dual_write.errors import BrokerError, MessagesLost

_REQUEST_MS = 6_000
_BLOCK_MS = 5_000
_SESSION_MS = 6_000  # the least that brokers allow by default: so long a dead relay's share waits
_TRANSACTION_MS = 10_000
_BATCH_BYTES = 1 << 17
_LINGER_MS = 5
_CLOSE_SECONDS = 2.0
_DEFAULT_LIMIT = 1_048_588  # max.message.bytes, where it may not be asked for

_UNKNOWN_TOPIC = 3
_MADE = {0, 36}  # 36: another relay was quicker


class _Reason(logging.Filter):
    """Why the last connection failed: the library says it in its log alone, and raises a timeout."""

    last: Exception | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        for each in record.args if isinstance(record.args, tuple) else ():
            if isinstance(each, Exception) and not isinstance(each, kafka_errors.KafkaTimeoutError):
                self.last = each
        return False


# Every error comes back as ours; the library would tell each of its attempts.
logging.getLogger("kafka").setLevel(logging.CRITICAL)
_reason = _Reason()
_connecting = logging.getLogger("kafka.net.manager")
_connecting.setLevel(logging.WARNING)
_connecting.addFilter(_reason)


@dataclass(frozen=True, slots=True)
class Brokers:
    """Which Kafka, and how to speak to it. ``replication`` and ``partitions`` are for topics made here."""

    bootstrap: tuple[str, ...]
    topic_prefix: str = "strangler"
    partitions: int = 4
    replication: int = 1
    protocol: str = "PLAINTEXT"
    mechanism: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: str | None = None

    @property
    def shown(self) -> str:
        return ",".join(self.bootstrap)

    def options(self) -> dict[str, Any]:
        """What every client is given."""
        given: dict[str, Any] = {
            "bootstrap_servers": list(self.bootstrap),
            "client_id": "strangler",
            "security_protocol": self.protocol,
            "bootstrap_timeout_ms": _BLOCK_MS,
            "request_timeout_ms": _REQUEST_MS,
            "metadata_max_age_ms": 30_000,
            "reconnect_backoff_max_ms": 1_000,
        }
        if self.mechanism is not None:
            given |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.user,
                "sasl_plain_password": self.password,
            }
        return given | ({"ssl_cafile": self.ca} if self.ca is not None else {})


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is: the broker's id of it, its partitions, and how many bytes a message may have."""

    name: str
    id: str
    partitions: int
    limit: int


@dataclass(frozen=True, slots=True)
class Record:
    """A consumed message."""

    offset: int
    value: bytes | None


def topic(brokers: Brokers, name: str) -> Topic:
    """The topic, made with the configured partitions and replication when there is none yet."""
    with _translated(brokers), _closing(KafkaAdminClient(**brokers.options())) as admin:
        [found] = admin.describe_topics([name])
        if found["error_code"] == _UNKNOWN_TOPIC:
            _create(brokers, admin, name)
            [found] = admin.describe_topics([name])
        if found["error_code"]:
            raise kafka_errors.for_code(found["error_code"])(name)
        return Topic(name, str(found["topic_id"]), len(found["partitions"]), _limit(admin, name))


def _create(brokers: Brokers, admin: Any, name: str) -> None:
    wanted = {"num_partitions": brokers.partitions, "replication_factor": brokers.replication}
    [made] = admin.create_topics({name: wanted}, raise_errors=False)["topics"]
    if made["error_code"] in _MADE:
        admin.wait_for_topics([name])
        return
    said = made["error_message"] or kafka_errors.for_code(made["error_code"]).__name__
    raise BrokerError(
        f"Kafka at {brokers.shown} has no topic {name!r}, and it cannot be made: {said.rstrip('.')}. Correct "
        f"`partitions` and `replication` under [kafka], or have somebody make it: "
        f"kafka-topics.sh --create --topic {name} --partitions {brokers.partitions}"
    )


def _limit(admin: Any, name: str) -> int:
    try:
        found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)], config_filter="all")
        return int(found["topic"][name]["max.message.bytes"]["value"])
    except (kafka_errors.AuthorizationError, KeyError):
        return _DEFAULT_LIMIT


class Producer:
    """Sends batches, each whole or not at all. Another one made of the same ``name`` shuts this one out."""

    def __init__(self, brokers: Brokers, topic_: Topic, name: str) -> None:
        self._brokers = brokers
        self._topic = topic_
        with _translated(brokers):
            self._client = KafkaProducer(
                **brokers.options(),
                transactional_id=name,
                transaction_timeout_ms=_TRANSACTION_MS,
                delivery_timeout_ms=2 * _REQUEST_MS,
                max_block_ms=_BLOCK_MS,
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
            with _translated(self._brokers):
                self._client.begin_transaction()
                for key, value in messages:
                    self._client.send(self._topic.name, value=value, key=key)
                for partition in range(self._topic.partitions):
                    key, value = everywhere
                    self._client.send(self._topic.name, value=value, key=key, partition=partition)
                self._client.commit_transaction()
        except _SHUT_OUT:
            return False
        return True

    def close(self) -> None:
        self._client.close(timeout=_CLOSE_SECONDS)


class Consumer(ConsumerRebalanceListener):  # type: ignore[misc] # the library publishes no types
    """A member of the stream's group. ``place`` says where to go on in a partition, None when it is unknown.

    ``next`` holds, for each partition that this member has now, the offset behind what it has handed over.
    """

    def __init__(
        self, brokers: Brokers, topic_: Topic, group: str, place: Callable[[int], int | None]
    ) -> None:
        self._brokers = brokers
        self._topic = topic_
        self._place = place
        self.next: dict[int, int] = {}
        with _translated(brokers):
            self._client = KafkaConsumer(
                **brokers.options(),
                group_id=group,
                isolation_level="read_committed",
                auto_offset_reset="none",
                enable_auto_commit=False,
                allow_auto_create_topics=False,
                session_timeout_ms=_SESSION_MS,
                heartbeat_interval_ms=_SESSION_MS // 4,
            )
            self._client.subscribe([topic_.name], listener=self)

    def on_partitions_assigned(self, assigned: Sequence[Any]) -> None:
        for each in assigned:
            if (offset := self._place(each.partition)) is not None:
                self._client.seek(each, offset)
                self.next[each.partition] = offset

    def on_partitions_revoked(self, revoked: Sequence[Any]) -> None:
        for each in revoked:
            self.next.pop(each.partition, None)

    def poll(self, seconds: float, limit: int) -> Mapping[int, Sequence[Record]]:
        """What has arrived, by partition. Raises MessagesLost when what comes next is no longer there."""
        with _translated(self._brokers):
            found = self._client.poll(timeout_ms=int(seconds * 1000), max_records=limit)
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
        with _translated(self._brokers):
            return {each.partition: offset for each, offset in self._client.end_offsets(at).items()}

    def close(self) -> None:
        self._client.close(timeout_ms=int(_CLOSE_SECONDS * 1000))


_SHUT_OUT = (kafka_errors.ProducerFencedError, kafka_errors.InvalidProducerEpochError)
_LOST = (
    kafka_errors.OffsetOutOfRangeError,
    kafka_errors.NoOffsetForPartitionError,
    kafka_errors.LogTruncationError,
)


@contextmanager
def _closing(client: Any) -> Iterator[Any]:
    try:
        yield client
    finally:
        client.close()


@contextmanager
def _translated(brokers: Brokers) -> Iterator[None]:
    _reason.last = None
    try:
        yield
    except _SHUT_OUT:
        raise
    except kafka_errors.KafkaError as error:
        cause = _reason.last if isinstance(error, kafka_errors.KafkaTimeoutError) else None
        raise _error(brokers, cause or error) from error
    except (OSError, ssl.SSLError) as error:
        raise BrokerError(f"Kafka at {brokers.shown} cannot be spoken to: {error}") from error


def _error(brokers: Brokers, error: Exception) -> BrokerError:
    where = f"Kafka at {brokers.shown}"
    match error:
        case _ if isinstance(error, _LOST):
            return MessagesLost(f"{where} no longer has the messages that come next")
        case kafka_errors.SaslAuthenticationFailedError() | kafka_errors.UnsupportedSaslMechanismError():
            return BrokerError(
                f"{where} does not let user {brokers.user!r} in ({_said(error)}); "
                "correct `user`, `mechanism` or the password under [kafka]"
            )
        case kafka_errors.AuthorizationError():
            return BrokerError(
                f"{where} does not allow it ({_said(error)}); give the user read, write and describe on "
                f"topics and groups that begin with {brokers.topic_prefix!r}, and on transactional ids"
            )
        case kafka_errors.MessageSizeTooLargeError() | kafka_errors.RecordListTooLargeError():
            return BrokerError(f"{where} finds a message too large; raise the topic's max.message.bytes")
        case kafka_errors.RetriableError() | OSError():
            return BrokerError(
                f"{where} does not answer ({_said(error)}); check that it runs, and `bootstrap` and "
                "`protocol` under [kafka]"
            )
        case _:
            return BrokerError(f"{where} refuses ({_said(error)}); its log says more")


def _said(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
