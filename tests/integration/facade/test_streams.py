"""Trailers, early answers, answers without length, and clients that go away."""

import asyncio

import pytest

from facade.config import Limits, Timeouts, TokenRules
from facade.presence import reset_at_close
from tests.integration.facade.harness import (
    Client,
    Facade,
    Received,
    RecordingUpstream,
    Starting,
    held,
    hung,
    ok,
    raw,
)

CHUNKED = b"POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_trailers_of_a_request_go_on_but_for_what_could_trick_an_upstream(facade: Facade) -> None:
    ends: list[bytes] = []

    async def keep(
        upstream: RecordingUpstream,
        request: Received,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        ends.append(await reader.readuntil(b"0\r\n") + await reader.readuntil(b"\r\n\r\n"))
        return await ok()(upstream, request, reader, writer)

    facade.monolith.early = True
    facade.monolith.answer = keep
    client = await facade.client()
    trailers = b"X-Sum: abc\r\nIf-Match: 9\r\nX_Forwarded_For: 6.6.6.6\r\nHost: b\r\nCookie: c\r\nEmpty:\r\n"
    await client.send(CHUNKED + b"3\r\nabc\r\n0\r\n" + trailers[:15])
    assert (await client.ask(trailers[15:] + b"\r\n")).status == 200
    assert ends == [b"3\r\nabc\r\n0\r\nX-Sum: abc\r\nEmpty: \r\n\r\n"]
    assert (await client.ask(CHUNKED + b"3\r\nabc\r\n0\r\nSecond: 1\r\n\r\n")).status == 200
    assert ends[1:] == [b"3\r\nabc\r\n0\r\nSecond: 1\r\n\r\n"]


async def test_a_trailer_does_not_say_who_a_client_is(start: Starting) -> None:
    rules = TokenRules(algorithms=("HS256",), secret="s" * 32, forward={"sub": "X-User-Id"})
    facade = await start(tokens=rules)
    ends: list[bytes] = []

    async def keep(
        upstream: RecordingUpstream,
        request: Received,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        ends.append(await reader.readuntil(b"0\r\n") + await reader.readuntil(b"\r\n"))
        return await ok()(upstream, request, reader, writer)

    facade.monolith.early = True
    facade.monolith.answer = keep
    client = await facade.client()
    assert (await client.ask(CHUNKED + b"3\r\nabc\r\n0\r\nX-User-Id: 6\r\n\r\n")).status == 200
    assert ends == [b"3\r\nabc\r\n0\r\n\r\n"]


async def test_endless_trailers_are_refused(facade: Facade) -> None:
    client = await facade.client()
    await client.send(CHUNKED + b"0\r\n")
    answer = await client.ask(b"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 1000)
    assert answer.status == 400
    assert not facade.monolith.requests


async def test_trailers_of_an_answer_go_on(facade: Facade) -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\nhi\r\n0\r\nX-Sum: a\r\nSet-Cookie: b\r\n\r\n"
    )
    facade.monolith.answer = raw(answer)
    client = await facade.client()
    for _ in range(2):
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: trailers\r\n\r\n")
        assert b"\r\nTrailer:" not in await client.reader.readuntil(b"\r\n\r\n")
        assert await client.reader.readuntil(b"\r\n\r\n") == b"2\r\nhi\r\n0\r\nX-Sum: a\r\n\r\n"
    assert facade.monolith.requests[0].values(b"te") == [b"trailers"]
    assert facade.monolith.connections == 1
    facade.monolith.answer = ok()
    assert (await client.get(b"/")).body == b"hello"
    facade.monolith.answer = raw(answer)
    assert (await client.ask(b"GET / HTTP/1.0\r\n\r\n")).body == b"hi"


async def test_an_early_answer_reaches_a_client_that_still_sends(facade: Facade) -> None:
    facade.monolith.early = True
    facade.monolith.answer = ok(b"x" * 100_000)
    client = await facade.client()
    await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n")
    for _ in range(30):
        await client.send(b"z" * 100_000)
    answer = await client.receive()
    assert (answer.status, len(answer.body), answer.values(b"connection")) == (200, 100_000, [b"close"])
    await facade.until(lambda: not facade.worker.path.active)
    assert facade.worker.path.in_flight["search"] == 0


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_an_answer_without_length_reaches_every_client(facade: Facade, version: bytes) -> None:
    facade.monolith.answer = raw(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", keep=False)
    client = await facade.client()
    answer = await client.ask(b"GET / HTTP/%b\r\nHost: a\r\n\r\n" % version)
    assert answer.body == b"until the end"
    assert bool(answer.values(b"transfer-encoding")) == (version == b"1.1")


async def test_a_held_write_whose_client_went_away_is_not_sent(start: Starting) -> None:
    facade = await start({"hold": "switch-1"})
    client = await facade.client()
    await client.send(
        b"POST /search/saved HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + b"x" * 150_000
    )
    await facade.until(lambda: len(facade.worker.path.holds) == 1)
    client.close()
    await facade.serve(hold=None)
    await facade.until(lambda: not facade.worker.path.active)
    await facade.until(lambda: not facade.state.connections)
    assert not facade.monolith.requests
    assert not facade.monolith.connections


async def test_a_hold_forgets_a_client_that_went_away(start: Starting) -> None:
    facade = await start({"hold": "switch-1"})
    client = await facade.client()
    await client.send(
        b"POST /search/saved HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + b"x" * 150_000
    )
    await facade.until(lambda: len(facade.worker.path.holds) == 1)
    client.close()
    await facade.until(lambda: len(facade.worker.path.holds) == 0)
    assert not facade.worker.path.active


async def test_a_client_that_goes_while_its_body_waits_is_seen_by_the_upstream(facade: Facade) -> None:
    gate = asyncio.Event()

    facade.monolith.early = True
    facade.monolith.answer = held(gate, raw(b"", keep=False))
    client = await facade.client()
    client.writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 90000000\r\n\r\n" + b"x" * 30_000_000)
    await facade.until(lambda: any(each._paused for each in facade.worker.path.clients))
    reset_at_close(client.writer.transport)  # an orderly end would wait behind what the facade does not read
    client.writer.transport.abort()
    await facade.until(lambda: not facade.worker.path.active)
    gate.set()
    await facade.monolith.until(lambda: not facade.monolith.open)


async def test_ten_thousand_aborts_on_a_pool_of_four_leak_nothing(start: Starting) -> None:
    facade = await start(limits=Limits(connections=4))

    facade.monolith.answer = facade.service.answer = hung

    path = facade.worker.path
    for _ in range(200):
        clients = [Client(*await asyncio.open_connection("127.0.0.1", facade.port)) for _ in range(50)]
        for number, client in enumerate(clients):
            method = (b"GET", b"POST")[number % 2]
            await client.send(method + b" /search/saved HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        await facade.until(lambda: len(path.active) == 50)
        assert sum(pool.size for side in path.sides.values() for pool in side.pools) <= 4
        for client in clients:
            client.writer.transport.abort()
        await facade.until(lambda: not path.active)
    await facade.until(lambda: not facade.state.connections and not path.clients)
    await facade.until(lambda: not any(pool.size for side in path.sides.values() for pool in side.pools))
    await facade.monolith.until(lambda: not facade.monolith.open)
    assert not any(path.in_flight.values())
    facade.monolith.answer = ok()
    clients = [await facade.client() for _ in range(4)]
    answers = await asyncio.gather(*(client.get(b"/") for client in clients))
    assert {answer.status for answer in answers} == {200}


async def read_to_end(client: Client) -> None:
    async with asyncio.timeout(30):
        while await client.reader.read(100):
            pass


@pytest.mark.parametrize(
    "framing", [b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"Content-Length: 9\r\n\r\nhello"]
)
async def test_an_old_client_sees_that_an_answer_broke_off(facade: Facade, framing: bytes) -> None:
    """To HTTP/1.0 an orderly end of the connection would say that this is all."""
    facade.monolith.answer = raw(b"HTTP/1.1 200 OK\r\n" + framing, keep=False)
    client = await facade.client()
    await client.send(b"GET / HTTP/1.0\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        await read_to_end(client)


async def test_an_answer_that_is_reset_without_length_is_cut_for_an_old_client_too(facade: Facade) -> None:
    async def reset(
        upstream: RecordingUpstream,
        request: Received,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhello")
        await writer.drain()
        reset_at_close(writer.transport)
        writer.transport.abort()
        return False

    facade.monolith.answer = reset
    client = await facade.client()
    await client.send(b"GET / HTTP/1.0\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        await read_to_end(client)


@pytest.mark.parametrize("wish", [b"", b"Connection: keep-alive\r\n", b"Keep-Alive: timeout=5\r\n"])
async def test_a_connection_of_http10_ends_with_its_answer(facade: Facade, wish: bytes) -> None:
    """RFC 9112, 9.3: a proxy keeps none, as an older one behind it may not understand the wish."""
    client = await facade.client()
    answer = await client.ask(b"GET / HTTP/1.0\r\nHost: a\r\n" + wish + b"\r\n")
    assert (answer.body, answer.values(b"connection")) == (b"hello", [b"close"])
    assert await client.closed()
    assert not facade.monolith.requests[0].values(b"keep-alive")


async def test_an_upstream_of_http10_is_kept_only_when_it_says_so(facade: Facade) -> None:
    client = await facade.client()
    for line, connections in ((b"", 1), (b"Connection: keep-alive\r\n", 2), (b"", 2), (b"", 3)):
        answer = b"HTTP/1.0 200 OK\r\n" + line + b"Content-Length: 2\r\n\r\nok"
        facade.monolith.answer = raw(answer, keep=True)
        assert (await client.get(b"/")).body == b"ok"
        assert facade.monolith.connections == connections


@pytest.mark.parametrize("kind", [b"text/event-stream", b"application/octet-stream"])
async def test_the_total_deadline_is_for_all_but_event_streams(start: Starting, kind: bytes) -> None:
    gate = asyncio.Event()

    async def slow(
        upstream: RecordingUpstream,
        request: Received,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n\r\ndata: 1\n\n" % kind)
        await gate.wait()
        writer.write(b"data: 2\n\n")
        return False

    facade = await start()
    facade.monolith.answer = slow
    client = await facade.client()
    await client.send(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
    await client.reader.readuntil(b"data: 1\n\n\r\n")
    active = facade.worker.path.active
    assert all(each.expires == each.total_at for each in active)
    facade.late()
    # Either its deadline has passed and it goes on for good, or it is over.
    await facade.until(lambda: all(each.expires == float("inf") for each in active))
    assert bool(active) == (kind == b"text/event-stream")
    gate.set()
    async with asyncio.timeout(30):
        if kind == b"text/event-stream":
            assert b"data: 2" in await client.reader.readuntil(b"\r\n0\r\n\r\n")
        else:
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await client.reader.readuntil(b"\r\n0\r\n\r\n")


async def test_the_total_deadline_includes_the_wait_for_an_answer(start: Starting) -> None:
    facade = await start(timeouts=Timeouts(total=0.1))
    facade.monolith.answer = hung
    answer = await (await facade.client()).get(b"/")
    assert (answer.status, answer.body) == (504, b"No answer from the monolith (timeout).\n")
