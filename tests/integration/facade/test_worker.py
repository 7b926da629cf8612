"""The worker and the control plane: flips, reports, and serving on when the control plane fails."""

import asyncio
import io
import json

import pytest

from facade.access_log import AccessLog
from facade.config import Timeouts
from facade.routing_key import RoutingKey
from flags.side import Side
from tests.integration.facade.harness import Facade, Starting, ok

TRACE = b"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_i8_a_flip_is_served_and_reported(facade: Facade) -> None:
    facade.service.answer = ok(b"service")
    client = await facade.client()
    assert (await client.get(b"/search")).body == b"hello"
    await facade.serve(reads=Side.SERVICE, revision=9)
    assert (await client.get(b"/search")).body == b"service"
    await facade.until(lambda: facade.control.statuses[-1].revision == 9)
    status = facade.control.statuses[-1]
    assert (status.worker, status.holding, status.degraded) == (facade.worker.name, frozenset(), None)


async def test_i6_a_failing_control_plane_changes_nothing_but_the_word_degraded(facade: Facade) -> None:
    facade.service.answer = ok(b"service")
    await facade.serve(reads=Side.SERVICE)
    facade.control.failing = RuntimeError("the database is gone")
    await facade.until(lambda: facade.worker.degraded)
    client = await facade.client()
    assert (await client.get(b"/search")).body == b"service"
    await facade.until(lambda: facade.control.statuses[-1].degraded)
    assert "the database is gone" not in str(facade.worker.degraded)
    facade.control.failing = None
    await facade.until(lambda: facade.worker.degraded is None)
    await facade.until(lambda: facade.control.statuses[-1].degraded is None)


async def test_i6_a_cold_start_with_nothing_known_serves_the_monolith(start: Starting) -> None:
    facade = await start({"reads": Side.SERVICE}, failing=OSError("no control plane"))
    facade.service.answer = ok(b"service")
    client = await facade.client()
    assert (await client.get(b"/search")).body == b"hello"
    assert facade.worker.degraded
    facade.control.failing = None
    await facade.until(lambda: facade.worker.degraded is None)
    assert (await client.get(b"/search")).body == b"service"


async def test_i5_a_registry_that_fails_is_tried_again(
    facade: Facade, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(status: object) -> None:
        raise OSError("locked")

    with monkeypatch.context() as patched:
        patched.setattr(facade.control, "report", refuse)
        await facade.serve(reads=Side.SERVICE, revision=50)
    client = await facade.client()
    assert (await client.get(b"/search")).status == 200
    await facade.until(lambda: any(status.revision == 50 for status in facade.control.statuses))


async def test_a_worker_that_stops_retires_and_drops_nothing_silently(facade: Facade) -> None:
    await facade.worker.stop()
    assert facade.control.retired == [facade.worker.name]


async def test_shutdown_lets_answers_end_and_closes_idle_connections(facade: Facade) -> None:
    idle, late, busy = await facade.client(), await facade.client(), await facade.client()
    assert (await idle.get(b"/")).status == (await late.get(b"/")).status == 200
    await busy.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo")
    await facade.until(lambda: len(facade.worker.path.active) == 1)
    for connection in list(facade.state.connections):
        connection.shutdown()
    # What was on its way is answered, and told that it was the last.
    for answer in (await late.get(b"/"), await busy.ask(b"dy")):
        assert (answer.status, answer.values(b"connection")) == (200, [b"close"])
    assert await idle.closed()
    await facade.until(lambda: not facade.state.connections)


async def test_i9_the_access_log_has_no_queries_and_no_header_values(start: Starting) -> None:
    facade = await start({"reads": 100}, routing_keys={"search": RoutingKey.parse("query:tenant")})
    stream = io.BytesIO()
    facade.worker.path.access_log = AccessLog(stream)
    client = await facade.client()
    await client.get(b"/search?tenant=hidden", b"Authorization: Bearer hidden", b"X-Request-ID: r-1", TRACE)
    await facade.until(lambda: stream.getvalue().endswith(b"\n"))
    assert b"hidden" not in stream.getvalue()
    line = json.loads(stream.getvalue())
    assert line.pop("at") > 0
    assert 0 < line.pop("first_byte_ms") <= line.pop("ms")
    assert line.pop("trace_id") == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert line == {
        "request_id": "r-1",
        "method": "GET",
        "path": "/search",
        "status": 200,
        "phase": "search",
        "route": "/search",
        "side": "service",
        "reason": "split reads",
    }


async def test_i9_the_access_log_has_no_secrets_of_paths(start: Starting) -> None:
    facade = await start()
    stream = io.BytesIO()
    facade.worker.path.access_log = AccessLog(stream)
    client = await facade.client()
    for path in (
        b"/search/5f4dcc3b5aa765d61d8327deb882cf99",
        b"/search/ann%40shop.test",
        b"/search/blue-jeans-42",
    ):
        await client.get(path)
    await facade.until(lambda: stream.getvalue().count(b"\n") == 3)
    paths = [json.loads(line)["path"] for line in stream.getvalue().splitlines()]
    assert paths == ["/search/[redacted opaque]", "/search/[redacted email]", "/search/blue-jeans-42"]


async def test_counters_know_every_request(facade: Facade) -> None:
    client = await facade.client()
    for _ in range(3):
        await client.get(b"/search")
    await client.get(b"/else")
    requests = facade.worker.path.counters.requests
    assert sum(requests["search", "/search", "monolith", 2].buckets) == 3
    assert sum(requests["", "", "monolith", 2].buckets) == 1


async def test_ten_thousand_aborts_are_survived_in_miniature(start: Starting) -> None:
    # What was being opened for a client that went is kept, and closed when nobody needs it for so long.
    facade = await start(timeouts=Timeouts(connect=30.0, first_byte=30.0, upstream_idle=0.5))

    async def abort() -> None:
        client = await facade.client()
        await client.send(b"POST /search/saved HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx")
        client.writer.transport.abort()

    for _ in range(10):
        await asyncio.gather(*(abort() for _ in range(20)))
    await facade.until(lambda: not facade.worker.path.active and not facade.state.connections)
    assert facade.worker.path.in_flight["search"] == 0
    await facade.monolith.until(lambda: not facade.monolith.open)
