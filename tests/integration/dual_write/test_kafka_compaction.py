"""A topic that the broker's own log cleaner compacts while changes travel."""

import time
from collections.abc import Iterator

import pytest

from dual_write.kafka_message import Kind, Message, decode
from flags.side import Side
from tests.integration.dual_write import kafka_links
from tests.integration.dual_write.conftest import Pair, mapped
from tests.integration.dual_write.kafka_links import PARTITIONS, Links, carry
from tests.servers.kafka import KafkaServer

MAPPING = mapped("t", ("id",), "n")
COMPACTED = {
    "cleanup.policy": "compact",
    "segment.ms": "1",  # the last segment is left alone by the cleaner: each send begins a new one
    "min.cleanable.dirty.ratio": "0.001",
    "min.compaction.lag.ms": "0",
    "max.compaction.lag.ms": "1",
    "delete.retention.ms": "0",
}
ROUNDS, KEYS = 6, 10
CLEANED_SECONDS = 90.0


@pytest.fixture
def links(kafka_server: KafkaServer, sqlite_pair: Pair) -> Iterator[Links]:
    sqlite_pair.define("CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT)")
    yield from kafka_links.links(kafka_server, sqlite_pair)


def test_i2_what_is_left_after_compaction_brings_every_row_up_to_date(links: Links) -> None:
    """All of it is sent before any of it is consumed, and the cleaner takes what newer messages replace."""
    pair = links.pair
    with links.admin() as admin:
        topic = {"num_partitions": PARTITIONS, "replication_factor": 1, "configs": COMPACTED}
        admin.create_topics({links.topic: topic}, wait_for_metadata=True)
    replication = pair.started(MAPPING)
    transport = links.transport(MAPPING)
    pair.monolith.run("INSERT INTO t VALUES (0, 'first')")
    carry(replication, transport)
    [link] = transport._links[Side.SERVICE]
    for round_ in range(ROUNDS):
        pair.monolith.run(
            "DELETE FROM t WHERE id = 0",
            *(
                f"INSERT INTO t VALUES ({n}, '{round_}') ON CONFLICT (id) DO UPDATE SET n = excluded.n"
                for n in range(1, KEYS)
            ),
            f"INSERT INTO t VALUES ({100 + round_}, 'kept')",
        )
        assert link._publish(link._look(), link._topic, 1000)  # type: ignore[arg-type] # it has one by now
    transport.close()

    # Of a key that was sent in every round two messages may be left: one that the cleaner compares by,
    # and one in a segment that it leaves alone.
    most = 2 + ROUNDS + 2 * (KEYS - 1)
    deadline = time.monotonic() + CLEANED_SECONDS
    while len(left := sent(links)) > most:
        assert time.monotonic() < deadline, (len(left), most)
        time.sleep(0.1)
    kept = {100 + round_ for round_ in range(ROUNDS)}
    assert {message.key for message in left} == {f"[{n}]" for n in {*range(KEYS), *kept}}
    assert [message.kind for message in left if message.key == "[0]"][-1] is Kind.DELETE

    pair.monolith.run("UPDATE t SET n = 'last' WHERE id = 2")
    carry(replication, links.transport(MAPPING), until=links.consumed)
    pair.assert_equal("t")
    accounts = replication.accounts(Side.SERVICE)
    assert accounts.captured == accounts.applied
    assert (accounts.pending, accounts.parked) == (0, 0)


def sent(links: Links) -> list[Message]:
    """What the topic has of rows."""
    return [found for _, _, value in links.raw() if isinstance(found := decode(value), Message)]
