"""After its write a client reads from the writer, until replication has carried the write over."""

import time
from pathlib import Path
from typing import Any

import pytest

from facade.routing_key import RoutingKey
from flags.side import Side
from tests.integration.facade.harness import Client, Facade, Starting, ok

ANNA, BERT = b"X-User: anna", b"X-User: bert"
KEYS = {"search": RoutingKey.parse("header:X-User")}
TO_SERVICE = ("search", Side.SERVICE)


@pytest.fixture
def how() -> dict[str, Any]:
    return {"routing_keys": KEYS, "read_your_writes": frozenset({"search"})}


async def ramping(start: Starting, **how: Any) -> tuple[Facade, Client]:
    facade = await start({"reads": 100}, **how)
    facade.service.answer = ok(b"service")
    facade.control.progress[TO_SERVICE] = time.time()
    await followed(facade)
    return facade, await facade.client()


async def followed(facade: Facade) -> None:
    own = facade.worker.path.read_your_writes
    assert own is not None
    await facade.until(lambda: own.passed == facade.control.progress)


async def test_a_writers_reads_go_to_the_writer_until_replication_has_passed(
    start: Starting, how: dict[str, Any]
) -> None:
    facade, client = await ramping(start, **how)
    assert (await client.get(b"/search", ANNA)).body == b"service"
    assert (await client.post(b"/search/saved", b"x", ANNA)).status == 200
    assert (await client.get(b"/search", ANNA)).body == b"hello"
    assert (await client.get(b"/search", BERT)).body == b"service"
    facade.control.progress[TO_SERVICE] = time.time()
    await followed(facade)
    assert (await client.get(b"/search", ANNA)).body == b"service"


async def test_workers_of_a_host_know_each_others_writers(
    start: Starting, how: dict[str, Any], tmp_path: Path
) -> None:
    one, client = await ramping(start, **how, memory=str(tmp_path))
    two, other = await ramping(start, **how, memory=str(tmp_path))
    await client.post(b"/search/saved", b"x", ANNA)
    assert (await other.get(b"/search", ANNA)).body == b"hello"
    assert (await other.get(b"/search", BERT)).body == b"service"
    assert len(one.monolith.requests) == len(two.monolith.requests) == 1


async def test_hosts_are_told_by_the_clients_own_cookie(start: Starting, how: dict[str, Any]) -> None:
    _, client = await ramping(start, **how)
    two, other = await ramping(start, **how)
    answer = await client.post(b"/search/saved", b"x", ANNA)
    [cookie] = answer.values(b"set-cookie")
    assert cookie.startswith(b"strangler-wrote-search=")
    told = b"Cookie: " + cookie.partition(b";")[0]
    assert (await other.get(b"/search", ANNA)).body == b"service"
    assert (await other.get(b"/search", ANNA, told)).body == b"hello"
    two.control.progress[TO_SERVICE] = time.time() + 1
    await followed(two)
    assert (await other.get(b"/search", ANNA, told)).body == b"service"
    for forged in (b"zz", b"", b"f" * 40):
        assert (await other.get(b"/search", ANNA, b"Cookie: strangler-wrote-search=" + forged)).status == 200


async def test_clients_without_a_key_are_known_by_the_sticky_cookie(start: Starting) -> None:
    facade, client = await ramping(start, read_your_writes=frozenset({"search"}))
    answer = await client.post(b"/search/saved", b"x")
    sticky, wrote = sorted(answer.values(b"set-cookie"))
    assert (sticky[:14], wrote[:16]) == (b"strangler-key=", b"strangler-wrote-")
    kept = b"Cookie: " + sticky.partition(b";")[0]
    assert (await client.get(b"/search", kept)).body == b"hello"
    assert (await client.get(b"/search")).body == b"service"
    assert len(facade.monolith.requests) == 2


async def test_split_writes_pin_to_the_writer_of_the_key(start: Starting, how: dict[str, Any]) -> None:
    facade = await start({"reads": 0, "writes": 100}, **how)
    facade.service.answer = ok(b"service")
    client = await facade.client()
    assert (await client.get(b"/search", ANNA)).body == b"hello"
    assert (await client.post(b"/search/saved", b"x", ANNA)).body == b"service"
    assert (await client.get(b"/search", ANNA)).body == b"service"
    facade.control.progress["search", Side.MONOLITH] = time.time()
    await followed(facade)
    assert (await client.get(b"/search", ANNA)).body == b"hello"


async def test_i1_a_sticky_cookie_owns_no_write_while_writes_are_split(start: Starting) -> None:
    facade = await start({"reads": 100, "writes": 99}, read_your_writes=frozenset({"search"}))
    facade.service.answer = ok(b"service")
    client = await facade.client()
    answer = await client.post(b"/search/saved", b"x")
    kept = b"; ".join(line.partition(b";")[0] for line in answer.values(b"set-cookie"))
    assert answer.body == b"hello"
    assert (await client.get(b"/search", b"Cookie: " + kept)).body == b"hello"
    assert (await client.get(b"/search")).body == b"service"


async def test_a_read_without_the_key_follows_the_side_that_was_written_to(start: Starting) -> None:
    keyed = {"routing_keys": {"search": RoutingKey.parse("body:/user")}}
    facade = await start({"reads": 0, "writes": 99}, read_your_writes=frozenset({"search"}), **keyed)
    facade.service.answer = ok(b"service")
    client = await facade.client()
    for number in range(20):
        answer = await client.post(b"/search/saved", b'{"user": "%d"}' % number)
        [line] = [line for line in answer.values(b"set-cookie") if line.startswith(b"strangler-wrote-")]
        told = b"Cookie: " + line.partition(b";")[0]
        assert (await client.get(b"/search", told)).body == answer.body
        # Nothing flows back once the writes are whole again: an old cookie must not lead anywhere.
    assert facade.service.requests
    await facade.serve(reads=0)
    assert (await client.get(b"/search", told)).body == b"hello"


async def test_a_write_that_got_no_answer_pins_too(start: Starting, how: dict[str, Any]) -> None:
    facade, client = await ramping(start, **how)
    await client.send(b"POST /search/saved HTTP/1.1\r\nHost: a\r\nX-User: anna\r\nContent-Length: 9\r\n\r\nx")
    await facade.until(lambda: len(facade.worker.path.active) == 1)
    client.writer.transport.abort()
    await facade.until(lambda: not facade.worker.path.active)
    assert (await (await facade.client()).get(b"/search", ANNA)).body == b"hello"


async def test_where_reads_are_not_split_nothing_is_pinned(start: Starting, how: dict[str, Any]) -> None:
    facade = await start({"reads": Side.SERVICE}, **how)
    facade.service.answer = ok(b"service")
    client = await facade.client()
    answer = await client.post(b"/search/saved", b"x", ANNA)
    assert not answer.values(b"set-cookie")
    assert (await client.get(b"/search", ANNA)).body == b"service"
