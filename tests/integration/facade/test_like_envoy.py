"""Where the RFC leaves a choice, Envoy is the oracle: the same odd requests through both, the same arrives.

Where the facade chooses differently on purpose, the case says why.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from facade.paths import raw_path, raw_query
from migration.demo.processes import free_port
from tests.integration.facade.harness import Facade, RecordingUpstream, Starting
from tests.integration.facade.readings import KeepingUpstream, fields, lenient

_ADDED = (b"x-forwarded-", b"x-envoy-", b"x-request-id", b"via", b"forwarded", b"traceparent")
_ERROR = re.compile(rb"HTTP/1\.1 [45][0-9][0-9]")
_FRAMING = (b"content-length", b"transfer-encoding")


@dataclass(frozen=True)
class Arrived:
    """What reached an upstream, without what proxies add: the header fields of one name in their order."""

    method: bytes
    path: bytes
    query: bytes
    body: bytes
    fields: tuple[tuple[bytes, bytes], ...]


@dataclass
class Both:
    """Envoy and the facade, each before an upstream that keeps everything."""

    ports: tuple[int, int]
    upstreams: tuple[KeepingUpstream, KeepingUpstream]
    facade: Facade

    async def arrivals(self, request: bytes) -> list[list[Arrived]]:
        """What arrives through Envoy, and what through the facade."""
        return [
            await self._arrived(port, upstream, request)
            for port, upstream in zip(self.ports, self.upstreams, strict=True)
        ]

    async def _arrived(self, port: int, upstream: KeepingUpstream, request: bytes) -> list[Arrived]:
        for connection in upstream.connections:
            connection.raw.clear()
            connection.answered = 0
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        # What follows a request that is passed on is refused by both: an error ends every connection.
        writer.write(request + b"\x00 \r\n\r\n")
        async with asyncio.timeout(30):
            answers = b""
            while not _ERROR.search(answers) and (more := await reader.read(65536)):
                answers += more
        writer.close()
        return [
            _without_additions(bytes(connection.raw)) for connection in upstream.connections if connection.raw
        ]


class Elsewhere(RecordingUpstream):
    """Stands for an upstream that is started already."""

    async def start(self) -> RecordingUpstream:
        return self


def _without_additions(raw: bytes) -> Arrived:
    (read,) = lenient(raw)
    kept = (pair for pair in fields(raw) if not pair[0].startswith((*_ADDED, *_FRAMING)))
    by_name = sorted(kept, key=lambda pair: pair[0])
    return Arrived(read.method, raw_path(read.target), raw_query(read.target), read.body, tuple(by_name))


@pytest.fixture
async def both(start: Starting, tmp_path: Path) -> AsyncIterator[Both]:
    try:
        from benchmarks.proxies import envoy_command
    except ImportError as error:
        # In CI a test that does not run is a test that is missing.
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"Envoy is not installed: {error}")
    upstreams = KeepingUpstream(), KeepingUpstream()
    backend, ours = await upstreams[0].start(), await upstreams[1].start()
    port = free_port()
    envoy = await asyncio.create_subprocess_exec(
        *envoy_command(port, backend, tmp_path), "--base-id", str(port), stderr=asyncio.subprocess.DEVNULL
    )
    facade = await start(monolith=Elsewhere(port=ours))
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                break
    yield Both((port, facade.port), upstreams, facade)
    envoy.kill()
    await envoy.wait()
    for upstream in upstreams:
        await upstream.stop()


def get(target: bytes, *lines: bytes) -> bytes:
    return b"\r\n".join((b"GET " + target + b" HTTP/1.1", b"Host: shop.test", *lines, b"", b""))


def post(body: bytes, *lines: bytes) -> bytes:
    return b"\r\n".join((b"POST / HTTP/1.1", b"Host: shop.test", *lines, b"", body))


CHUNKED = b"Transfer-Encoding: chunked"
PASSED = {
    "an encoded slash": get(b"/a%2Fb%2f"),
    "double slashes": get(b"//a///b/"),
    "dot segments": get(b"/a/../b/./c/%2e%2e"),
    "parameters": get(b"/a;x=1/b;y"),
    "an empty query": get(b"/a?"),
    "questions in a query": get(b"/a?b?c=/../d"),
    "an encoded line end": get(b"/a%0d%0a"),
    "characters that should be encoded": get(b'/a"<>|^`{}\\b'),
    "an absolute form": get(b"http://shop.test/a?b"),
    "an absolute form without a path": get(b"http://shop.test"),
    "an empty line before": b"\r\n" + get(b"/"),
    "a port in Host": b"GET / HTTP/1.1\r\nHost: shop.test:8080\r\n\r\n",
    "a version 6 Host": b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
    "a field twice": get(b"/", b"X: 1", b"Y: 2", b"x: 3"),
    "cookies twice": get(b"/", b"Cookie: a=1", b"Cookie: b=2"),
    "an empty field": get(b"/", b"X:"),
    "tabs around a value": get(b"/", b"X:\t a\tb \t"),
    "commas and quotes": get(b"/", b'X: a, "b, c",, d'),
    "bytes beyond ASCII": get(b"/", b"X: caf\xc3\xa9 \xff"),
    "every token character": get(b"/", b"!#$%&'*+-.^_`|~9: x"),
    "a GET with a body": b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
    "a DELETE with chunks": b"DELETE / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nhi\r\n0\r\n\r\n",
    "no body at all": post(b"", b"Content-Length: 0"),
    "no length": post(b""),
    "chunks in capitals": post(b"A\r\n0123456789\r\n0\r\n\r\n", b"Transfer-Encoding: Chunked"),
    "chunk extensions": post(b"3;a=b;c\r\nabc\r\n0;last\r\n\r\n", CHUNKED),
    "zeros before a chunk's size": post(b"0003\r\nabc\r\n000\r\n\r\n", CHUNKED),
    "zeros before a length": post(b"abc", b"Content-Length: 003"),
    "line ends in a body": post(b"\r\n\r\n\r\n\r\n", b"Content-Length: 8"),
    "hop-by-hop fields": get(b"/", b"Connection: keep-alive", b"Keep-Alive: 5", b"Proxy-Connection: x"),
}
REFUSED = {
    "two lengths": post(b"abc", b"Content-Length: 3", b"Content-Length: 4"),
    "a length and chunks": post(b"0\r\n\r\n", b"Content-Length: 3", CHUNKED),
    "a signed length": post(b"abc", b"Content-Length: +3"),
    "a length in words": post(b"abc", b"Content-Length: three"),
    "a space before a colon": get(b"/", b"X : 1"),
    "no colon": get(b"/", b"X"),
    "a NUL": get(b"/", b"X: a\x00b"),
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "an unknown coding": post(b"0\r\n\r\n", b"Transfer-Encoding: xchunked"),
    "a space in the target": get(b"/a b"),
    "another version": b"GET / HTTP/3.7\r\nHost: a\r\n\r\n",
}
MENDED = {
    "a bare CR": get(b"/", b"X: a\rb"),
    "two hosts": get(b"/", b"Host: other.test"),
}
"""Envoy makes something else of these: a value without the CR, one host with a comma. What a client says is
passed on as it is or not at all, so the facade refuses them."""


async def test_what_is_odd_but_legal_arrives_as_through_envoy(both: Both) -> None:
    for name, request in PASSED.items():
        envoys, ours = await both.arrivals(request)
        assert len(ours) == 1, name
        assert ours == envoys, name


async def test_what_envoy_refuses_is_refused(both: Both) -> None:
    for name, request in REFUSED.items():
        assert await both.arrivals(request) == [[], []], name
    for name, request in MENDED.items():
        _, ours = await both.arrivals(request)
        assert ours == [], name
