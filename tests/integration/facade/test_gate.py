"""Rate limits and concurrency limits: told to come again, and nothing reaches an upstream."""

import asyncio

from facade.config import RateLimit
from facade.routing_key import RoutingKey
from flags.side import Side
from tests.integration.facade.harness import Starting, held, ok


async def test_an_address_that_comes_too_often_is_told_when_to_come_again(start: Starting) -> None:
    facade = await start(rate_limits={"": RateLimit(rate=0.1, burst=2)}, trusted_proxies=("127.0.0.0/8",))
    client = await facade.client()
    hops = b"X-Forwarded-For: 9.9.9.9, 203.0.113.7, 127.0.0.2"
    for _ in range(2):
        assert (await client.get(b"/", hops)).status == 200
    answer = await client.get(b"/", hops)
    assert (answer.status, answer.values(b"retry-after")) == (429, [b"10"])
    assert (await client.get(b"/", b"X-Forwarded-For: 203.0.113.8")).status == 200
    assert len(facade.monolith.requests) == 3
    assert facade.worker.path.counters.events["rate_limited", ""] == 1


async def test_a_phase_limits_by_routing_key(start: Starting) -> None:
    facade = await start(
        rate_limits={"search": RateLimit(rate=0.1, burst=1, by_key=True)},
        routing_keys={"search": RoutingKey.parse("header:X-User")},
    )
    client = await facade.client()
    answers = [await client.get(b"/search", b"X-User: " + user) for user in (b"anna", b"anna", b"bert")]
    assert [answer.status for answer in answers] == [200, 429, 200]
    assert (await client.get(b"/elsewhere", b"X-User: anna")).status == 200


async def test_a_held_write_takes_its_token_once(start: Starting) -> None:
    facade = await start({"hold": "switch"}, rate_limits={"search": RateLimit(rate=0.1, burst=1)})
    client = await facade.client()
    writing = asyncio.create_task(client.post(b"/search/saved", b"x"))
    await facade.until(lambda: len(facade.worker.path.holds) == 1)
    await facade.serve()
    assert (await writing).status == 200
    assert (await client.post(b"/search/saved", b"x")).status == 429


async def test_a_side_with_enough_to_do_refuses_or_leaves_reads_to_the_monolith(start: Starting) -> None:
    gate = asyncio.Event()

    facade = await start({"reads": Side.SERVICE, "writer": Side.SERVICE, "fallback": True}, concurrency=1)
    facade.service.answer = held(gate, ok(b"service"))
    busy, client = await facade.client(), await facade.client()
    waiting = asyncio.create_task(busy.get(b"/search"))
    await facade.service.until(lambda: len(facade.service.requests) == 1)
    assert (await client.get(b"/search")).body == b"hello"
    answer = await client.post(b"/search/saved", b"x")
    assert (answer.status, answer.values(b"retry-after")) == (503, [b"1"])
    assert await client.closed()  # its body was left unread
    gate.set()
    assert (await waiting).body == b"service"
    assert (await busy.post(b"/search/saved", b"x")).status == 200
