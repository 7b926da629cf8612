"""The shadow cannot hurt (I5): whatever the service does, clients see what they see without a shadow."""

import asyncio
import gc
import socket
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from math import inf
from random import Random
from typing import Any
from unittest.mock import Mock

import pytest

from facade.config import Limits, ShadowRules, Timeouts
from facade.ejection import ERRORS
from tests.integration.facade.harness import (
    Answering,
    Facade,
    Received,
    RecordingUpstream,
    Starting,
    hung,
    ok,
    raw,
)

LIMITS = Limits(shadow_queue=32, shadow_senders=3, shadow_body=64 * 1024)
MEBIBYTE = 1024 * 1024
CLIENTS, EACH = 6, 40
BODY = bytes(range(256)) * 8
HEAVY = b"X-Weight: " + b"w" * 28_000


Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


async def trickling(upstream: RecordingUpstream, request: Received, reader: Reader, writer: Writer) -> bool:
    """A byte at a time, each soon enough to look alive, never done before the deadline."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)
    return False


async def resetting(upstream: RecordingUpstream, request: Received, reader: Reader, writer: Writer) -> bool:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


async def flooding(upstream: RecordingUpstream, request: Received, reader: Reader, writer: Writer) -> bool:
    """Ten megabytes that nobody asked for."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n")
    for _ in range(160):
        writer.write(bytes(65536))
        await writer.drain()
    return False


async def promising(upstream: RecordingUpstream, request: Received, reader: Reader, writer: Writer) -> bool:
    """Interim answers, and never one that counts."""
    while not writer.is_closing():
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.001)
    return False


HOSTILE: dict[str, tuple[Answering, set[str]]] = {
    "hung": (hung, {"timeout"}),
    "trickling": (trickling, {"timeout"}),
    "resetting": (resetting, {"closed"}),
    "garbage": (raw(Random(3).randbytes(3000) + b"\r\n\r\n", keep=False), {"malformed"}),
    "not HTTP": (raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", keep=False), {"malformed"}),
    "breaking off": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbroke", keep=False), {"broken"}),
    "endless head": (raw(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 100_000, keep=False), {"malformed"}),
    "flooding": (flooding, {"body_too_large"}),
    "promising": (promising, {"malformed"}),
    "an error": (raw(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"), set()),
    "another answer": (ok(b"{}", b"Content-Type: application/json"), set()),
}


async def answers(facade: Facade, each: int = EACH, *lines: bytes) -> set[bytes]:
    """What clients get, to the byte, asking at once and then again and again."""

    async def ask() -> set[bytes]:
        client = await facade.client()
        try:
            got = [await client.get(b"/search", b"X-Request-ID: r", *lines) for _ in range(each)]
        finally:
            client.close()
        return {answer.head + b"|" + answer.body for answer in got}

    return set().union(*await asyncio.gather(*(ask() for _ in range(CLIENTS))))


async def settled(facade: Facade, number: int) -> dict[str, int]:
    """The drops by reason once so many requests are in the books, which have to balance (I10)."""
    counted = facade.control.counts
    await facade.until(lambda: sum(counts.eligible for counts in counted) >= number)
    drops: dict[str, int] = {}
    for counts in counted:
        assert counts.eligible == (
            counts.matched + counts.mismatched + counts.stale + sum(counts.drops.values())
        )
        for reason, times in counts.drops.items():
            drops[reason] = drops.get(reason, 0) + times
    assert sum(counts.eligible for counts in counted) == number
    return drops


async def hostile_facade(
    start: Starting,
    timeout: float = 0.15,  # noqa: ASYNC109 - the shadow's
    **configuration: Any,
) -> tuple[Facade, set[bytes]]:
    """A facade whose clients are not mirrored yet, and what they get."""
    rules = {"search": ShadowRules(timeout=timeout)}
    facade = await start({"shadow": 0}, shadow=rules, limits=LIMITS, recheck_delay=0.0, **configuration)
    facade.monolith.answer = ok(
        BODY, b"Content-Type: application/octet-stream", b"ETag: W/1", b"Set-Cookie: a=b"
    )
    expected = await answers(facade, 1)
    assert len(expected) == 1
    return facade, expected


@asynccontextmanager
async def nothing_left_behind(facade: Facade, *, connects: bool = True) -> AsyncIterator[None]:
    """Connections to the service stay few, and afterwards no task and no request is left."""
    before = asyncio.all_tasks()
    most = 0
    yielding = True

    async def watch() -> None:
        nonlocal most
        while yielding:
            most = max(most, facade.worker.path.shadow._services["search"].size)
            await asyncio.sleep(0.002)

    watching = asyncio.create_task(watch())
    yield
    yielding = False
    await watching
    assert connects <= most <= LIMITS.shadow_senders
    serving = RecordingUpstream._serve.__name__

    def left() -> set[str]:
        new = asyncio.all_tasks() - before
        return {name for task in new if serving not in (name := getattr(task.get_coro(), "__name__", ""))}

    await facade.until(lambda: not left())
    assert facade.worker.path.sides[""].busy == 0
    assert not facade.worker.path.active


@pytest.mark.parametrize("how", HOSTILE)
async def test_i5_i10_clients_see_nothing_of_a_hostile_shadow(start: Starting, how: str) -> None:
    answer, reasons = HOSTILE[how]
    facade, expected = await hostile_facade(start, 0.15 if reasons == {"timeout"} else 30.0)
    facade.service.answer = answer
    await facade.serve(shadow=100)
    async with nothing_left_behind(facade):
        assert await answers(facade) == expected
        drops = await settled(facade, CLIENTS * EACH)
    assert reasons <= drops.keys() <= reasons | {"queue_full", "breaker_open"}
    assert [counts.primary_ms for counts in facade.control.counts if counts.matched] == []


async def test_i5_i10_clients_see_nothing_of_a_shadow_that_is_gone(start: Starting) -> None:
    facade, expected = await hostile_facade(start, 30.0)
    await facade.service.stop()
    await facade.serve(shadow=100)
    async with nothing_left_behind(facade):
        assert await answers(facade) == expected
        drops = await settled(facade, CLIENTS * EACH)
    assert {"connect"} <= drops.keys() <= {"connect", "queue_full", "breaker_open"}


async def test_i5_i10_while_the_breaker_is_open_nothing_of_a_request_waits(
    start: Starting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is dropped as it comes: what waits to be dropped takes the users' loop some of its time."""
    facade, expected = await hostile_facade(start)
    shadow, waited = facade.worker.path.shadow, Mock(side_effect=AssertionError)
    [pool] = shadow._services["search"].pools
    for _ in range(ERRORS):
        pool.ejection.failed(inf)
    monkeypatch.setattr(shadow, "settle", waited)
    await facade.serve(shadow=100)
    assert await answers(facade) == expected
    assert await settled(facade, CLIENTS * EACH) == {"breaker_open": CLIENTS * EACH}
    waited.assert_not_called()


@contextmanager
def deaf_service(port: int) -> Iterator[None]:
    """A server that lets the kernel accept, and takes nothing."""
    with closing(socket.socket()) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        deaf.bind(("127.0.0.1", port))
        deaf.listen(1)
        yield


async def test_i5_i10_clients_see_nothing_of_a_shadow_that_never_reads(start: Starting) -> None:
    """What is sent there stays in the facade."""
    facade, _ = await hostile_facade(start, timeouts=Timeouts())
    expected = await answers(facade, 1, HEAVY)
    await facade.service.stop()
    with deaf_service(facade.service.port):
        await facade.serve(shadow=100)
        async with nothing_left_behind(facade):
            assert await answers(facade, EACH, HEAVY) == expected
            drops = await settled(facade, CLIENTS * EACH)
    assert drops.keys() <= {"timeout", "connect", "queue_full", "breaker_open"}


@pytest.mark.parametrize(("most", "reasons"), [(11 * MEBIBYTE, {"timeout"}), (MEBIBYTE, {"body_too_large"})])
async def test_i5_i10_a_mirrored_upload_that_nobody_reads_holds_up_no_client(
    start: Starting, most: int, reasons: set[str]
) -> None:
    """Ten megabytes, to a service that takes none of it; and to one for which they are too many to keep."""
    facade = await start(
        {"shadow": 100},
        shadow={"search": ShadowRules(timeout=0.15, mirror=frozenset({"/search/saved"}))},
        limits=replace(LIMITS, shadow_body=most, shadow_queue=2),
        timeouts=Timeouts(),
        recheck_delay=0.0,
    )
    await facade.service.stop()
    with deaf_service(facade.service.port):
        client = await facade.client()
        async with nothing_left_behind(facade, connects=most > MEBIBYTE):
            for _ in range(4):
                answer = await client.post(b"/search/saved", bytes(10 * MEBIBYTE))
                assert (answer.status, answer.body) == (200, b"hello")
            drops = await settled(facade, 4)
    assert [len(request.body) for request in facade.monolith.requests] == [10 * MEBIBYTE] * 4
    assert reasons <= drops.keys() <= reasons | {"queue_full", "breaker_open"}


Attack = Callable[[Facade], Awaitable[None]]


async def _stop(facade: Facade) -> None:
    await facade.service.stop()


async def _hang(facade: Facade) -> None:
    facade.service.answer = hung


async def _differ(facade: Facade) -> None:
    facade.service.answer = ok(Random(4).randbytes(2000))


@pytest.mark.parametrize("attack", [_stop, _hang, _differ], ids=["gone", "hung", "differing"])
async def test_i5_memory_stays_flat_under_a_hostile_shadow(start: Starting, attack: Attack) -> None:
    """Blocks of the interpreter after so many requests, and after so many more: none stays behind."""
    facade, _ = await hostile_facade(start)
    await attack(facade)
    await facade.serve(shadow=100)

    async def blocks() -> int:
        await answers(facade, 150)
        await facade.until(lambda: not facade.worker.path.shadow._open)
        for kept in (facade.monolith.requests, facade.service.requests):
            kept.clear()
        facade.control.counts.clear()
        facade.control.samples.clear()
        facade.control.statuses.clear()
        gc.collect()
        return sys.getallocatedblocks()

    first = await blocks()
    after = await blocks()
    assert after - first < CLIENTS * 150, "less than one block for each request"
