"""A replay asks both sides the recorded reads of its phase, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from time import monotonic

import pytest

from facade.config import Backend, FacadeConfig, Limits, Timeouts
from facade.replay import Pace, Recorded, Replay
from facade.routes import Route, RouteTable
from tests.integration.facade.harness import Received, RecordingUpstream, ok, raw

ROUTES = RouteTable.compile(
    [
        Route("GET", "/search", "search", name="GET /search"),
        Route("GET", "/unsubscribe", "search", "write"),
        Route("GET", "/cart", "cart"),
    ]
)
READ = Recorded(b"GET", b"/search?q=1", ((b"Cookie", b"a=b"),), b"shop.test", b"https")


class Sides:
    """Both sides, and replays to them."""

    def __init__(self, monolith: RecordingUpstream, service: RecordingUpstream) -> None:
        self.monolith = monolith
        self.service = service
        self.config = FacadeConfig(
            Backend.of(monolith.upstream),
            {"search": Backend.of(service.upstream)},
            timeouts=Timeouts(connect=1.0, total=1.0),
            recheck_delay=0.0,
        )

    async def replay(self, *requests: Recorded, pace: Pace = Pace(rate=1000.0)) -> Replay:  # noqa: B008 - frozen
        replaying = Replay(self.config, ROUTES, "search", pace)
        done: list[None] = []
        await replaying.run(requests, lambda: done.append(None))
        assert len(done) == len(requests)
        return replaying


@pytest.fixture
async def sides() -> AsyncIterator[Sides]:
    monolith, service = await RecordingUpstream().start(), await RecordingUpstream().start()
    yield Sides(monolith, service)
    await monolith.stop()
    await service.stop()


async def test_a_read_is_asked_of_both_sides_alike(sides: Sides) -> None:
    replaying = await sides.replay(READ)
    ((counts,), samples) = replaying.accounts.take()
    assert (counts.route, counts.eligible, counts.matched, samples) == ("GET /search", 1, 1, [])
    assert sum(counts.primary_ms.values()) == sum(counts.shadow_ms.values()) == 1
    (ours,), (theirs,) = sides.monolith.requests, sides.service.requests
    assert ours == theirs
    assert ours.line == b"GET /search?q=1 HTTP/1.1"
    for name, value in ((b"host", b"shop.test"), (b"cookie", b"a=b"), (b"x-strangler-shadow", b"1")):
        assert ours.values(name) == [value]
    assert ours.values(b"x-forwarded-proto") == [b"https"]


async def test_a_request_without_a_host_goes_by_the_name_of_each_side(sides: Sides) -> None:
    await sides.replay(Recorded(b"GET", b"/search"))
    for side in (sides.monolith, sides.service):
        assert side.requests[0].values(b"host") == [b"127.0.0.1:%d" % side.port]


async def test_only_safe_reads_of_the_phase_are_asked(sides: Sides) -> None:
    replaying = await sides.replay(
        Recorded(b"POST", b"/search"),
        Recorded(b"GET", b"/unsubscribe"),
        Recorded(b"GET", b"/cart"),
        Recorded(b"GET", b"/elsewhere"),
        replace(READ, fields=((b"Transfer-Encoding", b"chunked"),)),
        replace(READ, fields=((b"Upgrade", b"websocket"), (b"Connection", b"Upgrade"))),
        replace(READ, fields=((b"X-A", b"1\r\nX-Smuggled 1"),)),
        replace(READ, target=b"no/path"),
    )
    assert dict(replaying.skipped) == {
        "not safe": 1,
        "a write": 1,
        "of another phase": 1,
        "of no route": 2,
        "refused": 3,
    }
    assert sides.monolith.requests == sides.service.requests == []
    assert replaying.accounts.take() == ([], [])


async def test_fields_that_would_shorten_or_pack_the_answer_do_not_go_on(sides: Sides) -> None:
    fields = (
        (b"If-None-Match", b'"x"'),
        (b"Accept-Encoding", b"br"),
        (b"X-Strangler-Side", b"t"),
        (b"TE", b"x"),
    )
    await sides.replay(replace(READ, fields=fields))
    (request,) = sides.service.requests
    for name, _ in fields:
        assert request.values(name) == []


async def test_i10_a_side_that_fails_is_a_drop_and_a_difference_a_sample(sides: Sides) -> None:
    sides.service.answer = ok(b"other")
    replaying = await sides.replay(READ, READ)
    ((counts,), samples) = replaying.accounts.take()
    assert (counts.mismatched, len(samples)) == (2, 1)
    sides.monolith.answer = raw(b"", keep=False)
    replaying = await sides.replay(READ)
    ((counts,), _) = replaying.accounts.take()
    assert (counts.eligible, counts.drops) == (1, {"monolith_failed": 1})
    sides.monolith.answer = ok(b"x" * (Limits().shadow_body + 1))
    replaying = await sides.replay(READ)
    ((counts,), _) = replaying.accounts.take()
    assert counts.drops == {"body_too_large": 1}


async def test_no_more_are_asked_at_a_time_or_a_second_than_the_pace_allows(sides: Sides) -> None:
    at_once: list[int] = []
    asked = 0
    going = asyncio.Event()

    async def waiting(
        upstream: RecordingUpstream,
        request: Received,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        nonlocal asked
        asked += 1
        at_once.append(asked)
        if asked == 3:
            going.set()
        await going.wait()
        asked -= 1
        return await ok()(upstream, request, reader, writer)

    sides.monolith.answer = waiting
    await sides.replay(*[READ] * 12, pace=Pace(rate=10_000.0, concurrency=3))
    assert max(at_once) == 3
    sides.monolith.answer = ok()
    began = monotonic()
    await sides.replay(*[READ] * 11, pace=Pace(rate=50.0))
    assert monotonic() - began >= 0.2, "ten intervals of 20 ms"
