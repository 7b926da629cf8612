"""Changes by way of a real broker, and all that can happen to messages there."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import pytest

from dual_write.errors import FencedError, SchemaError
from dual_write.kafka_message import Kind, Message, Watermark, decode, encode, message_key
from dual_write.kafka_transport import KafkaTransport
from flags.side import Side
from tests.integration.dual_write import kafka_links
from tests.integration.dual_write.conftest import Pair, mapped, settle, switch
from tests.integration.dual_write.kafka_links import PARTITIONS, Links, carry, joined
from tests.servers.kafka import KafkaServer

T = "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT)"
MAPPING = mapped("t", ("id",), "n")


@pytest.fixture
def links(kafka_server: KafkaServer, sqlite_pair: Pair) -> Iterator[Links]:
    sqlite_pair.define(T)
    yield from kafka_links.links(kafka_server, sqlite_pair)


@pytest.fixture
def postgresql_links(kafka_server: KafkaServer, postgresql_pair: Pair) -> Iterator[Links]:
    postgresql_pair.define(T)
    yield from kafka_links.links(kafka_server, postgresql_pair)


def test_every_partition_takes_part_and_ends_with_a_watermark(links: Links) -> None:
    replication = links.pair.started(MAPPING)
    transport = links.transport(MAPPING)
    links.pair.monolith.run(*(f"INSERT INTO t VALUES ({number}, 'x')" for number in range(40)))
    carry(replication, transport)
    links.pair.assert_equal("t")
    accounts = replication.accounts(Side.SERVICE)
    assert (accounts.captured, accounts.applied, accounts.pending, accounts.parked) == (40, 40, 0, 0)
    messages = links.messages()
    assert {part for part, _ in messages} == set(range(PARTITIONS))
    for part in range(PARTITIONS):
        own = [message for number, message in messages if number == part]
        assert any(isinstance(message, Message) for message in own)
        assert isinstance(own[-1], Watermark)
        assert own[-1].passed == 40


def test_i2_the_last_message_of_each_key_rebuilds_the_table(postgresql_links: Links) -> None:
    """As from a compacted topic: no earlier message is needed, nor one that is missing for a deleted key."""
    pair = postgresql_links.pair
    replication = pair.started(MAPPING)
    transport = postgresql_links.transport(MAPPING)
    for round_ in range(4):
        pair.monolith.run(
            *(
                f"INSERT INTO t VALUES ({n}, '{round_}') ON CONFLICT (id) DO UPDATE SET n = excluded.n"
                for n in range(10)
            ),
            f"DELETE FROM t WHERE id = {round_}",
        )
        carry(replication, transport)
    last = {key: decode(value) for _, key, value in postgresql_links.raw()}
    rebuilt = {}
    for message in last.values():
        if isinstance(message, Message) and message.row is not None:
            rebuilt[int(str(message.row["id"]))] = message.row["n"]
    assert sorted(rebuilt.items()) == pair.rows(Side.MONOLITH, "t")
    assert message_key("t", "[3]") in last


def test_i3_old_messages_come_again_late_and_in_any_order(links: Links) -> None:
    replication = links.pair.started(MAPPING)
    transport = links.transport(MAPPING)
    links.pair.monolith.run("INSERT INTO t VALUES (1, 'a'), (2, 'a'), (3, 'a')")
    carry(replication, transport)
    links.pair.monolith.run("UPDATE t SET n = 'b'")
    carry(replication, transport)
    links.pair.monolith.run("DELETE FROM t WHERE id = 1")
    carry(replication, transport)
    again = links.raw()
    links.produce(*again[::-1], *again)
    links.pair.monolith.run("UPDATE t SET n = 'c' WHERE id = 3")
    carry(replication, transport, until=links.consumed)
    links.pair.assert_equal("t")
    accounts = replication.accounts(Side.SERVICE)
    assert (accounts.captured, accounts.applied, accounts.parked) == (8, 8, 0)


def test_i3_a_delete_followed_by_an_update_from_before(links: Links) -> None:
    """Delayed in the broker: the delete has left a version behind, and the old row does not come back."""
    replication = links.pair.started(MAPPING)
    transport = links.transport(MAPPING)
    links.pair.monolith.run("INSERT INTO t VALUES (1, 'a')")
    carry(replication, transport)
    late = [each for each in links.raw() if each[1] == message_key("t", "[1]")]
    links.pair.monolith.run("DELETE FROM t")
    carry(replication, transport)
    links.produce(*late)
    carry(replication, transport, until=links.consumed)
    assert links.pair.rows(Side.SERVICE, "t") == []


@pytest.mark.parametrize("directly", [False, True])
def test_i3_a_truncation_outlives_rows_from_before_it(postgresql_links: Links, directly: bool) -> None:
    pair = postgresql_links.pair
    replication = pair.started(MAPPING)
    transport = postgresql_links.transport(MAPPING)
    pair.monolith.run("INSERT INTO t SELECT n, 'a' FROM generate_series(1, 9) AS n")
    carry(replication, transport)
    before = postgresql_links.raw()
    # Keys that the target has no version of, as if their first message had been delayed until now.
    late = [
        (part, message_key("t", f"[{number}]"), encode(replace(message, key=f"[{number}]", row=row)))
        for (part, _, value), number in zip(before, range(90, 99), strict=False)
        if isinstance(message := decode(value), Message)
        for row in [{"id": str(number), "n": "from before"}]
    ]
    assert late
    pair.monolith.run("TRUNCATE t", "INSERT INTO t VALUES (3, 'new')")
    if directly:
        settle(replication)
    carry(replication, transport)
    postgresql_links.produce(*late, *before)
    carry(replication, transport, until=postgresql_links.consumed)
    assert pair.rows(Side.SERVICE, "t") == pair.rows(Side.MONOLITH, "t") == [(3, "new")]
    assert replication.changed_last(Side.SERVICE, MAPPING.towards(Side.SERVICE), 1) == [(3,)]


def test_i4_both_directions_flow_without_an_echo(links: Links) -> None:
    pair = links.pair
    replication = pair.started(MAPPING)
    transport = links.transport(MAPPING)
    pair.monolith.run("INSERT INTO t VALUES (1, 'a')")
    carry(replication, transport)
    switch(replication, Side.SERVICE, 2)
    pair.service.run("UPDATE t SET n = 'b'", "INSERT INTO t VALUES (2, 'b')")
    carry(replication, transport, to=Side.MONOLITH)
    pair.assert_equal("t")
    assert replication.accounts(Side.SERVICE).captured == 1
    assert replication.accounts(Side.MONOLITH).captured == 2


def test_i3_messages_of_an_older_epoch_are_passed_over(links: Links) -> None:
    """Sent before a switch there and back, arriving after it."""
    pair = links.pair
    replication = pair.started(MAPPING)
    transport = links.transport(MAPPING)
    pair.monolith.run("INSERT INTO t VALUES (1, 'a')")
    carry(replication, transport)
    old = links.raw()
    switch(replication, Side.SERVICE, 2)
    with pytest.raises(FencedError, match="closed"):
        transport.step(Side.SERVICE)
    pair.service.run("DELETE FROM t")
    switch(replication, Side.MONOLITH, 3)
    newest = [
        (part, key, encode(replace(message, seq=message.seq + 1000)))
        for part, key, value in old
        if isinstance(message := decode(value), Message)
    ]
    links.produce(*old, *newest)
    pair.monolith.run("INSERT INTO t VALUES (2, 'c')")
    carry(replication, transport, until=links.consumed)
    assert pair.rows(Side.SERVICE, "t") == [(2, "c")]


def test_a_switch_does_not_wait_for_what_is_in_the_broker(links: Links) -> None:
    pair = links.pair
    replication = pair.started(MAPPING)
    transport = links.transport(MAPPING)
    carry(replication, transport, until=lambda: joined(transport))
    pair.monolith.run("INSERT INTO t VALUES (1, 'a'), (2, 'a')")
    [link] = transport._links[Side.SERVICE]
    link._publish(link._look(), link._topic, 1000)  # type: ignore[arg-type] # sent, and consumed by nobody yet
    switch(replication, Side.SERVICE, 2)
    pair.assert_equal("t")
    pair.service.run("UPDATE t SET n = 'b'")
    switch(replication, Side.MONOLITH, 3)
    pair.monolith.run("UPDATE t SET n = 'c' WHERE id = 2")
    carry(replication, transport, until=links.consumed)
    pair.assert_equal("t")
    accounts = replication.accounts(Side.SERVICE)
    assert (accounts.captured, accounts.applied) == (3, 3)


def test_a_poison_row_parks_its_own_key_and_is_tried_again(links: Links) -> None:
    pair = links.pair
    pair.service.run("CREATE UNIQUE INDEX u ON t (n)")
    replication = pair.started(MAPPING)
    transport = links.transport(MAPPING)
    pair.monolith.run("INSERT INTO t VALUES (1, 'a'), (2, 'a'), (3, 'c')")
    carry(replication, transport)
    accounts = replication.accounts(Side.SERVICE)
    assert (accounts.captured, accounts.applied, accounts.pending, accounts.parked) == (3, 2, 0, 1)
    links.produce(*links.raw())
    carry(replication, transport, until=links.consumed)
    assert replication.accounts(Side.SERVICE) == accounts
    pair.service.run("DROP INDEX u")
    carry(replication, transport, until=lambda: not replication.parked(Side.SERVICE))
    pair.assert_equal("t")
    assert replication.accounts(Side.SERVICE).applied == 3


def test_two_parked_rows_that_exchange_a_value_are_tried_together(links: Links) -> None:
    pair = links.pair
    for database in (pair.monolith, pair.service):
        database.run("CREATE UNIQUE INDEX u ON t (n)")
    replication = pair.started(MAPPING)
    transport = links.transport(MAPPING)
    pair.monolith.run(*(f"INSERT INTO t VALUES ({number}, '{number}')" for number in range(8)))
    carry(replication, transport)
    pair.monolith.run("UPDATE t SET n = 'x' || (7 - id)", "UPDATE t SET n = substr(n, 2)")
    carry(replication, transport, until=lambda: not replication.parked(Side.SERVICE))
    pair.assert_equal("t")


def test_a_row_too_large_for_the_broker_still_arrives(links: Links, caplog: pytest.LogCaptureFixture) -> None:
    pair = links.pair
    replication = pair.started(MAPPING)
    transport = links.transport(MAPPING)
    pair.monolith.run(
        "INSERT INTO t VALUES (1, 'small')",
        "INSERT INTO t VALUES (2, hex(zeroblob(1000000)))",
        "INSERT INTO t VALUES (3, 'small')",
    )
    carry(replication, transport)
    pair.assert_equal("t")
    [omitted] = [m for _, m in links.messages() if isinstance(m, Message) and m.kind is Kind.OMITTED]
    assert omitted.key == "[2]"
    assert "a row of table 't' needs 2000" in caplog.text
    assert "raise max.message.bytes" in caplog.text


@pytest.mark.parametrize("side", Side)
def test_i2_a_table_that_drifts_waits_and_the_others_flow(links: Links, side: Side) -> None:
    """One message is in the broker when its table changes; others are sent while it does not fit."""
    pair = links.pair
    pair.define("CREATE TABLE tags (id INTEGER PRIMARY KEY, n TEXT)")
    mappings = (MAPPING, mapped("tags", ("id",), "n"))
    replication = pair.started(*mappings)
    transport = links.transport(*mappings)
    pair.monolith.run("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    carry(replication, transport)
    pair.monolith.run("UPDATE t SET n = 'sent' WHERE id = 1")
    [link] = transport._links[Side.SERVICE]
    link._publish(link._look(), link._topic, 1000)  # type: ignore[arg-type] # it has one by now
    pair[side].run("ALTER TABLE t RENAME COLUMN n TO title")
    pair.monolith.run("DELETE FROM t WHERE id = 2", "INSERT INTO tags VALUES (1, 'flows')")
    on(transport, lambda: len(replication.parked(Side.SERVICE)) == 2)
    on(transport, lambda: not replication.lag(Side.SERVICE).changes)
    pair.assert_equal("tags")
    [drift] = replication.drift(Side.SERVICE)
    assert (drift.table, drift.blocks) == ("t", True)
    assert {(parked.table, parked.error) for parked in replication.parked(Side.SERVICE)} == {
        ("t", drift.text)
    }
    accounts = replication.accounts(Side.SERVICE)
    assert (accounts.captured, accounts.applied, accounts.parked) == (6, 4, 2)

    pair[side].run("ALTER TABLE t RENAME COLUMN title TO n")
    on(transport, lambda: not replication.parked(Side.SERVICE))
    assert not replication.drift(Side.SERVICE)
    assert pair.rows(Side.SERVICE, "t") == [(1, "sent"), (3, "c")]
    pair.assert_equal("t")


def on(transport: KafkaTransport, until: Callable[[], bool]) -> None:
    """Step as a relay does, which tries again when a table has changed."""
    deadline = time.monotonic() + kafka_links.SECONDS
    while not until():
        assert time.monotonic() < deadline
        with suppress(SchemaError):
            transport.step(Side.SERVICE)


def test_direct_steps_and_kafka_do_the_same_work_at_once(links: Links) -> None:
    pair = links.pair
    replication = pair.started(MAPPING)
    transport = links.transport(MAPPING)
    for number in range(30):
        upsert = "ON CONFLICT (id) DO UPDATE SET n = excluded.n"
        pair.monolith.run(f"INSERT INTO t VALUES ({number % 7}, '{number}') {upsert}")
        transport.step(Side.SERVICE)
        if number % 4 == 0:
            settle(replication)
    carry(replication, transport, until=links.consumed)
    pair.assert_equal("t")
    accounts = replication.accounts(Side.SERVICE)
    assert (accounts.captured, accounts.applied) == (30, 30)
