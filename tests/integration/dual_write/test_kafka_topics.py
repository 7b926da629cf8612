"""Topics that are missing, deleted or expired, foreign messages in them, and brokers that cannot be used."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from kafka import TopicPartition

from dual_write import kafka_broker
from dual_write.errors import BrokerError, SchemaError
from dual_write.kafka_message import message_key
from flags.side import Side
from tests.integration.dual_write import kafka_links
from tests.integration.dual_write.conftest import Pair, mapped
from tests.integration.dual_write.kafka_links import PARTITIONS, Links, carry, joined
from tests.servers.kafka import PASSWORD, USER, KafkaServer

T = "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT)"
MAPPING = mapped("t", ("id",), "n")


@pytest.fixture
def links(kafka_server: KafkaServer, sqlite_pair: Pair) -> Iterator[Links]:
    sqlite_pair.define(T)
    yield from kafka_links.links(kafka_server, sqlite_pair)


def test_a_topic_is_made_as_the_plan_says(links: Links) -> None:
    links.pair.started(MAPPING)
    links.transport(MAPPING).step(Side.SERVICE)
    with links.admin() as admin:
        [made] = admin.describe_topics([links.topic])
    assert len(made["partitions"]) == PARTITIONS


def test_a_topic_that_cannot_be_made_is_a_clear_error(links: Links) -> None:
    links.pair.started(MAPPING)
    transport = links.transport(MAPPING, brokers=replace(links.brokers, replication=9))
    with pytest.raises(BrokerError, match=r"has no topic .*cannot be made: .*9.*`replication`"):
        transport.step(Side.SERVICE)


def test_i2_a_topic_that_is_deleted_takes_nothing_with_it(links: Links) -> None:
    pair = links.pair
    replication = pair.started(MAPPING)
    transport = links.transport(MAPPING)
    pair.monolith.run("INSERT INTO t VALUES (1, 'a')")
    carry(replication, transport)
    pair.monolith.run("INSERT INTO t VALUES (2, 'b')")
    [link] = transport._links[Side.SERVICE]
    link._publish(link._look(), link._topic, 1000)  # type: ignore[arg-type] # sent, and consumed by nobody yet
    transport.close()
    with links.admin() as admin:
        admin.delete_topics([links.topic])
    pair.monolith.run("INSERT INTO t VALUES (3, 'c')")
    carry(replication, transport)
    pair.assert_equal("t")
    assert replication.accounts(Side.SERVICE).applied == 3


def test_i2_messages_that_expired_before_they_were_consumed_are_sent_anew(
    links: Links, caplog: pytest.LogCaptureFixture
) -> None:
    pair = links.pair
    replication = pair.started(MAPPING)
    transport = links.transport(MAPPING)
    pair.monolith.run("INSERT INTO t VALUES (1, 'a')")
    carry(replication, transport)
    pair.monolith.run(*(f"INSERT INTO t VALUES ({number}, 'b')" for number in range(2, 9)))
    [link] = transport._links[Side.SERVICE]
    link._publish(link._look(), link._topic, 1000)  # type: ignore[arg-type] # sent, and consumed by nobody yet
    transport.close()
    with links.admin() as admin:
        admin.delete_records({TopicPartition(links.topic, part): -1 for part in range(PARTITIONS)})
    carry(replication, transport)
    pair.assert_equal("t")
    assert "sent anew" in caplog.text


def test_i2_partitions_are_added_while_changes_travel(links: Links) -> None:
    pair = links.pair
    replication = pair.started(MAPPING)
    running, started = links.transport(MAPPING), links.transport(MAPPING)
    pair.monolith.run(*(f"INSERT INTO t VALUES ({number}, 'a')" for number in range(20)))
    carry(replication, running)
    with links.admin() as admin:
        admin.create_partitions({links.topic: PARTITIONS + 2})
    pair.monolith.run("UPDATE t SET n = 'b'")
    # The one that starts sees the new partitions; the other learns of them by what the target says.
    carry(replication, started, running)
    pair.assert_equal("t")
    pair.monolith.run("UPDATE t SET n = 'c'")
    carry(replication, started, running)
    pair.assert_equal("t")
    assert len(pair.service.query("SELECT part FROM strangler_kafka")) == PARTITIONS + 2
    accounts = replication.accounts(Side.SERVICE)
    assert accounts.captured == accounts.applied == 60


def test_i2_what_an_earlier_life_of_the_phase_left_in_the_topic_is_passed_over(links: Links) -> None:
    pair = links.pair
    first = pair.started(MAPPING)
    transport = links.transport(MAPPING)
    pair.monolith.run("INSERT INTO t VALUES (1, 'first'), (2, 'first')")
    carry(first, transport)
    transport.close()
    first.unguard(Side.SERVICE, 1.0)
    first.uninstall()
    pair.service.run("DELETE FROM t")
    pair.monolith.run("DELETE FROM t")
    second = pair.started(MAPPING)
    pair.monolith.run("INSERT INTO t VALUES (3, 'second')")
    carry(second, links.transport(MAPPING), until=links.consumed)
    assert pair.rows(Side.SERVICE, "t") == [(3, "second")]


def test_foreign_messages_are_passed_over_and_newer_ones_are_not(links: Links) -> None:
    pair = links.pair
    replication = pair.started(MAPPING)
    transport = links.transport(MAPPING)
    carry(replication, transport, until=lambda: joined(transport))
    key = message_key("t", "[1]")
    links.produce((0, key, None), (0, key, b"\xff not json"), (1, key, b'{"schema": "x"}'), (1, key, b"[]"))
    pair.monolith.run("INSERT INTO t VALUES (1, 'a')")
    carry(replication, transport, until=links.consumed)
    pair.assert_equal("t")
    links.produce((0, key, b'{"schema": 2}'))
    with pytest.raises(SchemaError, match="bring every `strangler relay` to the same version"):
        carry(replication, transport, until=lambda: False)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"password": "wrong"}, "does not let user 'strangler' in"),
        ({"mechanism": "SCRAM-SHA-256"}, "does not let user 'strangler' in"),
        ({"bootstrap": ("127.0.0.1:1",)}, "does not answer"),
    ],
)
def test_a_broker_that_cannot_be_used_is_named_without_the_password(
    links: Links, change: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_broker, "BLOCK_MS", 2_000)
    links.pair.started(MAPPING)
    right = {
        "bootstrap": (links.server.sasl,),
        "protocol": "SASL_PLAINTEXT",
        "mechanism": "PLAIN",
        "user": USER,
        "password": PASSWORD,
    }
    used = replace(links.brokers, **{**right, **change})
    transport = links.transport(MAPPING, brokers=used)
    before = set(threading.enumerate())
    with pytest.raises(BrokerError, match=said) as caught:
        transport.step(Side.SERVICE)
    assert "[kafka]" in str(caught.value) or "sasl_user" in str(caught.value)
    assert set(threading.enumerate()) <= before
    for secret in (PASSWORD, "wrong"):
        assert secret not in f"{caught.value}{caught.value.__cause__}{used}"


def test_a_broker_that_asks_for_a_password_gets_it(links: Links) -> None:
    replication = links.pair.started(MAPPING)
    login = {"protocol": "SASL_PLAINTEXT", "mechanism": "PLAIN", "user": USER, "password": PASSWORD}
    used = replace(links.brokers, bootstrap=(links.server.sasl,), **login)
    links.pair.monolith.run("INSERT INTO t VALUES (1, 'a')")
    carry(replication, links.transport(MAPPING, brokers=used))
    links.pair.assert_equal("t")
