"""Who answers: shares, stickiness, fallback, ejection, retired routes."""

import asyncio

from facade.routing_key import RoutingKey
from flags.side import Side
from tests.integration.facade.harness import (
    Facade,
    Starting,
    hung,
    ok,
    raw,
)


async def test_reads_and_writes_follow_the_stage(facade: Facade) -> None:
    facade.service.answer = ok(b"service")
    client = await facade.client()
    assert (await client.get(b"/search")).body == b"hello"
    await facade.serve(reads=Side.SERVICE)
    assert (await client.get(b"/search//1/")).body == b"service"
    assert (await client.post(b"/search/saved", b"x")).body == b"hello"
    await facade.serve(reads=Side.SERVICE, writer=Side.SERVICE)
    assert (await client.post(b"/search/saved", b"x")).body == b"service"
    assert (await client.get(b"/elsewhere")).body == b"hello"


async def test_a_retired_route_is_the_monoliths_until_it_is_gone(facade: Facade) -> None:
    client = await facade.client()
    await facade.serve(reads=Side.SERVICE, writer=Side.SERVICE)
    assert (await client.get(b"/search/export")).status == 200
    assert len(facade.monolith.requests) == 1
    await facade.serve(reads=Side.SERVICE, writer=Side.SERVICE, retired=True)
    assert (await client.get(b"/search/export")).status == 410
    assert len(facade.monolith.requests) == 1


async def test_raising_a_share_evicts_nobody(start: Starting) -> None:
    facade = await start(routing_keys={"search": RoutingKey.parse("header:X-User")})
    facade.service.answer = ok(b"service")
    client = await facade.client()
    seen: dict[int, set[int]] = {}
    for percent in (10, 30, 60, 100):
        await facade.serve(reads=percent)
        seen[percent] = {
            user
            for user in range(200)
            if (await client.get(b"/search", b"X-User: %d" % user)).body == b"service"
        }
    assert seen[10] < seen[30] < seen[60] < seen[100]
    assert 5 <= len(seen[10]) <= 40
    assert 90 <= len(seen[60]) <= 150
    assert len(seen[100]) == 200


async def test_without_a_key_both_arms_set_a_cookie_that_keeps_its_arm(start: Starting) -> None:
    facade = await start({"reads": 50})
    facade.service.answer = ok(b"service")
    client = await facade.client()
    arms = set()
    for _ in range(40):
        first = await client.get(b"/search")
        (cookie,) = first.values(b"set-cookie")
        assert cookie.startswith(b"strangler-key=")
        again = await client.get(b"/search", b"Cookie: a=b; " + cookie.partition(b";")[0])
        assert again.body == first.body
        assert not again.values(b"set-cookie")
        arms.add(first.body)
    assert arms == {b"hello", b"service"}
    await facade.serve()
    assert not (await client.get(b"/search")).values(b"set-cookie")


async def test_the_monolith_answers_reads_that_the_service_fails(start: Starting) -> None:
    facade = await start({"reads": Side.SERVICE, "fallback": True})
    client = await facade.client()
    for answer in (raw(b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno"), raw(b"", keep=False)):
        facade.service.answer = answer
        assert (await client.get(b"/search")).body == b"hello"
    facade.service.answer = hung
    asking = asyncio.create_task(client.get(b"/search"))
    # The second one found a kept connection closed, and was tried on a fresh one first.
    await facade.service.until(lambda: len(facade.service.requests) == 4)
    facade.late()
    assert (await asking).body == b"hello"
    await facade.service.stop()
    assert (await client.get(b"/search")).body == b"hello"
    assert facade.worker.path.counters.events["fallback", "search"] == 4


async def test_writes_never_fall_back(start: Starting) -> None:
    facade = await start({"reads": Side.SERVICE, "writer": Side.SERVICE, "fallback": True})
    facade.service.answer = raw(b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno")
    client = await facade.client()
    assert (await client.post(b"/search/saved", b"x")).status == 503
    await facade.service.stop()
    assert (await client.post(b"/search/saved", b"x")).status == 502
    assert not facade.monolith.requests


async def test_without_fallback_the_failure_is_the_answer(start: Starting) -> None:
    facade = await start({"reads": Side.SERVICE})
    facade.service.answer = raw(b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno")
    client = await facade.client()
    answer = await client.get(b"/search")
    assert (answer.status, answer.body) == (503, b"no")


async def test_an_ejected_service_is_probed_and_let_back_in(start: Starting) -> None:
    facade = await start({"reads": Side.SERVICE, "fallback": True})
    facade.service.answer = raw(b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno")
    client = await facade.client()
    for _ in range(20):
        assert (await client.get(b"/search")).body == b"hello"
    assert len(facade.service.requests) == 5
    facade.service.answer = ok(b"service")
    async with asyncio.timeout(30):
        while (await client.get(b"/search")).body != b"service":
            pass
    assert {(await client.get(b"/search")).body for _ in range(5)} == {b"service"}


async def test_an_ejected_service_is_asked_when_the_monolith_does_not_answer_either(start: Starting) -> None:
    facade = await start({"reads": Side.SERVICE, "fallback": True}, retries=0)
    client = await facade.client()
    (pool,) = facade.worker.path.sides["search"].pools
    facade.service.answer = raw(b"", keep=False)
    while not pool.ejection.ejected:
        assert (await client.get(b"/search")).status == 200
    pool.ejection.until = float("inf")  # no probe is due
    await facade.monolith.stop()
    answer = await client.get(b"/search")
    assert (answer.status, answer.body) == (502, b"No answer from the service (closed).\n")
    facade.service.answer = ok(b"back")
    assert (await client.get(b"/search")).body == b"back"
    assert not pool.ejection.ejected
    assert (await client.get(b"/else")).status == 502
