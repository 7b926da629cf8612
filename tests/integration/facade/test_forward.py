"""What passes through the facade, and how."""

import asyncio
import re

from tests.integration.facade.harness import (
    Facade,
    Received,
    RecordingUpstream,
    Starting,
    held,
    ok,
    raw,
)

TRACE_PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_forwards_a_request_and_its_answer(facade: Facade) -> None:
    facade.monolith.answer = ok(b"hello", b"X-Upper: 1", b"Set-Cookie: a=1", b"Set-Cookie: b=2")
    client = await facade.client()
    answer = await client.get(b"/things/%2e?a=%2F&b=", b"X-Two: 1", b"x-two: 2", b"Accept: */*")
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer.values(b"set-cookie") == [b"a=1", b"b=2"]
    assert answer.values(b"via") == [b"1.1 strangler"]
    (request,) = facade.monolith.requests
    assert request.line == b"GET /things/%2e?a=%2F&b= HTTP/1.1"
    assert request.lines[:4] == [b"Host: shop.test", b"X-Two: 1", b"x-two: 2", b"Accept: */*"]


async def test_reuses_both_connections(facade: Facade) -> None:
    client = await facade.client()
    for _ in range(5):
        assert (await client.get(b"/")).status == 200
    assert facade.monolith.connections == 1
    assert len(facade.monolith.requests) == 5


async def test_strips_what_belongs_to_one_hop_both_ways(facade: Facade) -> None:
    facade.monolith.answer = raw(
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
        b"Proxy-Authenticate: x\r\nContent-Length: 2\r\nX-End: 1\r\n\r\nhi"
    )
    client = await facade.client()
    answer = await client.get(
        b"/",
        b"Connection: keep-alive, X-Private",
        b"X-Private: 1",
        b"TE: trailers",
        b"Proxy-Connection: close",
    )
    assert answer.body == b"hi"
    assert not answer.values(b"x-hop") + answer.values(b"keep-alive") + answer.values(b"proxy-authenticate")
    assert answer.values(b"x-end") == [b"1"]
    request = facade.monolith.requests[0]
    names = {line.partition(b":")[0].lower() for line in request.lines}
    assert names.isdisjoint({b"connection", b"x-private", b"te", b"proxy-connection"})


async def test_replaces_what_a_stranger_says_of_its_origin(facade: Facade) -> None:
    client = await facade.client()
    lies = (
        b"X-Forwarded-For: 6.6.6.6",
        b"Forwarded: for=6.6.6.6",
        b"X_Forwarded_For: 6.6.6.6",
        b"X-Real-IP: 6.6.6.6",
    )
    await client.get(b"/", *lies, b"X-Strangler-Shadow: 1")
    request = facade.monolith.requests[0]
    assert b"6.6.6.6" not in request.head
    assert request.values(b"x-forwarded-for") == [b"127.0.0.1"]
    assert request.values(b"x-forwarded-proto") == [b"http"]
    assert request.values(b"x-forwarded-host") == [b"shop.test"]
    assert request.values(b"forwarded") == [b'for=127.0.0.1;proto=http;host="shop.test"']
    assert request.values(b"x-strangler-shadow") == []


async def test_extends_what_a_trusted_hop_says(start: Starting) -> None:
    facade = await start(trusted_proxies=("127.0.0.0/8",))
    client = await facade.client()
    await client.get(
        b"/",
        b"X-Forwarded-For: 9.9.9.9",
        b"X-Forwarded-Proto: https",
        b"Forwarded: for=9.9.9.9",
        b"Via: 1.1 edge",
    )
    request = facade.monolith.requests[0]
    assert request.values(b"x-forwarded-for") == [b"9.9.9.9, 127.0.0.1"]
    assert request.values(b"x-forwarded-proto") == [b"https"]
    assert request.values(b"forwarded") == [b'for=9.9.9.9, for=127.0.0.1;proto=http;host="shop.test"']
    assert request.values(b"via") == [b"1.1 edge, 1.1 strangler"]


async def test_request_ids_are_kept_if_sane_and_made_otherwise(facade: Facade) -> None:
    client = await facade.client()
    kept = await client.get(b"/", b"X-Request-ID: abc-123", b"traceparent: " + TRACE_PARENT)
    made = await client.get(b"/", b"X-Request-ID: b{}d")
    assert kept.values(b"x-request-id") == [b"abc-123"]
    assert facade.monolith.requests[0].values(b"x-request-id") == [b"abc-123"]
    assert facade.monolith.requests[0].values(b"traceparent") == [TRACE_PARENT]
    (identity,) = made.values(b"x-request-id")
    assert facade.monolith.requests[1].values(b"x-request-id") == [identity] != [b"b{}d"]


async def test_streams_a_chunked_upload(facade: Facade) -> None:
    client = await facade.client()
    head = b"POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    await client.send(head + b"5\r\nhel\r\n\r\n")
    await client.send(b"3\r\n\r\n\r\r\n0\r")
    await client.send(b"\nTrailer: x\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await client.receive()).status == 200
    assert (await client.receive()).status == 200
    assert facade.monolith.requests[0].body == b"hel\r\n\r\n\r"
    assert facade.monolith.requests[1].line == b"GET /next HTTP/1.1"


async def test_streams_large_bodies_both_ways_with_back_pressure(facade: Facade) -> None:
    async def echo(
        upstream: RecordingUpstream,
        request: Received,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(request.body))
        writer.write(request.body)
        await writer.drain()
        return True

    facade.monolith.answer = echo
    body = bytes(range(256)) * 4096 * 8
    client = await facade.client()
    sending = asyncio.create_task(client.post(b"/echo", body))
    assert (await sending).body == body


async def test_passes_a_body_on_before_its_end(facade: Facade) -> None:
    gate = asyncio.Event()

    async def slow(
        upstream: RecordingUpstream,
        request: Received,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        writer.write(b"6\r\ndata:1\r\n")
        await gate.wait()
        writer.write(b"6\r\ndata:2\r\n0\r\n\r\n")
        return True

    facade.monolith.answer = slow
    client = await facade.client()
    await client.send(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
    head = await client.reader.readuntil(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert await client.reader.readexactly(11) == b"6\r\ndata:1\r\n"
    gate.set()
    assert await client.reader.readexactly(16) == b"6\r\ndata:2\r\n0\r\n\r\n"


async def test_an_answer_without_length_becomes_chunked(facade: Facade) -> None:
    facade.monolith.answer = raw(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", keep=False)
    client = await facade.client()
    assert (await client.get(b"/")).body == b"until the end"
    facade.monolith.answer = ok(b"again")
    assert (await client.get(b"/")).body == b"again"


async def test_http10_clients_get_an_answer_that_ends_with_the_connection(facade: Facade) -> None:
    facade.monolith.answer = raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")
    client = await facade.client()
    answer = await client.ask(b"GET / HTTP/1.0\r\n\r\n")
    assert answer.body == b"hi"
    assert not answer.values(b"transfer-encoding")
    assert facade.monolith.requests[0].values(b"host") == [facade.monolith.upstream.authority.encode()]


async def test_head_204_and_304_have_no_body(facade: Facade) -> None:
    client = await facade.client()
    answer = await client.ask(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", head_only=True)
    assert answer.values(b"content-length") == [b"5"]
    facade.monolith.answer = raw(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert (await client.get(b"/")).status == 204
    facade.monolith.answer = raw(b"HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 9\r\n\r\n")
    assert (await client.get(b"/")).status == 304
    facade.monolith.answer = ok()
    assert (await client.get(b"/")).body == b"hello"
    assert facade.monolith.connections == 1


async def test_interim_answers_pass(facade: Facade) -> None:
    facade.monolith.answer = raw(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    )
    client = await facade.client()
    hints = await client.get(b"/")
    assert (hints.status, hints.values(b"link")) == (103, [b"</a>"])
    assert (await client.receive()).status == 200


async def test_expect_100_continue_is_answered_by_the_upstream(facade: Facade) -> None:
    async def expecting(
        upstream: RecordingUpstream,
        request: Received,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        assert request.values(b"expect") == [b"100-continue"]
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(4)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + body)
        return True

    facade.monolith.early = True
    facade.monolith.answer = expecting
    client = await facade.client()
    first = await client.ask(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    )
    assert first.status == 100
    assert (await client.ask(b"body")).body == b"body"


async def test_an_early_answer_ends_the_upload(facade: Facade) -> None:
    facade.monolith.early = True
    facade.monolith.answer = raw(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
    client = await facade.client()
    answer = await client.ask(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nsome")
    assert (answer.status, answer.body, answer.values(b"connection")) == (403, b"no", [b"close"])
    assert await client.closed()


async def test_pipelined_requests_are_answered_in_order(facade: Facade) -> None:
    async def named(
        upstream: RecordingUpstream,
        request: Received,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        name = request.line.split()[1]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name))
        return True

    facade.monolith.answer = named
    client = await facade.client()
    await client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(20)))
    assert [(await client.receive()).body for _ in range(20)] == [b"/%d" % n for n in range(20)]


async def test_tunnels_a_websocket_both_ways(facade: Facade) -> None:
    async def switch(
        upstream: RecordingUpstream,
        request: Received,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        assert request.values(b"upgrade") == [b"websocket"]
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst"
        )
        while data := await reader.read(100):
            writer.write(data.upper())
        return False

    facade.monolith.answer = switch
    client = await facade.client()
    answer = await client.get(b"/ws", b"Connection: keep-alive, Upgrade", b"Upgrade: websocket")
    assert (answer.status, answer.values(b"upgrade")) == (101, [b"websocket"])
    assert await client.reader.readexactly(5) == b"first"
    await client.send(b"frame")
    assert await client.reader.readexactly(5) == b"FRAME"
    client.close()
    await facade.monolith.until(lambda: not facade.monolith.open)
    await facade.until(lambda: not facade.state.connections)


async def test_http2_is_not_offered_on(facade: Facade) -> None:
    client = await facade.client()
    answer = await client.post(
        b"/", b"body", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: A"
    )
    assert answer.status == 200
    assert facade.monolith.requests[0].body == b"body"
    assert not facade.monolith.requests[0].values(b"upgrade")


async def test_a_client_that_hangs_up_is_seen_by_the_upstream(facade: Facade) -> None:
    async def never(
        upstream: RecordingUpstream,
        request: Received,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        assert await reader.read() == b""
        return False

    facade.monolith.answer = never
    client = await facade.client()
    await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await facade.monolith.until(lambda: len(facade.monolith.requests) == 1)
    client.close()
    await facade.monolith.until(lambda: not facade.monolith.open)
    assert not facade.worker.path.active


async def test_a_stale_connection_is_replaced_for_what_may_be_repeated(facade: Facade) -> None:
    async def hang_up_on_reuse(
        upstream: RecordingUpstream,
        request: Received,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        if len(upstream.requests) in {2, 5}:
            return False
        return await ok()(upstream, request, reader, writer)

    facade.monolith.answer = hang_up_on_reuse
    client = await facade.client()
    assert (await client.get(b"/1")).status == 200
    assert (await client.get(b"/2")).status == 200
    assert [request.line.split()[1] for request in facade.monolith.requests] == [b"/1", b"/2", b"/2"]
    assert (await client.post(b"/3", b"x")).status == 200
    answer = await client.post(b"/4", b"x")
    assert answer.status == 502
    assert b"closed" in answer.body
    assert len(facade.monolith.requests) == 5


async def test_an_idle_connection_that_closed_is_not_used(facade: Facade) -> None:
    client = await facade.client()
    assert (await client.post(b"/", b"x")).status == 200
    await facade.monolith.close_idle()
    assert (await client.post(b"/", b"x")).status == 200
    assert facade.monolith.connections == 2


async def test_malformed_answers_become_502(facade: Facade) -> None:
    for wrong in (
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nBad Name: 1\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
    ):
        facade.monolith.answer = raw(wrong, keep=False)
        client = await facade.client()
        assert (await client.get(b"/")).status == 502


async def test_an_answer_that_breaks_off_is_not_made_whole(facade: Facade) -> None:
    facade.monolith.answer = raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", keep=False)
    client = await facade.client()
    await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    received = b""
    try:
        while piece := await client.reader.read(1000):
            received += piece
    except ConnectionError:
        pass
    assert not received.endswith(b"0\r\n\r\n")


async def test_a_missing_upstream_is_502_and_a_silent_one_504(facade: Facade) -> None:
    gate = asyncio.Event()

    facade.monolith.answer = held(gate, raw(b"", keep=False))
    client = await facade.client()
    asking = asyncio.create_task(client.get(b"/"))
    await facade.monolith.until(lambda: facade.monolith.requests)
    facade.late()
    assert (await asking).status == 504
    gate.set()
    await facade.monolith.stop()
    answer = await client.get(b"/")
    assert (answer.status, answer.body) == (502, b"No answer from the monolith (connect).\n")


async def test_connections_are_capped_and_waited_for(start: Starting) -> None:
    from facade.config import Limits

    facade = await start(limits=Limits(connections=2))
    clients = [await facade.client() for _ in range(10)]
    answers = await asyncio.gather(*(client.get(b"/") for client in clients))
    assert {answer.status for answer in answers} == {200}
    assert facade.monolith.connections <= 2
    assert re.match(b"HTTP/1.1 200", answers[0].head)
