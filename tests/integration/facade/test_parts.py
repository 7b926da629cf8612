"""Answers made of parts: each part travels as a read of its own, and what fails is told."""

import asyncio
import io
import json
from dataclasses import replace
from time import time
from typing import Any

import jwt

from facade.access_log import AccessLog
from facade.aggregate import Aggregate
from facade.config import RateLimit, TokenRules
from facade.routes import Route, RouteTable
from flags.side import Side
from tests.integration.facade.harness import (
    ROUTES,
    Answering,
    Facade,
    Received,
    RecordingUpstream,
    Response,
    Starting,
    ok,
    picture,
    raw,
)

JSON = b"Content-Type: application/json"
PARTS = {"saved": "/search/{id}", "other": "/else"}


async def made(start: Starting, parts: dict[str, str] = PARTS, *, seconds: float = 5.0, **how: Any) -> Facade:
    """A facade with an aggregate at /all/{id}."""
    mine = ("rate_limits", "tokens", "authenticated")
    configuration = {name: how.pop(name) for name in mine if name in how}
    facade = await start(**configuration)
    facade.monolith.answer = ok(b'{"from": "monolith"}', JSON)
    facade.service.answer = ok(b'{"from": "service"}', JSON)
    aggregate = Aggregate(tuple(parts.items()), seconds, most=1000)
    route = Route("GET", "/all/{id}", None, "read", name="all", aggregate=aggregate)
    facade.control.snapshot = replace(picture(2, **how), routes=RouteTable.compile((*ROUTES, route)))
    await facade.until(lambda: facade.worker.path.snapshot is facade.control.snapshot)
    return facade


def document(answer: Response) -> Any:
    assert answer.values(b"content-type") == [b"application/json"]
    return json.loads(answer.body)


async def test_parts_go_where_the_same_reads_would(start: Starting) -> None:
    facade = await made(start, reads=Side.SERVICE)
    client = await facade.client()
    lines = (b"Cookie: sid=1", b"Authorization: Bearer x", b"X-Request-ID: r-1", b"Accept-Encoding: gzip")
    answer = await client.get(b"/all/7?limit=2", *lines, b'If-None-Match: "e"')
    assert answer.status == 200
    assert document(answer) == {
        "parts": {
            "saved": {"status": 200, "body": {"from": "service"}},
            "other": {"status": 200, "body": {"from": "monolith"}},
        },
        "failed": [],
    }
    assert (answer.values(b"x-request-id"), answer.values(b"cache-control")) == ([b"r-1"], [b"no-store"])
    (to_service,), (to_monolith,) = facade.service.requests, facade.monolith.requests
    assert to_service.line == b"GET /search/7?limit=2 HTTP/1.1"
    assert to_monolith.line == b"GET /else?limit=2 HTTP/1.1"
    for request in (to_service, to_monolith):
        for name, value in (
            (b"cookie", b"sid=1"),
            (b"authorization", b"Bearer x"),
            (b"x-request-id", b"r-1"),
        ):
            assert request.values(name) == [value]
        assert request.values(b"x-forwarded-for") == [b"127.0.0.1"]
        assert not request.values(b"accept-encoding")
        assert not request.values(b"if-none-match")
    (one,), (other,) = to_service.values(b"traceparent"), to_monolith.values(b"traceparent")
    assert one == other
    assert (await client.get(b"/else")).status == 200, "the connection goes on"


async def test_parts_are_asked_at_the_same_time(start: Starting) -> None:
    facade = await made(start, reads=Side.SERVICE)
    both = facade.service, facade.monolith

    def after_the_other(other: RecordingUpstream) -> Answering:
        async def answer(upstream: RecordingUpstream, request: Received, *streams: Any) -> bool:
            await other.until(lambda: len(other.requests) == 1)
            return await ok(b"1", JSON)(upstream, request, *streams)

        return answer

    facade.service.answer, facade.monolith.answer = after_the_other(both[1]), after_the_other(both[0])
    assert document(await (await facade.client()).get(b"/all/7"))["failed"] == []


async def test_a_part_that_fails_is_told_and_the_others_are_there(start: Starting) -> None:
    facade = await made(start, reads=Side.SERVICE)
    client = await facade.client()
    cases: list[tuple[Answering, dict[str, Any]]] = [
        (raw(b"", keep=False), {"status": 502, "error": "No answer from the service (closed)."}),
        (
            raw(b"nonsense\r\n\r\n", keep=False),
            {"status": 502, "error": "No answer from the service (malformed)."},
        ),
        (
            raw(b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"),
            {"status": 404, "error": "status 404", "body": {}},
        ),
        (
            ok(b"<p>", b"Content-Type: text/html"),
            {"status": 200, "error": "the answer is no JSON (text/html)"},
        ),
        (ok(b"1" * 1001, JSON), {"status": 502, "error": "the answer is longer than 1000 bytes"}),
        (
            raw(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n[", keep=False
            ),
            {"status": 502, "error": "the answer broke off"},
        ),
    ]
    for answering, told in cases:
        facade.service.answer = answering
        answer = await client.get(b"/all/7")
        assert (answer.status, answer.values(b"x-strangler-failed-parts")) == (200, [b"saved"])
        assert document(answer)["parts"] == {
            "saved": told,
            "other": {"status": 200, "body": {"from": "monolith"}},
        }
        assert document(answer)["failed"] == ["saved"]
        facade.worker.path.instances(Side.SERVICE, "search").pools[0].ejection.succeeded()  # type: ignore[union-attr]
    assert not facade.worker.path.active


async def test_an_endless_part_that_is_too_long_is_cut_off(start: Starting) -> None:
    async def endless(
        upstream: RecordingUpstream,
        request: Received,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + b"data: 1\n\n" * 200)
        assert await reader.read() == b""
        return False

    facade = await made(start, reads=Side.SERVICE)
    facade.service.answer = endless
    answer = await (await facade.client()).get(b"/all/7")
    assert document(answer)["parts"]["saved"]["error"] == "the answer is longer than 1000 bytes"
    await facade.service.until(lambda: not facade.service.open)


async def test_what_hangs_ends_with_the_deadline_before_and_in_its_answer(start: Starting) -> None:
    async def hanging(
        upstream: RecordingUpstream,
        request: Received,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[" if upstream is facade.service else b"")
        assert await reader.read() == b""
        return False

    facade = await made(start, reads=Side.SERVICE, seconds=0.2)
    facade.service.answer = facade.monolith.answer = hanging
    answer = await (await facade.client()).get(b"/all/7")
    late = {"status": 504, "error": "no whole answer within 0.2 s"}
    assert answer.status == 504, "all that there is"
    assert document(answer)["parts"] == {"saved": late, "other": late}
    for upstream in (facade.service, facade.monolith):
        await upstream.until(lambda upstream=upstream: not upstream.open)


async def test_the_monolith_answers_a_part_that_the_service_fails(start: Starting) -> None:
    facade = await made(start, reads=Side.SERVICE, fallback=True)
    facade.service.answer = raw(b"", keep=False)
    answer = await (await facade.client()).get(b"/all/7")
    assert document(answer)["parts"]["saved"] == {"status": 200, "body": {"from": "monolith"}}
    assert facade.worker.path.counters.events["fallback", "search"] == 1


async def test_a_client_without_a_key_gets_one_for_all_parts(start: Starting) -> None:
    facade = await made(start, {"one": "/search/1", "two": "/search/2", "three": "/search/3"}, reads=50)
    for _ in range(5):
        answer = await (await facade.client()).get(b"/all/7")
        sides = {part["body"]["from"] for part in document(answer)["parts"].values()}
        (cookie,) = answer.values(b"set-cookie")
        again = await (await facade.client()).get(b"/all/7", b"Cookie: " + cookie.partition(b";")[0])
        assert len(sides) == 1
        assert {part["body"]["from"] for part in document(again)["parts"].values()} == sides
        assert not again.values(b"set-cookie")


async def test_cookies_of_all_parts_reach_the_client(start: Starting) -> None:
    facade = await made(start, reads=Side.SERVICE)
    facade.service.answer = ok(b"1", JSON, b"Set-Cookie: a=1; Path=/", b"Set-Cookie: b=2")
    facade.monolith.answer = ok(b"1", JSON, b"Set-Cookie: c=3")
    answer = await (await facade.client()).get(b"/all/7")
    assert answer.values(b"set-cookie") == [b"a=1; Path=/", b"b=2", b"c=3"]


async def test_a_limit_counts_each_part(start: Starting) -> None:
    facade = await made(start, rate_limits={"": RateLimit(0.001, 2)})
    client = await facade.client()
    answer = await client.get(b"/all/7")
    assert sorted(part["status"] for part in document(answer)["parts"].values()) == [200, 429]
    assert (await client.get(b"/all/7")).status == 429


async def test_tokens_are_asked_of_each_part(start: Starting) -> None:
    secret = "a secret of the issuer, long enough"
    rules = TokenRules(("HS256",), secret, forward={"sub": "X-User"})
    facade = await made(start, reads=Side.SERVICE, tokens=rules, authenticated=frozenset({"search"}))
    client = await facade.client()
    answer = await client.get(b"/all/7", b"X-User: forged")
    assert document(answer)["parts"]["saved"] == {
        "status": 401,
        "error": "This needs a token: Authorization: Bearer …",
    }
    assert document(answer)["parts"]["other"]["status"] == 200
    assert not facade.monolith.requests[0].values(b"x-user")
    token = jwt.encode({"sub": "ada", "exp": time() + 60}, secret).encode()
    answer = await client.get(b"/all/7", b"Authorization: Bearer " + token)
    assert document(answer)["failed"] == []
    assert facade.service.requests[0].values(b"x-user") == [b"ada"]
    assert facade.monolith.requests[1].values(b"x-user") == [b"ada"]


async def test_log_and_metrics_know_the_whole_and_its_parts(start: Starting) -> None:
    facade = await made(start, reads=Side.SERVICE)
    stream = io.BytesIO()
    facade.worker.path.access_log = AccessLog(stream)
    await (await facade.client()).get(b"/all/7", b"X-Request-ID: r-1")
    await facade.until(lambda: stream.getvalue().count(b"\n") == 3)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert {(line["path"], line["side"], line["reason"]) for line in lines} == {
        ("/search/7", "service", "stage"),
        ("/else", "monolith", "unmatched"),
        ("/all/7", "monolith", "aggregated"),
    }
    assert {line["request_id"] for line in lines} == {"r-1"}
    assert len({line["trace_id"] for line in lines}) == 1
    requests = facade.worker.path.counters.requests
    assert sum(requests["", "all", "monolith", 2].buckets) == 1


async def test_head_old_clients_and_bodies(start: Starting) -> None:
    facade = await made(start, reads=Side.SERVICE)
    client = await facade.client()
    head = await client.ask(b"HEAD /all/7 HTTP/1.1\r\nHost: a\r\n\r\n", head_only=True)
    assert head.status == 200
    assert int(head.values(b"content-length")[0]) > 50
    assert {request.line.split()[0] for request in facade.service.requests} == {b"GET"}
    with_body = await client.ask(b"GET /all/7 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab")
    assert with_body.status == 400
    old = await facade.client()
    assert document(await old.ask(b"GET /all/7 HTTP/1.0\r\nHost: a\r\n\r\n"))["failed"] == []
    assert await old.closed()


async def test_a_client_that_goes_away_takes_its_parts_along(start: Starting) -> None:
    async def never(
        upstream: RecordingUpstream,
        request: Received,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        assert await reader.read() == b""
        return False

    facade = await made(start, reads=Side.SERVICE)
    facade.service.answer = facade.monolith.answer = never
    client = await facade.client()
    await client.send(b"GET /all/7 HTTP/1.1\r\nHost: a\r\n\r\n")
    for upstream in (facade.service, facade.monolith):
        await upstream.until(lambda upstream=upstream: len(upstream.requests) == 1)
    client.close()
    for upstream in (facade.service, facade.monolith):
        await upstream.until(lambda upstream=upstream: not upstream.open)
    await facade.until(lambda: not facade.worker.path.active)


async def test_a_path_that_leads_to_parts_is_no_part(start: Starting) -> None:
    facade = await made(start, {"again": "/all/{id}", "other": "/else"})
    answer = await (await facade.client()).get(b"/all/7")
    assert document(answer)["parts"]["again"]["status"] == 508
