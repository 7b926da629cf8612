"""What is refused, and reaches no upstream."""

import asyncio

import pytest

from facade.config import Limits, Timeouts
from flags.side import Side
from tests.integration.facade.harness import Facade, Starting

HOST = b"Host: shop.test\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +3\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: 1\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\rb\r\n\r\n", 400),
        (b"GET / HTTP/1.1\n" + HOST + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"no colon\r\n\r\n", 400),
        (b"GET http://other/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET nowhere HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"CONNECT shop.test:443 HTTP/1.1\r\n" + HOST + b"\r\n", 501),
        (b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n", 501),
        (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"Expect: miracles\r\n\r\n", 417),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 40_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: 1\r\n" * 200 + b"\r\n", 431),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999\r\n\r\n", 413),
        (b"\x16\x03\x01\x02\x00\n", 400),
    ],
)
async def test_refuses_and_closes(facade: Facade, request_bytes: bytes, status: int) -> None:
    client = await facade.client()
    answer = await client.ask(request_bytes)
    assert answer.status == status
    assert answer.values(b"connection") == [b"close"]
    assert await client.closed()
    assert not facade.monolith.requests


async def test_a_chunked_body_over_the_cap_is_cut_off(start: Starting) -> None:
    facade = await start(limits=Limits(body=10))
    client = await facade.client()
    chunks = b"8\r\nxxxxxxxx\r\n" * 2
    answer = await client.ask(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    assert answer.status == 413
    assert not facade.monolith.requests
    await facade.monolith.until(lambda: not facade.monolith.open)


async def test_malformed_chunks_are_refused(facade: Facade) -> None:
    client = await facade.client()
    answer = await client.ask(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
    assert answer.status == 400
    assert not facade.monolith.requests


async def test_slow_heads_and_bodies_are_408(start: Starting) -> None:
    facade = await start(timeouts=Timeouts(head=0.1, body=0.1))
    client = await facade.client()
    assert (await client.ask(b"GET / HTTP/1.1\r\nHo")).status == 408
    client = await facade.client()
    assert (await client.ask(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe")).status == 408
    assert not facade.monolith.requests


async def test_idle_connections_are_closed(start: Starting) -> None:
    facade = await start(timeouts=Timeouts(idle=0.1))
    client = await facade.client()
    assert await client.closed()
    await facade.until(lambda: not facade.state.connections)


async def test_a_head_may_come_in_pieces(facade: Facade) -> None:
    client = await facade.client()
    for byte in b"\r\nGET /slowly HTTP/1.1\r\nHost: a\r\n\r\n":
        await client.send(bytes([byte]))
    assert (await client.receive()).status == 200


async def test_a_path_of_two_routes_is_refused_and_another_spelling_of_one_route_is_not(
    facade: Facade,
) -> None:
    client = await facade.client()
    assert (await client.get(b"/x/%2e%2e/search")).status == 200
    assert facade.monolith.requests[0].line == b"GET /x/%2e%2e/search HTTP/1.1"
    assert (await client.get(b"/search/../search/saved")).status == 200
    answer = await client.get(b"/search/%2e")
    assert (answer.status, answer.values(b"connection")) == (400, [b"close"])
    assert await client.closed()
    assert len(facade.monolith.requests) == 2


async def test_empty_lines_keep_no_connection(start: Starting) -> None:
    facade = await start(timeouts=Timeouts(idle=0.1))
    client = await facade.client()
    async with asyncio.timeout(30):
        try:
            while not client.reader.at_eof():
                await client.send(b"\r\n")
                await asyncio.sleep(0)
        except ConnectionError:
            pass  # closed while sending
    await facade.until(lambda: not facade.state.connections)


async def test_a_read_cannot_hide_a_write(start: Starting) -> None:
    facade = await start({"reads": Side.SERVICE, "hold": "switch-1"})
    for request in (
        b"GET /search HTTP/1.1\r\nHost: a\r\nX-HTTP-Method-Override: POST\r\n\r\n",
        b"GET /else HTTP/1.1\r\nHost: a\r\nX-HTTP-Method-Override: POST\r\n\r\n",
        b"POST /search HTTP/1.1\r\nHost: a\r\nX-Method-Override: GET\r\nContent-Length: 0\r\n\r\n",
    ):
        client = await facade.client()
        assert (await client.ask(request)).status == 400
        assert await client.closed()
    assert not facade.monolith.requests
    assert not facade.service.requests
    client = await facade.client()
    assert (await client.post(b"/else", b"x", b"X-HTTP-Method-Override: PUT")).status == 200
    assert facade.monolith.requests[0].values(b"x-http-method-override") == [b"PUT"]
    held = asyncio.create_task(client.post(b"/search/saved", b"x", b"X-HTTP-Method-Override: PUT"))
    await facade.until(lambda: len(facade.worker.path.holds) == 1)  # behind the fence all the same
    facade.late()
    assert (await held).status == 503
