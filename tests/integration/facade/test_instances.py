"""Several instances of one side: spread, retried, ejected one by one, checked."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from facade.config import HealthCheck
from flags.side import Side
from tests.integration.facade.harness import Facade, RecordingUpstream, Starting, ok, raw

BROKEN = raw(b"", keep=False)
WRITER: dict[str, Any] = {"reads": Side.SERVICE, "writer": Side.SERVICE}


@pytest.fixture
async def second() -> AsyncIterator[RecordingUpstream]:
    upstream = await RecordingUpstream(ok(b"second")).start()
    yield upstream
    await upstream.stop()


def events(facade: Facade, name: str) -> int:
    return facade.worker.path.counters.events[name, "search"]


async def test_requests_go_to_the_instance_with_the_fewest(
    start: Starting, second: RecordingUpstream
) -> None:
    facade = await start(WRITER, more=[second])
    client = await facade.client()
    for _ in range(10):
        assert (await client.get(b"/search")).status == 200
    assert (len(facade.service.requests), len(second.requests)) == (5, 5)
    gate = asyncio.Event()

    async def slow(*arguments: Any) -> bool:
        await gate.wait()
        return await ok(b"first")(*arguments)

    facade.service.answer = second.answer = slow
    busy = await facade.client()
    waiting = asyncio.create_task(busy.get(b"/search"))
    both = facade.service, second
    await facade.until(lambda: sum(len(each.requests) for each in both) == 11)
    free, taken = sorted(both, key=lambda each: len(each.requests))
    free.answer = ok(b"free")
    for _ in range(4):
        assert (await client.get(b"/search")).body == b"free"
    assert len(taken.requests) == 6
    gate.set()
    await waiting


async def test_what_one_instance_fails_another_answers_if_it_may_be_repeated(
    start: Starting, second: RecordingUpstream
) -> None:
    facade = await start(WRITER, more=[second])
    facade.service.answer = BROKEN
    client = await facade.client()
    for _ in range(6):
        assert (await client.get(b"/search")).body == b"second"
    assert events(facade, "retry") == len(facade.service.requests) > 0
    assert facade.worker.path.sides["search"].retrying == 0
    await facade.service.stop()
    for _ in range(20):  # nothing is sent to who does not take a connection
        assert (await client.post(b"/search/saved", b"x")).body == b"second"


async def test_a_post_that_was_sent_is_never_repeated(start: Starting, second: RecordingUpstream) -> None:
    facade = await start(WRITER, more=[second])
    facade.service.answer = second.answer = BROKEN
    client = await facade.client()
    for _ in range(4):
        assert (await client.post(b"/search/saved", b"x")).status == 502
    assert len(facade.service.requests) + len(second.requests) == 4


async def test_retries_end(start: Starting, second: RecordingUpstream) -> None:
    facade = await start(WRITER, more=[second], retries=2)
    facade.service.answer = second.answer = BROKEN
    client = await facade.client()
    assert (await client.get(b"/search")).status == 502
    assert len(facade.service.requests) + len(second.requests) == 3
    assert facade.worker.path.sides["search"].retrying == 0


async def test_retries_stay_inside_their_budget(start: Starting, second: RecordingUpstream) -> None:
    facade = await start(WRITER, more=[second])
    facade.service.answer = second.answer = BROKEN
    facade.worker.path.sides["search"].retrying = 3
    client = await facade.client()
    assert (await client.get(b"/search")).status == 502
    assert len(facade.service.requests) + len(second.requests) == 1
    assert events(facade, "retry") == 0


async def test_an_instance_is_ejected_alone_and_probed_with_reads(
    start: Starting, second: RecordingUpstream
) -> None:
    facade = await start(WRITER, more=[second])
    facade.service.answer = BROKEN
    client = await facade.client()
    async with asyncio.timeout(30):
        while not facade.worker.path.sides["search"].pools[0].ejection.ejected:
            await client.get(b"/search")
    failed = len(facade.service.requests)
    for _ in range(10):
        assert (await client.post(b"/search/saved", b"x")).body == b"second"
    assert len(facade.service.requests) == failed
    facade.service.answer = ok(b"first")
    async with asyncio.timeout(30):
        while (await client.get(b"/search")).body != b"first":
            pass
    assert {(await client.post(b"/search/saved", b"x")).body for _ in range(4)} == {b"first", b"second"}


async def test_a_health_check_takes_an_instance_out_and_back(
    start: Starting, second: RecordingUpstream
) -> None:
    facade = await start(WRITER, more=[second], health=HealthCheck("/healthz", interval=0.02, timeout=30.0))
    pools = facade.worker.path.sides["search"].pools
    client = await facade.client()
    second.answer = raw(b"HTTP/1.1 503 Ill\r\nContent-Length: 0\r\n\r\n")
    await facade.until(lambda: not pools[1].healthy)
    for _ in range(6):
        assert (await client.get(b"/search")).body == b"hello"
    second.answer = ok(b"second")
    await facade.until(lambda: pools[1].healthy)
    assert {(await client.get(b"/search")).body for _ in range(4)} == {b"hello", b"second"}
    checks = [each for each in second.requests if each.line == b"GET /healthz HTTP/1.1"]
    assert checks[0].values(b"host") == [b"127.0.0.1:%d" % second.port]


async def test_a_service_that_is_not_well_leaves_reads_to_the_monolith(start: Starting) -> None:
    facade = await start(
        {"reads": Side.SERVICE, "fallback": True},
        health=HealthCheck("/healthz", interval=0.02, timeout=30.0),
    )
    [pool] = facade.worker.path.sides["search"].pools
    facade.service.answer = raw(b"HTTP/1.1 503 Ill\r\nContent-Length: 0\r\n\r\n")
    await facade.until(lambda: not pool.healthy)
    facade.service.requests.clear()
    assert (await (await facade.client()).get(b"/search")).body == b"hello"
    assert not [each for each in facade.service.requests if b"/search" in each.line]
