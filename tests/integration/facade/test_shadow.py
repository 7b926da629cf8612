"""The shadow: off the user's path, and every eligible request accounted for."""

import asyncio
import json
from collections import Counter
from dataclasses import replace
from time import time

import pytest

from facade.compare import Rules
from facade.compare_rules import Rule, RuleKind
from facade.config import Limits, ShadowRules
from facade.routing_key import RoutingKey
from flags.side import Side
from tests.integration.facade.harness import (
    Answering,
    Facade,
    Received,
    RecordingUpstream,
    Starting,
    hung,
    ok,
    raw,
    rule,
)

QUICK = {"search": ShadowRules(timeout=0.2)}
PATIENT = {"search": ShadowRules(timeout=30.0)}


def total(facade: Facade, name: str) -> int:
    return sum(getattr(counts, name) for counts in facade.control.counts)


def drops(facade: Facade) -> dict[str, int]:
    found: dict[str, int] = {}
    for counts in facade.control.counts:
        for reason, number in counts.drops.items():
            found[reason] = found.get(reason, 0) + number
    return found


async def test_a_shadowed_read_is_compared(start: Starting) -> None:
    facade = await start({"shadow": 100}, recheck_delay=0.0)
    client = await facade.client()
    assert (await client.get(b"/search?q=1", b"X-Request-ID: r-1", b"Cookie: a=b")).body == b"hello"
    await facade.until(lambda: total(facade, "eligible") == 1)
    assert total(facade, "matched") == 1
    (request,) = facade.service.requests
    assert request.line == b"GET /search?q=1 HTTP/1.1"
    assert request.values(b"x-strangler-shadow") == [b"1"]
    assert request.values(b"cookie") == [b"a=b"]
    assert not facade.monolith.requests[0].values(b"x-strangler-shadow")
    assert len(facade.monolith.requests) == 1


async def test_a_difference_is_asked_again_and_sampled_without_secrets(start: Starting) -> None:
    facade = await start({"shadow": 100}, recheck_delay=0.0)
    json_type = b"Content-Type: application/json"
    facade.monolith.answer = ok(b'{"name": "a"}', json_type)
    facade.service.answer = ok(b'{"name": "b"}', json_type)
    client = await facade.client()
    await client.get(b"/search?token=0123456789abcdef0123456789")
    await facade.until(lambda: total(facade, "mismatched") == 1)
    (sample,) = facade.control.samples
    assert [(each.path, each.kind) for each in sample.differences] == [("$.name", "value")]
    assert "0123456789abcdef" not in json.dumps(sample.target)
    assert (len(facade.monolith.requests), len(facade.service.requests)) == (2, 2)
    assert facade.control.counts[0].fields == {("$.name", "value"): 1}


async def test_a_difference_that_vanishes_is_stale(start: Starting) -> None:
    async def late(
        upstream: RecordingUpstream,
        request: Received,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        return await ok(b"old" if len(upstream.requests) == 1 else b"hello")(
            upstream, request, reader, writer
        )

    facade = await start({"shadow": 100}, recheck_delay=0.0)
    facade.service.answer = late
    client = await facade.client()
    await client.get(b"/search")
    await facade.until(lambda: total(facade, "eligible") == 1)
    assert (total(facade, "stale"), total(facade, "mismatched"), facade.control.samples) == (1, 0, [])


async def test_rules_are_the_phases_own(start: Starting) -> None:
    rules = {"search": ShadowRules(Rules(ignore=("$.took",)))}
    facade = await start({"shadow": 100}, recheck_delay=0.0, shadow=rules)
    facade.monolith.answer = ok(b'{"took": 1}', b"Content-Type: application/json")
    facade.service.answer = ok(b'{"took": 2}', b"Content-Type: application/json")
    client = await facade.client()
    await client.get(b"/search")
    await facade.until(lambda: total(facade, "matched") == 1)


async def test_rules_of_a_route_hold_there_alone(start: Starting) -> None:
    near = (Rule(RuleKind.TOLERANCE, "$.score", "1"),)
    rules = {"search": ShadowRules(Rules(routes={"GET /search": near, "/search": near}))}
    facade = await start({"shadow": 100}, recheck_delay=0.0, shadow=rules)
    facade.monolith.answer = ok(b'{"score": 1}', b"Content-Type: application/json")
    facade.service.answer = ok(b'{"score": 2}', b"Content-Type: application/json")
    client = await facade.client()
    await client.get(b"/search")
    await facade.until(lambda: total(facade, "matched") == 1)
    assert [counts.rules for counts in facade.control.counts] == [{"tolerance $.score 1": 1}]
    await client.get(b"/search/saved")
    await facade.until(lambda: total(facade, "mismatched") == 1)


async def test_writes_and_reads_of_the_service_cast_no_shadow(start: Starting) -> None:
    facade = await start({"shadow": 100, "reads": 100})
    client = await facade.client()
    await client.get(b"/search")
    await client.post(b"/search/saved", b"x")
    await facade.worker.stop()
    assert total(facade, "eligible") == 0


@pytest.mark.parametrize(
    ("answer", "reasons"),
    [
        (hung, {"timeout"}),
        (raw(b"garbage\r\n\r\n", keep=False), {"malformed"}),
        (raw(b"", keep=False), {"closed"}),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbroke", keep=False), {"broken"}),
        (ok(b"x" * 5000), {"body_too_large"}),
    ],
)
async def test_i10_the_accounts_balance_when_the_service_fails(
    start: Starting, answer: Answering, reasons: set[str]
) -> None:
    rules = QUICK if reasons == {"timeout"} else PATIENT
    facade = await start({"shadow": 100}, shadow=rules, limits=Limits(shadow_body=1000, shadow_queue=8))
    facade.service.answer = answer
    clients = [await facade.client() for _ in range(4)]
    for _ in range(10):
        answers = await asyncio.gather(*(client.get(b"/search") for client in clients))
        assert {each.body for each in answers} == {b"hello"}
    await facade.until(lambda: total(facade, "eligible") == 40)
    assert sum(drops(facade).values()) == 40
    assert reasons <= drops(facade).keys() <= reasons | {"queue_full", "breaker_open"}


async def test_i10_the_accounts_balance_when_the_service_is_gone(start: Starting) -> None:
    facade = await start({"shadow": 100}, shadow=PATIENT)
    await facade.service.stop()
    client = await facade.client()
    for _ in range(20):
        assert (await client.get(b"/search")).body == b"hello"
    await facade.until(lambda: total(facade, "eligible") == 20)
    assert drops(facade).keys() <= {"connect", "breaker_open"}


async def test_i10_what_is_open_at_the_end_is_accounted_for(start: Starting) -> None:
    facade = await start({"shadow": 100}, shadow=PATIENT)
    facade.service.answer = hung
    client = await facade.client()
    for _ in range(5):
        await client.get(b"/search")
    await facade.worker.stop()
    assert drops(facade) == {"shutdown": 5}


async def test_evidence_that_is_not_taken_is_kept(start: Starting, monkeypatch: pytest.MonkeyPatch) -> None:
    facade = await start({"shadow": 100})
    refused = asyncio.Event()
    loop = asyncio.get_running_loop()

    def refuse(*_: object) -> None:
        loop.call_soon_threadsafe(refused.set)
        raise OSError("locked")

    client = await facade.client()
    with monkeypatch.context() as patched:
        patched.setattr(facade.control, "record", refuse)
        await client.get(b"/search")
        async with asyncio.timeout(30):
            await refused.wait()
    await facade.until(lambda: total(facade, "matched") == 1)


async def test_a_redirect_is_read_as_its_client_would(start: Starting) -> None:
    facade = await start({"shadow": 100}, recheck_delay=0.0)
    facade.monolith.answer = ok(b"", b"Location: http://shop.example/search/7")
    client = await facade.client()
    for location, name in ((b"/search/7", "matched"), (b"//other.example/search/7", "mismatched")):
        facade.service.answer = ok(b"", b"Location: " + location)
        client.writer.write(b"GET /search HTTP/1.1\r\nHost: shop.example\r\n\r\n")
        await facade.until(lambda name=name: total(facade, name) == 1)
    assert facade.control.counts[-1].fields == {("header:location", "header"): 1}


def numbered(*bodies: bytes) -> Answering:
    """The next of these with each request, the last for ever."""

    async def answer(
        upstream: RecordingUpstream,
        request: Received,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        body = bodies[min(len(upstream.requests), len(bodies)) - 1]
        return await ok(body, b"Content-Type: application/json")(upstream, request, reader, writer)

    return answer


async def test_a_calibrated_read_is_asked_of_the_monolith_twice(start: Starting) -> None:
    facade = await start({"shadow": 100, "calibrate": 100}, recheck_delay=0.0)
    facade.monolith.answer = numbered(*(b'{"at": %d}' % number for number in range(9)))
    facade.service.answer = numbered(b'{"at": 0}')
    client = await facade.client()
    assert (await client.get(b"/search")).body == b'{"at": 0}'
    await facade.until(lambda: total(facade, "matched") == 1)
    # The service agreed at once; the monolith did not, so that both are asked once more, the monolith twice.
    assert (len(facade.monolith.requests), len(facade.service.requests)) == (4, 2)
    (counts,) = facade.control.counts
    found = counts.noise.fields["$.at", "value"]
    assert (counts.noise.pairs, counts.noise.noisy) == (1, 1)
    assert (found.both, found.monolith, found.service) == (1, 0, 0)
    assert (found.traits.numbers, found.traits.distance) == (1, 1.0)
    marks = [request.values(b"x-strangler-shadow") for request in facade.monolith.requests]
    assert marks == [[], [b"1"], [b"1"], [b"1"]]


async def test_what_is_not_calibrated_asks_the_monolith_nothing(start: Starting) -> None:
    facade = await start({"shadow": 100, "calibrate": 0})
    await (await facade.client()).get(b"/search")
    await facade.until(lambda: total(facade, "matched") == 1)
    assert len(facade.monolith.requests) == 1
    assert facade.control.counts[0].noise.pairs == 0


@pytest.mark.parametrize("times", [1, 2])
async def test_a_monolith_that_stops_answering_spoils_no_comparison(start: Starting, times: int) -> None:
    async def answering(
        upstream: RecordingUpstream,
        request: Received,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        asked = len(upstream.requests)
        answer = ok(b"hello" if asked == 1 else b"again") if asked <= times else raw(b"", keep=False)
        return await answer(upstream, request, reader, writer)

    facade = await start({"shadow": 100, "calibrate": 100}, shadow=PATIENT, recheck_delay=0.0)
    facade.monolith.answer = answering
    await (await facade.client()).get(b"/search")
    await facade.until(lambda: total(facade, "matched") == 1)
    assert facade.control.counts[0].noise.pairs == 0


async def test_a_stale_read_says_how_far_replication_was_behind(start: Starting) -> None:
    facade = await start({"shadow": 100}, recheck_delay=0.0)
    facade.service.answer = numbered(b'{"at": 0}', b'{"at": 1}')
    facade.monolith.answer = numbered(b'{"at": 1}')
    facade.control.progress[("search", Side.SERVICE)] = time() - 30.0
    await facade.until(lambda: facade.worker.path.shadow.passed == facade.control.progress)
    await (await facade.client()).get(b"/search")
    await facade.until(lambda: total(facade, "stale") == 1)
    ((bound, number),) = facade.control.counts[0].stale_ms.items()
    assert number == 1
    assert bound >= 30_000


MIRRORED = {"search": ShadowRules(timeout=30.0, mirror=frozenset({"/search/saved"}))}


@pytest.mark.parametrize(
    ("headers", "framed"),
    [
        ((b"Content-Length: 9", b"Expect: 100-continue"), b"5 saved!!"),
        ((b"Transfer-Encoding: chunked",), b"4\r\n5 sa\r\n5\r\nved!!\r\n0\r\n\r\n"),
    ],
)
async def test_a_write_that_opted_in_reaches_the_service_once_and_marked(
    start: Starting, headers: tuple[bytes, ...], framed: bytes
) -> None:
    facade = await start({"shadow": 100, "calibrate": 100}, shadow=MIRRORED, recheck_delay=0.0)
    facade.service.answer = ok(b"other")
    client = await facade.client()
    head = b"\r\n".join([b"POST /search/saved HTTP/1.1", b"Host: h", *headers])
    client.writer.write(head + b"\r\n\r\n" + framed)
    await client.writer.drain()
    await facade.until(lambda: total(facade, "mismatched") == 1)
    assert [request.body for request in facade.monolith.requests] == [b"5 saved!!"]
    (request,) = facade.service.requests
    assert request.body == b"5 saved!!"
    assert request.values(b"x-strangler-shadow") == [b"1"]
    assert request.values(b"content-length") == [b"9"]
    assert not request.values(b"expect")
    assert not request.values(b"transfer-encoding")
    assert facade.control.counts[0].noise.pairs == 0


async def test_i10_a_body_too_large_to_copy_is_a_drop(start: Starting) -> None:
    facade = await start({"shadow": 100}, shadow=MIRRORED, limits=Limits(shadow_body=8))
    client = await facade.client()
    await client.post(b"/search/saved", b"123456789")
    await facade.until(lambda: total(facade, "eligible") == 1)
    assert drops(facade) == {"body_too_large": 1}
    assert not facade.service.requests


async def test_a_route_is_counted_by_a_field_of_its_requests(start: Starting) -> None:
    by = RoutingKey.parse("body:/operationName")
    rules = {"search": replace(MIRRORED["search"], group_by={"/search/saved": by})}
    facade = await start({"shadow": 100}, shadow=rules)
    client = await facade.client()
    for name in (b"Items", b"Prices", b"Items"):
        await client.post(b"/search/saved", b'{"operationName": "%b"}' % name)
    await facade.until(lambda: total(facade, "eligible") == 3)
    groups = Counter[str]()
    for counts in facade.control.counts:
        groups[counts.route] += counts.eligible
    assert groups == {"/search/saved Items": 2, "/search/saved Prices": 1}


async def test_rare_routes_are_seen_however_small_the_share(start: Starting) -> None:
    rules = {"search": ShadowRules(at_least=1.0)}
    facade = await start({"shadow": 1}, shadow=rules)
    client = await facade.client()
    ids = [b"X-Request-ID: r-%d" % number for number in range(400) if not in_share(f"r-{number}", 1)][:10]
    for path in (b"/search", b"/search/1", b"/search/export"):
        for line in ids:
            await client.get(path, line)
    await facade.until(lambda: total(facade, "matched") == 2)
    await facade.worker.stop()
    assert sorted(counts.route for counts in facade.control.counts) == ["/search", "/search/{id}"]


async def test_nothing_is_taken_while_the_share_is_none(start: Starting) -> None:
    facade = await start({"shadow": 0}, shadow={"search": ShadowRules(at_least=60.0)})
    await (await facade.client()).get(b"/search")
    await facade.worker.stop()
    assert total(facade, "eligible") == 0


async def test_a_routing_key_is_taken_whole_or_not_at_all(start: Starting) -> None:
    keys = {"search": RoutingKey.parse("header:X-User")}
    facade = await start({"shadow": 50}, shadow={"search": ShadowRules(by_key=True)}, routing_keys=keys)
    client = await facade.client()
    users = [b"ann", b"bob", b"cyd", b"dan", b"eve", b"fay"]
    for user in users:
        for _ in range(3):
            await client.get(b"/search", b"X-User: " + user)
    taken = {user for user in users if in_share(user.decode(), 50)}
    assert 0 < len(taken) < len(users)
    await facade.until(lambda: total(facade, "matched") == 3 * len(taken))
    asked = Counter(request.values(b"x-user")[0] for request in facade.service.requests)
    assert asked == dict.fromkeys(taken, 3)


def in_share(key: str, percent: int) -> bool:
    return rule("search.shadow", percent).enabled(key)
