"""How servers read the same bytes differently: an upstream that keeps what it got, and three readings of it.

`strict` is h11. `lenient` forgives what lax servers forgive: bare line feeds, folded lines, spaces around
names, any coding that mentions chunked, sizes that Python's ``int`` takes. `short_sighted` believes the last
Content-Length and knows no chunks. A request that is read in more than one way can be smuggled.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import h11


@dataclass(frozen=True)
class Read:
    """One request as a server understood it; not ``whole``: its end never came."""

    method: bytes
    target: bytes
    body: bytes
    whole: bool = True


class Unreadable(Exception):  # noqa: N818 (what a server would answer with 400)
    """The bytes are no request."""


@dataclass(eq=False)
class Connection(asyncio.Protocol):
    """One connection of a `KeepingUpstream`."""

    upstream: "KeepingUpstream"
    raw: bytearray = field(default_factory=bytearray)
    answered: int = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.upstream.connections.append(self)
        self.upstream.open.add(self)

    def data_received(self, data: bytes) -> None:
        self.raw += data
        whole = [read for read in lenient(bytes(self.raw)) if read.whole]
        for read in whole[self.answered :]:
            body = b"" if read.method == b"HEAD" else b"ok"
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + body)
        self.answered = len(whole)

    def connection_lost(self, exc: Exception | None) -> None:
        self.upstream.open.discard(self)


@dataclass
class KeepingUpstream:
    """Keeps every byte it gets, and answers each request as the lenient reading sees it."""

    connections: list[Connection] = field(default_factory=list)
    open: set[Connection] = field(default_factory=set)

    async def start(self) -> int:
        """The port it listens on."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        self._server.close()
        for connection in list(self.open):
            connection.transport.abort()


def strict(raw: bytes) -> list[Read]:
    server = h11.Connection(h11.SERVER)
    server.receive_data(raw)
    reads: list[Read] = []
    try:
        while isinstance(request := server.next_event(), h11.Request):
            body, whole = b"", False
            while isinstance(event := server.next_event(), h11.Data | h11.EndOfMessage):
                if isinstance(event, h11.EndOfMessage):
                    whole = True
                    break
                body += event.data
            reads.append(Read(request.method, request.target, body, whole))
            if not whole:
                break
            server.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
            server.send(h11.EndOfMessage())
            server.start_next_cycle()
    except h11.RemoteProtocolError as error:
        raise Unreadable(str(error)) from error
    return reads


def fields(raw: bytes) -> list[tuple[bytes, bytes]]:
    """The header fields of the first request, names in lower case."""
    head, _, _ = raw.partition(b"\r\n\r\n")
    split = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return [(name.lower(), value.strip()) for name, _, value in split]


def lenient(raw: bytes) -> list[Read]:
    return _read_all(raw, _lenient_body)


def short_sighted(raw: bytes) -> list[Read]:
    return _read_all(raw, _short_sighted_body)


Body = tuple[bytes, bytes, bool]
"""A body, what comes behind it, and whether its end came."""


def _read_all(raw: bytes, take: Callable[[list[tuple[bytes, bytes]], bytes], Body]) -> list[Read]:
    reads: list[Read] = []
    while raw := raw.lstrip(b"\r\n"):
        lines: list[bytes] = []
        while True:
            line, newline, raw = raw.partition(b"\n")
            if not newline:
                return reads
            line = line.removesuffix(b"\r")
            if not line:
                break
            if line[:1] in {b" ", b"\t"} and len(lines) > 1:
                lines[-1] += line
            else:
                lines.append(line)
        words = lines[0].split()
        if len(words) < 2:
            raise Unreadable(f"no request line: {lines[0]!r}")
        split = (line.partition(b":") for line in lines[1:])
        fields = [(name.strip().lower().replace(b"_", b"-"), value.strip()) for name, _, value in split]
        body, raw, whole = take(fields, raw)
        reads.append(Read(words[0], words[1], body, whole))
    return reads


def _lenient_body(fields: list[tuple[bytes, bytes]], raw: bytes) -> Body:
    if any(name == b"transfer-encoding" and b"chunked" in value.lower() for name, value in fields):
        return _chunks(raw)
    lengths = [value for name, value in fields if name == b"content-length"]
    return _counted(lengths[0] if lengths else b"0", raw)


def _short_sighted_body(fields: list[tuple[bytes, bytes]], raw: bytes) -> Body:
    lengths = [value for name, value in fields if name == b"content-length"]
    if not lengths and any(name == b"transfer-encoding" for name, _ in fields):
        return _chunks(raw)
    return _counted(lengths[-1] if lengths else b"0", raw)


def _counted(length: bytes, raw: bytes) -> Body:
    try:
        size = int(length)
    except ValueError as error:
        raise Unreadable(f"no length: {length!r}") from error
    return raw[:size], raw[size:], len(raw) >= size


def _chunks(raw: bytes) -> Body:
    body = b""
    while True:
        line, newline, rest = raw.partition(b"\n")
        if not newline:
            return body, b"", False
        try:
            size = int(line.partition(b";")[0].strip(), 16)
        except ValueError as error:
            raise Unreadable(f"no chunk size: {line!r}") from error
        if size == 0:
            break
        if len(rest) < size + 2:
            return body + rest[:size], b"", False
        body += rest[:size]
        raw = rest[size:].removeprefix(b"\r").removeprefix(b"\n")
    while True:  # trailers
        line, newline, rest = rest.partition(b"\n")
        if not newline:
            return body, b"", False
        if not line.strip():
            return body, rest, True
