"""Whatever an upstream answers, clients get it as it is meant, or a 502: never something in between."""

import asyncio
import re
from dataclasses import dataclass

import h11
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.integration.facade.harness import Facade, raw

_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*")
_ADDED = {b"via", b"x-request-id", b"connection", b"transfer-encoding"}


@dataclass(frozen=True)
class Answer:
    """An answer as a strict client reads it."""

    status: int
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes


def read(data: bytes, *, method: str) -> tuple[list[Answer], bytes]:
    """The interim answers, the final one, and what came behind it. Raises h11.RemoteProtocolError."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    client.receive_data(b"")
    answers: list[Answer] = []
    while True:
        event = client.next_event()
        if isinstance(event, h11.InformationalResponse | h11.Response):
            fields = tuple(pair for pair in event.headers if pair[0] not in _ADDED)
            answers.append(Answer(event.status_code, fields, b""))
        elif isinstance(event, h11.Data):
            last = answers.pop()
            answers.append(Answer(last.status, last.fields, last.body + event.data))
        elif isinstance(event, h11.EndOfMessage):
            return answers, client.trailing_data[0]
        else:
            raise h11.RemoteProtocolError(f"not whole: {event}")


STATUS_LINE = st.sampled_from(
    [b"HTTP/1.1 200 OK"] * 12
    + [b"HTTP/1.1 204 No Content", b"HTTP/1.1 304 Not Modified", b"HTTP/1.0 200 OK", b"HTTP/1.1 500 Oh\xe9"]
    + [b"HTTP/1.1 200", b"HTTP/1.1 2000 OK", b"HTTP/1.1 20 OK", b"HTTP/1.1  200 OK", b"HTTP/2 200", b"200 OK"]
    + [b"HTTP/1.1 200 O\rK", b"HTTP/1.1 200 O\nX: y", b"HTTP/1.1 200 O\x00K", b"HTTP/1.1\t200 OK", b"", b" "]
    + [
        b"HTTP/1.1 600 X",
        b"HTTP/1.1 099 X",
        b"HTTP/1.1 101 Switching Protocols",
        b"http/1.1 200 OK",
        b"ICY 200 OK",
    ]
)
INTERIM = st.sampled_from(
    [b""] * 10
    + [b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"]
    + [
        b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 103 X\r\nTransfer-Encoding: chunked\r\n\r\n",
    ]
    + [b"HTTP/1.1 103 Early\nX\r\n\r\n", b"HTTP/1.1 103 X\r\n\r\n" * 50]
)
FIELD = st.sampled_from(
    [
        b"X: 1",
        b"Set-Cookie: a=1",
        b"Set-Cookie: b=2",
        b"Connection: close",
        b"Connection: keep-alive",
        b"X:",
        b"X : 1",
        b" X: 1",
        b"X",
        b": 1",
        b"X: a\x00b",
        b"X: a\rb",
        b"X: a\nb",
        b"X: 1\r\n folded",
        b"X: \x0b",
        b"X: a\nTransfer-Encoding: chunked",
        b"X: a\rContent-Length: 1",
        b"X\x00: 1",
        b"X(Y): 1",
        b"X: \x7f",
        b"Content-Length: 3",
        b"Content-Length: 5",
        b"Content-Length: +5",
        b"Content-Length: 5 5",
        b"Content-Length:",
        b"Content-Length: 5, 5",
        b"Content-Length: 0x5",
        b"Content-Length : 5",
        b"Content-Length: " + b"9" * 30,
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: identity",
        b"Transfer-Encoding : chunked",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding:\x0bchunked",
    ]
)
BODY = st.sampled_from(
    [
        b"hello",
        b"",
        b"hello there",
        b"5\r\nhello\r\n0\r\n\r\n",
        b"5;x\r\nhello\r\n0\r\nT: 1\r\n\r\n",
        b"hel",
        b"5\nhello\n0\n\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhelloXX0\r\n\r\n",
        b"g\r\n",
        b"5\r\nhello\r\n",
        b"-1\r\n",
        b"5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"helloHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"fffffffffffffffff\r\nhello",
        b"5\r\nhello\r\n0\r\nT: a\rb\r\n\r\n",
        b"5\r\nhello\r\n0\r\nT : 1\r\n\r\n",
    ]
)
FRAMED = st.sampled_from(
    [
        (b"Content-Length: 5\r\n", b"hello"),
        (b"", b"hello"),
        (b"Content-Length: 5\r\n", b"hello there"),
        (b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
        (b"Content-Length: 0\r\n", b""),
    ]
)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    framing, body = draw(FRAMED)
    fields = b"".join(field + b"\r\n" for field in draw(st.lists(FIELD, max_size=2)))
    if draw(st.integers(0, 3)) == 0:
        body = draw(BODY)
    return draw(INTERIM) + draw(STATUS_LINE) + b"\r\n" + framing + fields + b"\r\n" + body


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(answers(), st.sampled_from(["GET", "GET", "HEAD"]))
@example(b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", "GET")
@example(b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "GET")
@example(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "GET")
async def test_an_answer_is_passed_on_as_it_is_meant_or_not_at_all(
    facade: Facade, sent: bytes, method: str
) -> None:
    facade.monolith.answer = raw(sent, keep=False)
    client = await facade.client()
    await client.send(method.encode() + b" / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    got = b""
    async with asyncio.timeout(30):
        try:
            while more := await client.reader.read(65536):
                got += more
        except ConnectionError:
            pass
    head, _, _ = got.partition(b"\r\n\r\n")
    assert all(_LINE.fullmatch(line) for line in head.split(b"\r\n")[1:])
    try:
        received, behind = read(got, method=method)
    except h11.RemoteProtocolError as error:
        assert "not whole" in str(error) or "closed" in str(error) or "incomplete" in str(error), got  # noqa: PT017
        assert not got.endswith(b"0\r\n\r\n")
        return
    assert behind == b""
    if received[-1].status in {502, 504}:
        return
    meant, _ = read(sent, method=method)
    assert received == meant


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000,
    ],
)
async def test_what_an_answer_must_not_be_is_502(facade: Facade, answer: bytes) -> None:
    facade.monolith.answer = raw(answer)
    assert (await (await facade.client()).get(b"/")).status == 502


async def test_a_flood_of_interim_answers_ends_in_502(facade: Facade) -> None:
    facade.monolith.answer = raw(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000)
    client = await facade.client()
    statuses = [(await client.get(b"/")).status]
    while statuses[-1] == 103:
        statuses.append((await client.receive()).status)
    assert statuses == [103] * 16 + [502]


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        (b"websocket, h2c", b"h2c"),
        (b"websocket", b"h2c"),
        (b"websocket", b""),
        (b"", b"websocket"),
        (b"h2c", b"h2c"),
    ],
)
async def test_a_switch_that_was_not_asked_for_is_502(facade: Facade, asked: bytes, answered: bytes) -> None:
    upgrade = b"Upgrade: %b\r\n" % answered if answered else b""
    facade.monolith.answer = raw(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\n" + upgrade + b"\r\n")
    client = await facade.client()
    lines = (b"Connection: Upgrade", b"Upgrade: " + asked) if asked else ()
    assert (await client.get(b"/", *lines)).status == 502
