"""The shadow: off the user's path, and every eligible request accounted for."""

import asyncio
import json

import pytest

from facade.compare import Rules
from facade.compare_rules import Rule, RuleKind
from facade.config import Limits, ShadowRules
from tests.integration.facade.harness import Answering, Facade, Received, RecordingUpstream, Starting, ok, raw

QUICK = {"search": ShadowRules(timeout=0.2)}


async def hung(
    upstream: RecordingUpstream, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    return bool(await reader.read())


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
    facade = await start({"shadow": 100}, shadow=QUICK, limits=Limits(shadow_body=1000, shadow_queue=8))
    facade.service.answer = answer
    clients = [await facade.client() for _ in range(4)]
    for _ in range(10):
        answers = await asyncio.gather(*(client.get(b"/search") for client in clients))
        assert {each.body for each in answers} == {b"hello"}
    await facade.until(lambda: total(facade, "eligible") == 40)
    assert sum(drops(facade).values()) == 40
    assert reasons <= drops(facade).keys() <= reasons | {"queue_full", "breaker_open"}


async def test_i10_the_accounts_balance_when_the_service_is_gone(start: Starting) -> None:
    facade = await start({"shadow": 100}, shadow=QUICK)
    await facade.service.stop()
    client = await facade.client()
    for _ in range(20):
        assert (await client.get(b"/search")).body == b"hello"
    await facade.until(lambda: total(facade, "eligible") == 20)
    assert drops(facade).keys() <= {"connect", "breaker_open"}


async def test_i10_what_is_open_at_the_end_is_accounted_for(start: Starting) -> None:
    facade = await start({"shadow": 100}, shadow={"search": ShadowRules(timeout=60.0)})
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
        async with asyncio.timeout(5):
            await refused.wait()
    await facade.until(lambda: total(facade, "matched") == 1)
