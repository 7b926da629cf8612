"""What a worker tells of the reads that a flag splits."""

import asyncio

from facade.tally import ReadCounts
from flags.side import Side
from tests.integration.facade.harness import Facade, Starting, ok, raw


def told(facade: Facade, side: Side) -> list[ReadCounts]:
    return [each for each in facade.control.told if each.side is side]


async def test_each_split_read_is_told_once_for_the_side_that_was_to_answer_it(start: Starting) -> None:
    facade = await start({"reads": 100, "fallback": True})
    client = await facade.client()
    for answer in (ok(), raw(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"), raw(b"", keep=False)):
        facade.service.answer = answer
        await client.get(b"/search")
    await client.post(b"/search/saved", b"{}")  # a write is none
    await facade.until(lambda: sum(each.answered for each in told(facade, Side.SERVICE)) == 3)
    await asyncio.sleep(0)
    assert sum(each.failed for each in told(facade, Side.SERVICE)) == 2
    assert sum(sum(each.milliseconds.values()) for each in told(facade, Side.SERVICE)) == 1
    assert told(facade, Side.MONOLITH) == []


async def test_an_answer_that_breaks_off_is_a_failure(start: Starting) -> None:
    facade = await start({"reads": 100, "fallback": True})
    facade.service.answer = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", keep=False)
    client = await facade.client()
    await client.send(b"GET /search HTTP/1.1\r\nHost: shop.test\r\n\r\n")
    await facade.until(lambda: told(facade, Side.SERVICE))
    assert [(each.answered, each.failed) for each in told(facade, Side.SERVICE)] == [(1, 1)]


async def test_reads_that_no_flag_splits_are_not_told(start: Starting) -> None:
    facade = await start({"reads": Side.SERVICE})
    client = await facade.client()
    await client.get(b"/search")
    await facade.serve(reads=100)
    await client.get(b"/search")
    await facade.until(lambda: facade.control.told)
    assert sum(each.answered for each in facade.control.told) == 1


async def test_i5_nobody_waits_for_whoever_is_told(start: Starting) -> None:
    facade = await start({"reads": 100})
    client = await facade.client()
    await facade.until(lambda: facade.worker.path.snapshot is facade.control.snapshot)
    facade.control.failing = RuntimeError("gone")
    for _ in range(20):
        assert (await client.get(b"/search")).status == 200
    facade.control.failing = None
    await client.get(b"/search")
    await facade.until(lambda: facade.control.told)
