"""A facade that cannot be tricked: whatever clients send, upstreams read what the facade decided on."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState

from facade.config import Backend, FacadeConfig, Limits, Timeouts, Upstream
from facade.exchange import Exchange
from facade.protocol import FacadeProtocol
from facade.worker import Worker
from tests.integration.facade.harness import Control, Facade, picture
from tests.integration.facade.readings import KeepingUpstream, Read, lenient, short_sighted, strict

MOST = 4096
ENDING = b"\r\n\r\n\x00\n\r\n\r\n" * (MOST // 4)
"""No connection outlives this: it ends any body, and is refused as a head."""


class WatchedExchange(Exchange):
    """Keeps what the facade took a request to be."""

    __slots__ = ("taken",)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.taken = b""

    def uploaded(self, pieces: list[bytes], *, done: bool) -> None:
        self.taken += b"".join(pieces)
        super().uploaded(pieces, done=done)


@dataclass
class Watched:
    """A facade before a keeping upstream, and every exchange that it began."""

    port: int
    worker: Worker
    upstream: KeepingUpstream
    exchanges: list[WatchedExchange] = field(default_factory=list)

    async def send(self, pieces: list[bytes]) -> bytes:
        """Send all of it, and read to the end that the facade makes of it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        answers = b""
        try:
            async with asyncio.timeout(30):
                for piece in (*pieces, ENDING):
                    writer.write(piece)
                    await asyncio.sleep(0)
                while more := await reader.read(65536):
                    answers += more
        except ConnectionError:
            pass  # what it said before is there
        writer.close()
        await Facade.until(lambda: not self.worker.path.active)
        # What is not kept for reuse was cut; the upstream has seen that now or will.
        await Facade.until(lambda: len(self.upstream.open) == self.worker.path._monolith.size)
        return answers

    def forget(self) -> None:
        self.exchanges.clear()
        for connection in self.upstream.connections:
            connection.raw.clear()
            connection.answered = 0
        self.upstream.connections = [*self.upstream.open]


@pytest.fixture
async def watched(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    upstream = KeepingUpstream()
    config = FacadeConfig(
        Backend.of(Upstream("127.0.0.1", await upstream.start())),
        limits=Limits(body=MOST, head=2048, fields=30),
        timeouts=Timeouts(connect=5, first_byte=5, upstream_idle=60),
    )
    control = Control(picture(1))
    worker = Worker(config, control, control, control)
    await worker.start()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: FacadeProtocol(None, state, {"worker": worker}),  # type: ignore[arg-type]  # unused here
        "127.0.0.1",
        0,
    )
    watched = Watched(server.sockets[0].getsockname()[1], worker, upstream)

    def exchange(*arguments: Any) -> Exchange:
        watched.exchanges.append(WatchedExchange(*arguments))
        return watched.exchanges[-1]

    monkeypatch.setattr("facade.protocol.Exchange", exchange)
    yield watched
    server.close()
    await worker.stop()
    await upstream.stop()


# The grammar: mostly well-formed parts, each with its known perversions.

METHOD = st.sampled_from(
    [
        b"GET",
        b"POST",
        b"PUT",
        b"HEAD",
        b"OPTIONS",
        b"DELETE",
        b"get",
        b"BREW",
        b"G\tT",
        b"",
        b"CONNECT",
        b"PRI",
    ]
)
TARGET = st.sampled_from(
    [b"/ok"] * 20
    + [
        b"/",
        b"/a/%2e%2e/b?x=%0d%0a",
        b"*",
        b"http://a/abs",
        b"http://evil/abs",
        b"https://a",
        b"/tab\tin",
        b"/nul\x00in",
        b"/caf\xc3\xa9",
        b"/frag#ment",
        b"/cr\rin",
        b"/feed\x0cin",
        b"/del\x7f",
        b"/two words",
        b"a:80",
        b"",
    ]
)
VERSION = st.sampled_from(
    [b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/1.2", b"HTTP/0.9", b"http/1.1", b"HTTP/1.1 ", b"HTTP/11", b""]
)
BETWEEN = st.sampled_from([b" "] * 12 + [b"  ", b"\t", b"\x0b"])
EOL = st.sampled_from([b"\r\n"] * 40 + [b"\n", b"\r", b"\r\r\n", b"\r\n ", b"\r\n\t", b"\n\n", b"\x00\r\n"])
COLON = st.sampled_from([b": "] * 20 + [b":", b" : ", b"\t:", b":\t", b" ", b"::", b":\x0b", b":\r\n "])
LENGTH = st.one_of(
    st.integers(0, 40).map(lambda n: b"%d" % n),
    st.sampled_from(
        [
            b"+5",
            b"-5",
            b" 5",
            b"5 ",
            b"5 5",
            b"5,5",
            b"5, 6",
            b"0x5",
            b"5.0",
            b"1_0",
            b"05",
            b"",
            b"\xb25",
            b"9" * 18,
            b"9" * 30,
            b"5\x00",
            b"5;",
            b'"5"',
            b"18446744073709551621",
            b"4294967301",
        ]
    ),
)
CODING = st.sampled_from(
    [b"chunked"] * 3
    + [b"Chunked", b" chunked", b"xchunked", b"chunked, identity", b"identity", b"gzip, chunked", b"chunked "]
    + [b"chunked;q=1", b'"chunked"', b"chunked\x00", b"\x0bchunked", b"chunked, chunked", b"", b",chunked"]
)
FIELD = st.one_of(
    st.tuples(st.sampled_from([b"Content-Length", b"content-length", b"Content_Length"]), LENGTH),
    st.tuples(st.sampled_from([b"Transfer-Encoding", b"TRANSFER-ENCODING", b"Transfer_Encoding"]), CODING),
    st.tuples(
        st.sampled_from([b"Transfer-Encoding\x00", b" Transfer-Encoding", b"Transfer\rEncoding"]), CODING
    ),
    st.tuples(
        st.just(b"Host"), st.sampled_from([b"a", b"b", b"a b", b"a/b", b"a@b", b"", b"a,b", b"[::1]:80"])
    ),
    st.tuples(
        st.just(b"Connection"),
        st.sampled_from(
            [
                b"close",
                b"keep-alive",
                b"Upgrade",
                b"content-length",
                b"transfer-encoding, host",
                b"Upgrade, TE",
            ]
        ),
    ),
    st.tuples(st.just(b"Upgrade"), st.sampled_from([b"websocket", b"h2c", b"HTTP/2.0", b"websocket, h2c"])),
    st.tuples(st.just(b"Expect"), st.sampled_from([b"100-continue", b"100-continue, x", b"nothing"])),
    st.tuples(
        st.sampled_from([b"X", b"X Y", b"", b"X\x7f", b"(x)", b"X\xff"]),
        st.sampled_from([b"1", b"", b"a\x00b", b"a\x0bb", b"\xff", b"x" * 3000, b"\x1b[0m"]),
    ),
)
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNK_SIZE = st.sampled_from(
    [b"3"] * 6
    + [
        b"03",
        b"3;ext=1",
        b'3;a="\n"',
        b"3;\n",
        b" 3",
        b"3 ",
        b"0x3",
        b"+3",
        b"-3",
        b"3_",
        b"",
        b"3\x00",
        b"g",
    ]
    + [b"fffffffffffffffff", b"ffffffffffffffff", b"100000003", b"3\r", b"3\t", b"3;a\r", b"3\n"]
)
CHUNK = st.builds(
    lambda size, eol, data, end: size + eol + data + end,
    CHUNK_SIZE,
    EOL,
    st.sampled_from([b"abc", b"\r\n\r", b"0\r\n"]),
    st.sampled_from([b"\r\n"] * 8 + [b"\n", b"", b"XX", b"\r", b"\r\n\r\n"]),
)
LAST = st.sampled_from(
    [b"0\r\n\r\n"] * 5
    + [
        b"0\r\nT: 1\r\n\r\n",
        b"0\n\n",
        b"0\r\n\n",
        b"00\r\n\r\n",
        b"0;x\r\n\r\n",
        b"0\r\nContent-Length: 5\r\n\r\n",
    ]
    + [b"0\r\nT : 1\r\n\r\n", b"0\r\n T\r\n\r\n", b"0\r\nT: \x00\r\n\r\n", b"0\r\n\rX", b"0\r\r\n\r\n", b""]
    + [b"0\r\nno colon\r\n\r\n", b"0\r\nT: 1\n\r\n\r\n"]
)
BODY = st.one_of(
    st.just(b""),
    st.binary(max_size=40),
    st.just(b"5\r\nhello\r\n0\r\n\r\n"),
    st.builds(lambda chunks, last: b"".join(chunks) + last, st.lists(CHUNK, max_size=3), LAST),
)
FRAMED = st.one_of(
    st.just((b"", b"")),
    st.binary(max_size=40).map(lambda body: (b"Content-Length: %d\r\n" % len(body), body)),
    BODY.map(lambda body: (b"Transfer-Encoding: chunked\r\n", body)),
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    wild = draw(st.integers(0, 3)) == 0
    eol = EOL if wild else st.just(b"\r\n")
    line = draw(METHOD) + draw(BETWEEN) + draw(TARGET) + draw(BETWEEN) + draw(VERSION) if wild else b""
    if not line:
        line = draw(st.sampled_from([b"GET", b"POST", b"PUT", b"HEAD"])) + b" " + draw(TARGET) + b" HTTP/1.1"
    head = line + draw(eol)
    framing, body = draw(FRAMED)
    fields = [b"Host: a\r\n", framing]
    for name, value in (
        draw(st.lists(FIELD, max_size=3 if wild else 1)) if wild or draw(st.booleans()) else ()
    ):
        fields.append(name + (draw(COLON) if wild else b": ") + value + draw(eol))
    if wild:
        fields = draw(st.permutations(fields))
        body = draw(st.one_of(st.just(body), BODY))
    return head + b"".join(fields) + draw(eol) + body


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    stream = b"".join(draw(st.lists(requests(), min_size=1, max_size=2))) + draw(
        st.sampled_from([b"", SMUGGLED, b"\r\n" + SMUGGLED, b"X" + SMUGGLED, b"0\r\n\r\n" + SMUGGLED])
    )
    for _ in range(draw(st.sampled_from([0, 0, 0, 0, 1, 2]))):
        at = draw(st.integers(0, len(stream)))
        cut = draw(st.integers(0, 2))
        new = draw(
            st.sampled_from([b"", b"\r", b"\n", b"\x00", b" ", b"\t", b":", b"\x0b", b"\x85", b"\r\n", b"0"])
        )
        stream = stream[:at] + new + stream[at + cut :]
    return stream


def head(*lines: bytes) -> bytes:
    return b"\r\n".join((b"POST /example HTTP/1.1", b"Host: a", *lines, b"", b""))


@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(streams(), st.lists(st.integers(1, 60), max_size=4))
@example(head(b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"0\r\n\r\n" + SMUGGLED, [])
@example(head(b"Transfer-Encoding: chunked") + b'3;a="\n"\r\nabc\r\n0\r\n\r\n' + SMUGGLED, [])
@example(head(b"Connection: Upgrade", b"Upgrade: websocket") + SMUGGLED, [])
@example(head(b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 3") + b"abc" + SMUGGLED, [])
@example(b"GET /tab\tHTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n", [])
async def test_upstreams_read_what_the_facade_decided_on(
    watched: Watched, stream: bytes, cuts: list[int]
) -> None:
    watched.forget()
    pieces, at = [], 0
    for cut in cuts:
        pieces.append(stream[at : at + cut])
        at += cut
    await watched.send([*pieces, stream[at:]])
    decided = [Read(each.method, each.target, each.taken, each.sent) for each in watched.exchanges]
    answered = Counter(
        known for known, each in zip(decided, watched.exchanges, strict=True) if each.status == 200
    )
    for read in (strict, lenient, short_sighted):
        arrived = [
            each for connection in watched.upstream.connections for each in read(bytes(connection.raw))
        ]
        assert Counter(each for each in arrived if each.whole) == answered
        for part in arrived:
            assert part.whole or any(
                (part.method, part.target) == (known.method, known.target)
                and known.body.startswith(part.body)
                for known in decided
            )


async def test_what_is_well_formed_arrives(watched: Watched) -> None:
    stream = (
        b"\r\nGET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
        b"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
        b"POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n"
    )
    answers = await watched.send([stream])
    (connection,) = watched.upstream.connections
    expected = [Read(b"GET", b"/1", b""), Read(b"POST", b"/2", b"hello"), Read(b"POST", b"/3", b"abc")]
    assert strict(bytes(connection.raw)) == expected
    assert answers.count(b"HTTP/1.1 200 OK") == 3
    assert b"HTTP/1.1 400 Bad Request" in answers
