"""Writes at a fence: they wait with their bodies unread, and go to whoever is the writer afterwards."""

import asyncio

from facade.config import Limits
from facade.routing_key import RoutingKey
from flags.side import Side
from tests.integration.facade.harness import (
    Facade,
    Starting,
    held,
    hung,
    ok,
)

SAVE = b"/search/saved"


async def test_held_writes_go_to_the_new_writer_with_their_bodies(facade: Facade) -> None:
    await facade.serve(hold="switch-1")
    clients = [await facade.client() for _ in range(5)]
    waiting = [asyncio.create_task(each.post(SAVE, b"%d" % n * 9)) for n, each in enumerate(clients)]
    await facade.until(lambda: len(facade.worker.path.holds) == 5)
    reader = await facade.client()
    assert (await reader.get(b"/search")).status == 200
    assert (await reader.post(b"/other", b"x")).status == 200
    assert not facade.service.requests
    await facade.serve(writer=Side.SERVICE)
    assert {answer.status for answer in await asyncio.gather(*waiting)} == {200}
    assert sorted(request.body for request in facade.service.requests) == [b"%d" % n * 9 for n in range(5)]
    assert {request.line.split()[1] for request in facade.monolith.requests} == {b"/search", b"/other"}


async def test_a_large_held_body_is_left_unread(facade: Facade) -> None:
    await facade.serve(hold="switch-1")
    client = await facade.client()
    body = b"x" * 8_000_000
    waiting = asyncio.create_task(client.post(SAVE, body))
    await facade.until(lambda: len(facade.worker.path.holds) == 1)
    await facade.serve()
    assert (await waiting).status == 200
    assert facade.monolith.requests[0].body == body


async def test_a_write_that_waits_too_long_is_told_to_come_again(facade: Facade) -> None:
    await facade.serve(hold="switch-1")
    client = await facade.client()
    waiting = asyncio.create_task(client.post(SAVE, b"x"))
    await facade.until(lambda: len(facade.worker.path.holds) == 1)
    facade.late()
    answer = await waiting
    assert (answer.status, answer.values(b"retry-after")) == (503, [b"1"])
    assert len(facade.worker.path.holds) == 0
    assert not facade.monolith.requests + facade.service.requests


async def test_the_number_of_held_writes_is_capped(start: Starting) -> None:
    facade = await start({"hold": "switch-1"}, limits=Limits(held=1))
    first, second = await facade.client(), await facade.client()
    waiting = asyncio.create_task(first.post(SAVE, b"x"))
    await facade.until(lambda: len(facade.worker.path.holds) == 1)
    assert (await second.post(SAVE, b"x")).status == 503
    await facade.serve()
    assert (await waiting).status == 200


async def test_who_hangs_up_while_held_is_forgotten(facade: Facade) -> None:
    await facade.serve(hold="switch-1")
    client = await facade.client()
    await client.send(b"DELETE /search/saved HTTP/1.1\r\nHost: a\r\n\r\n")
    await facade.until(lambda: len(facade.worker.path.holds) == 1)
    client.close()
    await facade.until(lambda: len(facade.worker.path.holds) == 0)
    await facade.serve()
    assert not facade.monolith.requests


async def test_i1_a_fence_is_reported_quiet_only_when_no_write_is_in_flight(facade: Facade) -> None:
    gate = asyncio.Event()

    facade.monolith.answer = held(gate, ok())
    client = await facade.client()
    writing = asyncio.create_task(client.post(SAVE, b"x"))
    await facade.monolith.until(lambda: len(facade.monolith.requests) == 1)
    await facade.serve(hold="switch-1", revision=7)
    await facade.until(lambda: any(status.revision == 7 for status in facade.control.statuses))
    fenced = [status for status in facade.control.statuses if status.revision == 7]
    assert all(status.in_flight == {"search": 1} and status.holding == {"search"} for status in fenced)
    gate.set()
    assert (await writing).status == 200
    await facade.until(lambda: facade.control.statuses[-1].in_flight == {})
    assert facade.control.statuses[-1].holding == {"search"}


async def test_an_aborted_write_is_no_longer_in_flight(facade: Facade) -> None:
    facade.monolith.answer = hung
    client = await facade.client()
    await client.send(b"POST /search/saved HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    await facade.monolith.until(lambda: len(facade.monolith.requests) == 1)
    assert facade.worker.path.in_flight["search"] == 1
    client.close()
    await facade.until(lambda: facade.worker.path.in_flight["search"] == 0)


async def test_a_key_in_the_body_chooses_the_writer(start: Starting) -> None:
    keys = {"search": RoutingKey.parse("body:/user/id")}
    facade = await start({"writes": 50}, routing_keys=keys, limits=Limits(key_body=100))
    flags = facade.control.snapshot.flags
    client = await facade.client()
    for user in range(20):
        before = len(facade.service.requests)
        body = b'{"user": {"id": %d}}' % user
        assert (await client.post(SAVE, body)).status == 200
        chosen = len(facade.service.requests) > before
        assert chosen == flags.enabled("search.writes", str(user))
        assert (facade.service if chosen else facade.monolith).requests[-1].body == body
    assert facade.service.requests
    large = b'{"user": {"id": 1}, "text": "' + b"x" * 500_000 + b'"}'
    assert (await client.post(SAVE, large)).status == 200
    assert facade.monolith.requests[-1].body == large


async def test_a_key_in_a_body_that_waits_for_100_continue(start: Starting) -> None:
    facade = await start(routing_keys={"search": RoutingKey.parse("body:/id")})
    client = await facade.client()
    head = b"POST /search/saved HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
    assert (await client.ask(head)).status == 100
    assert (await client.ask(b'{"id": 1}')).status == 200
    assert facade.monolith.requests[0].body == b'{"id": 1}'
