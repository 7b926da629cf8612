"""Connections to Kafka, and the topics there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.net.compat import KafkaNetClient

from dual_write.errors import BrokerError
from dual_write.kafka_failure import in_our_words
from dual_write.kafka_settings import Brokers

REQUEST_MS = 6_000
BLOCK_MS = 5_000
_DEFAULT_LIMIT = 1_048_588  # max.message.bytes, where it may not be asked for

_UNKNOWN_TOPIC = 3
_MADE = {0, 36}  # 36: another relay was quicker


def connected(brokers: Brokers, make: Callable[..., Any], **more: Any) -> Any:
    """One of the library's clients. When it cannot connect, what it began is ended, which the library
    leaves running."""
    begun: list[KafkaNetClient] = []

    def client(*args: Any, **options: Any) -> KafkaNetClient:
        begun.append(KafkaNetClient(*args, **options))
        return begun[-1]

    try:
        return make(**_options(brokers), **more, kafka_client=client)
    except BaseException:
        for each in begun:
            each.close()
        raise


@contextmanager
def translated(brokers: Brokers) -> Iterator[None]:
    """Raises BrokerError for what Kafka's library raises inside."""
    with in_our_words(brokers.shown, brokers.topic_prefix, brokers.user):
        yield


def _options(brokers: Brokers) -> dict[str, Any]:
    """What every client is given."""
    given: dict[str, Any] = {
        "bootstrap_servers": list(brokers.bootstrap),
        "client_id": "strangler",
        "security_protocol": brokers.protocol,
        "bootstrap_timeout_ms": BLOCK_MS,
        "request_timeout_ms": REQUEST_MS,
        "metadata_max_age_ms": 30_000,
        "reconnect_backoff_max_ms": 1_000,
    }
    if brokers.mechanism is not None:
        given |= {
            "sasl_mechanism": brokers.mechanism,
            "sasl_plain_username": brokers.user,
            "sasl_plain_password": brokers.password,
        }
    return given | ({"ssl_cafile": brokers.ca} if brokers.ca is not None else {})


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is: the broker's id of it, its partitions, and how many bytes a message may have."""

    name: str
    id: str
    partitions: int
    limit: int


def reach(brokers: Brokers) -> int:
    """How many brokers answer. Raises BrokerError when none does."""
    with translated(brokers), _closing(connected(brokers, KafkaAdminClient)) as admin:
        return len(admin.describe_cluster()["brokers"])


def topic(brokers: Brokers, name: str) -> Topic:
    """The topic, made with the configured partitions and replication when there is none yet."""
    with translated(brokers), _closing(connected(brokers, KafkaAdminClient)) as admin:
        [found] = admin.describe_topics([name])
        if found["error_code"] == _UNKNOWN_TOPIC:
            _create(brokers, admin, name)
            [found] = admin.describe_topics([name])
        if found["error_code"]:
            raise kafka_errors.for_code(found["error_code"])(name)
        return Topic(name, str(found["topic_id"]), len(found["partitions"]), _limit(admin, name))


def _create(brokers: Brokers, admin: Any, name: str) -> None:
    wanted = {"num_partitions": brokers.partitions, "replication_factor": brokers.replication or -1}
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


@contextmanager
def _closing(client: Any) -> Iterator[Any]:
    try:
        yield client
    finally:
        client.close()
